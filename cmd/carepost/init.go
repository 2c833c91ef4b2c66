package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/config"
	"carepost/internal/gateway"
	"carepost/internal/store"
)

// setup is what the command line of init says.
type setup struct {
	domain, hostname, address string
	partners                  []string // one, and no more
	accounts                  []string
	pilot                     bool
}

func newInitCmd() *cobra.Command {
	var s setup
	cmd := &cobra.Command{
		Use:   "init DIR --domain DOMAIN",
		Short: "Makes an installation: directory, keys, configuration, DNS records",
		Long: `Makes the directory of an installation for one Health Domain: carepost.toml to look through, the sealed store in data/, the
key that opens it in keys/, and in dns/ the records to publish, which are printed too, ready to paste.

With --pilot the installation gets an authority of its own and is ready at once: for trials, with partners who are given its
card (card.toml) or, on the same machine, its directory. Without, it writes a certificate request to be signed by the
authority that your partners trust; "carepost cert import" takes the answer.

Ports are unprivileged and free ones; carepost.toml has them. Nothing runs until "carepost serve".`,
		Example: `  carepost init north --domain north.example --pilot --account desk
  carepost init south --domain south.example --pilot --partner north
  carepost init /srv/carepost --domain clinic.example --address 192.0.2.10`,
		Args:                  cobra.ExactArgs(1),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.domain, "domain", "", "the Health Domain: what stands behind the @ of its addresses")
	flags.StringVar(&s.hostname, "hostname", "", "`NAME` of the mail server (default mx.DOMAIN)")
	flags.StringVar(&s.address, "address", "127.0.0.1", "`IP` address to listen on and to be reached at")
	flags.BoolVar(&s.pilot, "pilot", false, "an authority of its own, ready at once: for trials")
	flags.StringArrayVar(&s.accounts, "account", nil, "make this `ADDRESS` (desk, or desk@DOMAIN) an account; may be repeated")
	flags.StringArrayVar(&s.partners, "partner", nil, "with --pilot: the partner's card, or the `DIR`ectory of another installation here, which is introduced to this one as well")
	return cmd
}

func (s *setup) run(ctx context.Context, dir string, out io.Writer) error {
	made, err := s.read()
	if err != nil {
		return err
	}
	accounts, err := s.addresses(made.Domain)
	if err != nil {
		return err
	}
	if there, err := config.Exists(dir); err != nil {
		return notNow(err)
	} else if there {
		return refused(fmt.Errorf("there is an installation in %s already; nothing was changed", dir))
	}
	var p *partner
	if len(s.partners) > 0 {
		if p, err = findPartner(s.partners[0]); err != nil {
			return err
		}
	}
	made.Ports, err = config.Free(made.Address, p.taken())
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return notNow(fmt.Errorf("this machine has no address %s: name one that it has; where others reach it at another one, behind NAT, put that under \"address\" into carepost.toml afterwards", made.Address))
	}
	if err != nil {
		return notNow(err)
	}
	i, err := s.install(ctx, dir, made, accounts)
	if err != nil {
		return err
	}
	defer i.Close()
	var unmet error
	if p != nil {
		if unmet = p.meet(ctx, i); unmet != nil { // the installation is there all the same
			unmet = &exitError{exitCode(unmet), fmt.Errorf("%s is installed, but not introduced: %w; try again by carepost partner add", dir, unmet)}
			p = nil
		}
	}
	return errors.Join(s.tell(out, dir, i, accounts, p), unmet)
}

// read checks what was typed.
func (s *setup) read() (made config.Setup, err error) {
	if err := missing(needed{"--domain", s.domain != ""}); err != nil {
		return made, err
	}
	made.Pilot = s.pilot
	if made.Domain, err = addr.ParseDomain(s.domain); err != nil {
		return made, usage(fmt.Errorf("--domain: %q is no domain such as clinic.example", s.domain))
	}
	if s.hostname != "" {
		host, err := addr.ParseDomain(s.hostname)
		if err != nil {
			return made, usage(fmt.Errorf("--hostname: %q is no host name such as mx.clinic.example", s.hostname))
		}
		made.Hostname = host.String()
	}
	if made.Address, err = config.ParseAddress(s.address); err != nil {
		return made, usage(fmt.Errorf("--address: %w", err))
	}
	if len(s.partners) > 1 {
		return made, usage(errors.New("--partner: one at a time; others are added by \"carepost partner add\""))
	}
	if len(s.partners) > 0 && !s.pilot {
		return made, usage(errors.New("--partner goes with --pilot; without, partners are trusted by \"carepost trust add\""))
	}
	return made, nil
}

func (s *setup) addresses(d addr.Domain) (out []addr.Address, err error) {
	for _, a := range s.accounts {
		if !strings.Contains(a, "@") {
			a += "@" + d.String()
		}
		parsed, err := parseAddress("--account: ", a)
		if err != nil {
			return nil, err
		}
		if parsed.Domain != d {
			return nil, usage(fmt.Errorf("--account: %s is not at %s", a, d))
		}
		out = append(out, parsed)
	}
	return out, nil
}

// install makes everything; carepost.toml comes last, so that a try that was cut short can be made again.
func (s *setup) install(ctx context.Context, dir string, made config.Setup, accounts []addr.Address) (*installation, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, notNow(err)
	}
	c, err := config.Parse(filepath.Join(dir, config.Name), made.Text())
	if err != nil {
		return nil, err
	}
	i, err := makeInstallation(ctx, c, gateway.Listeners{}, slog.New(slog.DiscardHandler))
	switch {
	case errors.Is(err, store.ErrLocked):
		return nil, notNow(fmt.Errorf("another process makes an installation in %s", dir))
	case errors.Is(err, gateway.ErrDomain):
		return nil, refused(fmt.Errorf("%s holds the data of another installation (%w): name another directory; if it was a try that was cut short, remove this one", dir, err))
	case err != nil:
		return nil, notNow(err)
	}
	err = func() error {
		for _, a := range accounts {
			if err := i.AddAccount(ctx, operator(), a); err != nil {
				return err
			}
		}
		if made.Pilot {
			return config.SaveOwnCard(dir, cardOf(c, i.Gateway))
		}
		request, err := i.Request(ctx, operator())
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, requestName(made.Domain)), request, 0o644)
	}()
	if err == nil {
		_, err = config.Create(dir, made)
	}
	if err != nil {
		i.Close()
		return nil, notNow(err)
	}
	return i, nil
}

func requestName(d addr.Domain) string { return d.String() + ".csr" }

// tell says what there is now and what to do next.
func (s *setup) tell(out io.Writer, dir string, i *installation, accounts []addr.Address, p *partner) error {
	records, err := os.ReadFile(filepath.Join(i.conf.Dir, "dns", i.conf.Domain.String()+".zone"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return notNow(err)
	}
	w := &strings.Builder{}
	fmt.Fprintf(w, "Records to publish in DNS (dns/%s.zone)%s:\n\n%s\n", i.conf.Domain, s.whenNeeded(), records)
	fmt.Fprintf(w, "%s is installed in %s.\n\n", i.conf.Domain, dir)
	fmt.Fprintf(w, "  carepost.toml   what it listens on, and what else can be set\n")
	fmt.Fprintf(w, "  keys/kek        opens everything it keeps: copy it to a safe place,\n                  apart from backups\n")
	if s.pilot {
		print := config.Fingerprint(i.Anchor())
		half := len(print)/2 + 1 // between two groups
		fmt.Fprintf(w, "  card.toml       for partners on trial: carepost partner add card.toml\n")
		fmt.Fprintf(w, "                  fingerprint %s\n                              %s\n", print[:half-1], print[half:])
	} else {
		fmt.Fprintf(w, "  %s\n                  certificate request for your authority\n", requestName(i.conf.Domain))
	}
	for _, a := range accounts {
		fmt.Fprintf(w, "  account         %s\n", a)
	}
	if p != nil {
		fmt.Fprintf(w, "  partner         %s\n", p.said())
	}
	at := shellWord(dir)
	w.WriteString("\nNext:\n")
	if !s.pilot {
		fmt.Fprintf(w, "  send %s to your authority, then\n  carepost cert import --config %s CERTIFICATE.pem\n", requestName(i.conf.Domain), at)
		fmt.Fprintf(w, "  carepost trust add --config %s AUTHORITY.pem      whose certificates you believe\n", at)
	}
	if len(accounts) == 0 {
		fmt.Fprintf(w, "  carepost account add --config %s desk@%s\n", at, i.conf.Domain)
	}
	fmt.Fprintf(w, "  carepost serve --config %s\n", at)
	if p != nil {
		fmt.Fprintf(w, "  carepost send --config %s --to ADDRESS@%s --text Hello\n", at, p.card.Domain)
	}
	_, err = io.WriteString(out, w.String())
	return err
}

func (s *setup) whenNeeded() string {
	if s.pilot {
		return "; partners who have the card do without"
	}
	return ""
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-+:@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
