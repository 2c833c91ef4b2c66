package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/fetch"
	"carepost/trust"
)

// needed is a flag that a command cannot do without.
type needed struct {
	flag  string
	given bool
}

// missing names all the flags that were left out, at once.
func missing(flags ...needed) error {
	var names []string
	for _, f := range flags {
		if !f.given {
			names = append(names, f.flag)
		}
	}
	switch n := len(names); n {
	case 0:
		return nil
	case 1:
		return usage(errors.New(names[0] + " is missing"))
	default:
		return usage(errors.New(strings.Join(names[:n-1], ", ") + " and " + names[n-1] + " are missing"))
	}
}

// parseAddress reads an address that somebody typed; what says where.
func parseAddress(what, s string) (addr.Address, error) {
	a, err := addr.Parse(s)
	if err != nil {
		return a, usage(fmt.Errorf("%snot an address such as lab@clinic.example: %s", what, strings.TrimPrefix(err.Error(), "addr: ")))
	}
	return a, nil
}

// judging holds the flags of the commands that judge certificates.
type judging struct {
	at, policy                          string
	anchors, intermediates, crls, allow []string
	fetch, tolerant                     bool
}

// register adds the flags; whose names the party whose anchors they are.
func (f *judging) register(cmd *cobra.Command, whose string) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.anchors, "anchor", nil, "trust anchors of "+whose+", `FILE` in PEM or DER; may be repeated")
	flags.StringArrayVar(&f.intermediates, "intermediate", nil, "certificates for the way between, `FILE` in PEM or DER; may be repeated")
	flags.StringArrayVar(&f.crls, "crl", nil, "certificate revocation lists, `FILE` in PEM or DER; may be repeated")
	flags.StringVar(&f.at, "at", "", "judge as of this `TIME`, RFC 3339 (default: now)")
	flags.StringVar(&f.policy, "policy", "v1.2", "`PROFILE` of rules: v1.2, v1.3 or lenient")
	flags.BoolVar(&f.tolerant, "tolerant", false, "judge certificates that break RFC 5280 in harmless ways too, and tell what is odd about them")
	flags.BoolVar(&f.fetch, "fetch", false, "fetch issuers and revocation lists from where certificates say (HTTP, public addresses only)")
	flags.StringArrayVar(&f.allow, "fetch-allow", nil, "with --fetch: also from this `IP:PORT`, although it is not public (trials)")
}

// terms is what the flags of judging say, read and checked.
type terms struct {
	now                    time.Time
	policy                 trust.Policy
	tolerant               bool
	anchors, intermediates []*x509.Certificate
	lists                  []*x509.RevocationList
	fetcher                trust.Fetcher // nil: nothing is fetched
}

func (f *judging) read(now time.Time) (t terms, err error) {
	t.now, t.tolerant = now, f.tolerant
	if f.at != "" {
		if t.now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return t, usage(fmt.Errorf("--at: %q is no RFC 3339 time such as 2026-07-01T12:00:00Z", f.at))
		}
	}
	policies := map[string]trust.Policy{"v1.2": trust.V12, "v1.3": trust.V13, "lenient": trust.Lenient}
	var known bool
	if t.policy, known = policies[f.policy]; !known {
		return t, usage(fmt.Errorf("--policy: %q is none of v1.2, v1.3, lenient", f.policy))
	}
	if t.fetcher, err = f.fetcher(); err != nil {
		return t, err
	}
	if t.anchors, err = certFiles("anchor", f.anchors...); err != nil {
		return t, err
	}
	if t.intermediates, err = certFiles("intermediate", f.intermediates...); err != nil {
		return t, err
	}
	t.lists, err = crlFiles(f.crls)
	return t, err
}

// fetcher returns nil where nothing may be fetched: a nil interface, as trust and discovery ask.
func (f *judging) fetcher() (trust.Fetcher, error) {
	o, err := places("--fetch-allow", f.allow)
	if err != nil {
		return nil, err
	}
	switch {
	case f.fetch:
		return fetch.New(o), nil
	case len(f.allow) > 0:
		return nil, usage(errors.New("--fetch-allow does nothing without --fetch"))
	}
	return nil, nil
}

// places reads the IP:PORTs of a flag: what may be reached although it is not public.
func places(flag string, allow []string) (o fetch.Options, err error) {
	for _, s := range allow {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return o, usage(fmt.Errorf("%s: %q is not IP:PORT", flag, s))
		}
		o.AllowPlaces = append(o.AllowPlaces, ap)
	}
	return o, nil
}

// remedy says what the one who typed the command may do about a certificate that is not trusted.
func (f *judging) remedy(status trust.Status, clause string) string {
	switch {
	case status == trust.Undecided && clause == "Direct 4 (3)" && !f.fetch:
		return "give the revocation list with --crl FILE, or let it be fetched with --fetch"
	case status == trust.Undecided && clause == "Direct 4 (3)":
		return "give a current revocation list with --crl FILE, or try again later"
	case status == trust.Undecided:
		return "try again later"
	case clause == "Direct 4.2.3" && !f.fetch:
		return "name the authority that you trust with --anchor FILE; certificates between: --intermediate FILE, or --fetch"
	case clause == "Direct 4.2.3":
		return "name the authority that you trust with --anchor FILE"
	}
	return ""
}
