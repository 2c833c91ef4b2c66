package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/fetch"
	"carepost/resolver"
	"carepost/trust"
)

func newCertCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Certificates: find those of others",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertFindCmd())
	return cmd
}

// certFind holds the flags of `cert find`.
type certFind struct {
	dns, at        string
	anchors, allow []string
	fetch, json    bool
}

func newCertFindCmd() *cobra.Command {
	var f certFind
	cmd := &cobra.Command{
		Use:   "find ADDRESS",
		Short: "Finds the certificate of an address and judges it",
		Long: `Finds the certificates published for an address, step by step: DNS CERT records under the address (dr.lee@h.example is
looked for at dr.lee.h.example), then under its domain. The first step that yields certificates is the last. With --anchor
each is judged as a recipient of a message, check by check; without, what is found is shown and nothing is said of trust.

Exit codes: 0 a certificate is trusted, or one was found and no anchor was given; 1 no answer now (network, or a revocation
list that could not be had: try --fetch); 2 wrong usage; 3 nothing is published, or nothing of it is trusted.`,
		Example: `  carepost cert find dr.lee@h.example
  carepost cert find dr.lee@h.example --anchor network-root.pem --fetch
  carepost cert find dr.lee@h.example --dns 127.0.0.1:5353 --at 2026-07-01T12:00:00Z --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("cert find: one address, please"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dns, "dns", "", "ask this DNS server, `HOST:PORT` (default: those of this system)")
	flags.StringSliceVar(&f.anchors, "anchor", nil, "trust anchors, `FILE` in PEM or DER; may be repeated")
	flags.StringVar(&f.at, "at", "", "judge as of this `TIME`, RFC 3339 (default: now)")
	flags.BoolVar(&f.fetch, "fetch", false, "fetch issuers, revocation lists and certificates published by URL")
	flags.StringSliceVar(&f.allow, "fetch-allow", nil, "with --fetch: also from this `IP:PORT`, although it is not public (trials)")
	flags.BoolVar(&f.json, "json", false, "write JSON")
	return cmd
}

func (f *certFind) run(cmd *cobra.Command, arg string) error {
	address, err := addr.Parse(arg)
	if err != nil {
		return usage(err)
	}
	now := time.Now()
	if f.at != "" {
		if now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return usage(fmt.Errorf("--at: %q is no RFC 3339 time such as 2026-07-01T12:00:00Z", f.at))
		}
	}
	anchors, err := certFiles(f.anchors)
	if err != nil {
		return err
	}
	client, err := f.resolver()
	if err != nil {
		return err
	}
	fetcher, err := f.fetcher()
	if err != nil {
		return err
	}
	finder := discovery.Finder{Resolver: client, Fetcher: fetcher}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
	defer cancel()
	found, steps, err := finder.Lookup(ctx, address)
	r := certReport{Address: address.String(), At: now.UTC(), Steps: steps, Judged: len(anchors) > 0, Certificates: []certEntry{}}
	judge := trust.NewJudge(fetcher)
	for _, c := range found {
		entry := newCertEntry(c)
		if r.Judged {
			v := judge.Judge(ctx, trust.Question{Certificate: c.Certificate, Address: address, Anchors: anchors, Use: trust.Encryption, Now: now})
			entry.judged(v)
		}
		r.Certificates = append(r.Certificates, entry)
	}
	r.conclude(err)
	if err := r.write(cmd.OutOrStdout(), f.json); err != nil {
		return err
	}
	return r.exit(err)
}

func (f *certFind) resolver() (*resolver.Client, error) {
	if f.dns != "" {
		server := resolver.WithPort(f.dns)
		if _, port, err := net.SplitHostPort(server); err != nil || port == "" {
			return nil, usage(fmt.Errorf("--dns: %q is not HOST:PORT", f.dns))
		}
		return &resolver.Client{Servers: []string{server}}, nil
	}
	conf, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return &resolver.Client{Servers: resolver.Servers(string(conf))}, nil
}

// fetcher returns nil where nothing may be fetched: a nil interface, as trust and discovery ask.
func (f *certFind) fetcher() (trust.Fetcher, error) {
	var o fetch.Options
	for _, s := range f.allow {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return nil, usage(fmt.Errorf("--fetch-allow: %q is not IP:PORT", s))
		}
		o.AllowPrefixes = append(o.AllowPrefixes, netip.PrefixFrom(ap.Addr(), ap.Addr().BitLen()))
		o.AllowPorts = append(o.AllowPorts, ap.Port())
	}
	if !f.fetch {
		return nil, nil
	}
	return fetch.New(o), nil
}

// certFiles reads certificates, PEM or DER, several to a file.
func certFiles(paths []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usage(err)
		}
		var der []byte
		for rest := data; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == "CERTIFICATE" {
				der = append(der, block.Bytes...)
			}
		}
		if der == nil {
			der = data
		}
		certs, err := x509.ParseCertificates(der)
		if err != nil || len(certs) == 0 {
			return nil, usage(fmt.Errorf("%s: no certificate in PEM or DER", path))
		}
		out = append(out, certs...)
	}
	return out, nil
}
