package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/discovery"
	"carepost/internal/fetch"
	"carepost/resolver"
	"carepost/trust"
)

func newCertCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Certificates: finds those of others, has our own issued",
	}
	cmd.AddCommand(newCertFindCmd(), newCertFlushCmd(), newCertRequestCmd(), newCertImportCmd(), newCertListCmd(), newCertExportCmd(), newCertExpireCmd())
	cmd.AddCommand(newCertPublishCmd())
	cmd.AddCommand(newCertIssueCmd(), newCertRevokeCmd(), newCertAuthorityCmd())
	return cmd
}

// certFind holds the flags of `cert find`.
type certFind struct {
	judging
	dns    string
	ldap   []string
	noLDAP bool
	json   bool
}

func newCertFindCmd() *cobra.Command {
	var f certFind
	cmd := &cobra.Command{
		Use:   "find ADDRESS",
		Short: "Finds the certificate of an address and judges it",
		Long: `Finds the certificates published for an address, step by step: DNS CERT records under the address (dr.lee@h.example is
looked for at dr.lee.h.example), then under its domain; then the directory that the domain's SRV record (_ldap._tcp.h.example) names,
by LDAP: entries whose mail is the address, then the domain. The first step that yields certificates is the last. With --anchor
each is judged as a recipient of a message, check by check; without, what is found is shown and nothing is said of trust.

Exit codes:
  0  a certificate is trusted, or one was found and no anchor was given
  1  no answer now: the network, or a revocation list that could not be had
  2  wrong usage
  3  nothing is published, or nothing of it is trusted`,
		Example: `  carepost cert find dr.lee@h.example
  carepost cert find dr.lee@h.example --anchor network-root.pem --fetch
  carepost cert find dr.lee@h.example --dns 127.0.0.1:5353 --json
  carepost cert find dr.lee@h.example --ldap-allow 127.0.0.1:10389`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("cert find: one address, please"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], time.Now()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dns, "dns", "", "ask this DNS server, `HOST:PORT` (default: those of this system)")
	flags.StringArrayVar(&f.ldap, "ldap-allow", nil, "ask an LDAP server at this `IP:PORT` too, although it is not public (trials); may be repeated")
	flags.BoolVar(&f.noLDAP, "no-ldap", false, "ask DNS alone")
	flags.BoolVar(&f.json, "json", false, "write JSON")
	f.register(cmd, "our own side")
	return cmd
}

// searchTime is how long a search may take in all.
const searchTime = time.Minute

func (f *certFind) run(cmd *cobra.Command, arg string, now time.Time) error {
	address, err := parseAddress("", arg)
	if err != nil {
		return err
	}
	t, err := f.read(now)
	if err != nil {
		return err
	}
	client, err := f.resolver()
	if err != nil {
		return err
	}
	finder := discovery.Finder{Resolver: client, Fetcher: t.fetcher, Deadline: searchTime}
	if finder.Dial, err = f.dialer(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), searchTime)
	defer cancel()
	defer waiting(cmd)()
	found, steps, err := finder.Lookup(ctx, address)
	r := certReport{Address: address.String(), At: t.now.UTC(), Steps: steps, Judged: len(t.anchors) > 0, noLDAP: f.noLDAP, Certificates: []certEntry{}}
	judge := trust.NewJudge(t.fetcher)
	for _, c := range found {
		entry := newCertEntry(c)
		if r.Judged {
			v := judge.Judge(ctx, trust.Question{Certificate: c.Certificate, Address: address, Anchors: t.anchors, Intermediates: t.intermediates,
				CRLs: t.lists, Use: trust.Encryption, Now: t.now, Policy: t.policy, Tolerant: t.tolerant})
			entry.judged(v)
		}
		r.Certificates = append(r.Certificates, entry)
	}
	if err := cmd.Context().Err(); err != nil {
		return notNow(err) // interrupted: there is nothing to report
	}
	r.conclude(err)
	if err := r.write(cmd.OutOrStdout(), f.json); err != nil {
		return notNow(err)
	}
	return r.exit(err, f.remedy)
}

// waiting tells a person, on a terminal, that the network takes its time. The function returned ends it.
func waiting(cmd *cobra.Command) (stop func()) {
	if columns(os.Stderr) == 0 {
		return func() {}
	}
	t := time.AfterFunc(2*time.Second, func() {
		fmt.Fprintf(os.Stderr, "%s: waiting for the network, at most %s; Ctrl-C ends it\n", cmd.CommandPath(), searchTime)
	})
	return func() { t.Stop() }
}

// dialer is the way to LDAP servers; nil where none is to be asked.
func (f *certFind) dialer() (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	if f.noLDAP {
		if len(f.ldap) > 0 {
			return nil, usage(errors.New("--ldap-allow and --no-ldap contradict each other"))
		}
		return nil, nil
	}
	o, err := places("--ldap-allow", f.ldap)
	if err != nil {
		return nil, err
	}
	return fetch.New(o).DialLDAP, nil
}

func (f *certFind) resolver() (*resolver.Client, error) {
	if f.dns != "" {
		server := resolver.WithPort(f.dns)
		host, port, err := net.SplitHostPort(server)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || n == 0 || host == "" || strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return nil, usage(fmt.Errorf("--dns: %q is not HOST:PORT", f.dns))
		}
		return &resolver.Client{Servers: []string{server}}, nil
	}
	conf, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, notNow(err)
	}
	return &resolver.Client{Servers: resolver.Servers(string(conf))}, nil
}
