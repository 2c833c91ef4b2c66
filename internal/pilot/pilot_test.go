package pilot_test

import (
	"context"
	"crypto/x509"
	"net/netip"
	"slices"
	"testing"
	"time"

	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/pilot"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// place is a store and keyring with an authority in it.
type place struct {
	*pilot.Authority
	store *store.Store
	keys  *keyring.Keyring
	opts  pilot.Options
}

func options(now time.Time) pilot.Options {
	return pilot.Options{Domain: "north.example", Hostname: "mx.north.example", URL: "http://127.0.0.1:8080",
		IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, Now: now}
}

func newPlace(t testing.TB, now time.Time) *place {
	t.Helper()
	s := storetest.SQLite(t)
	err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain("north.example") })
	check(t, err)
	p := &place{store: s, keys: keyring.New(s), opts: options(now)}
	p.establish(t, p.opts)
	return p
}

func (p *place) establish(t testing.TB, o pilot.Options) {
	t.Helper()
	var err error
	p.Authority, err = pilot.Establish(t.Context(), p.store, p.keys, o)
	check(t, err)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows are the domain's certificates, newest first.
func (p *place) rows(t *testing.T) (rows []store.Cert) {
	t.Helper()
	check(t, p.store.View(t.Context(), func(tx *store.Tx) (err error) {
		rows, err = tx.Certs(store.Owner{Domain: p.Domain})
		return err
	}))
	return rows
}

// usable are the rows that may sign and be published at a moment.
func (p *place) usable(t *testing.T, now time.Time) (rows []store.Cert) {
	t.Helper()
	for _, row := range p.rows(t) {
		if !now.Before(row.NotBefore) && !now.After(row.NotAfter) {
			rows = append(rows, row)
		}
	}
	return rows
}

// organisation is the one certificate that signs and is published.
func (p *place) organisation(t *testing.T, now time.Time) *x509.Certificate {
	t.Helper()
	rows := p.usable(t, now)
	if len(rows) != 1 {
		t.Fatalf("%d certificates are in use, want one", len(rows))
	}
	return parse(t, rows[0].DER)
}

func (p *place) server(t *testing.T) *x509.Certificate {
	t.Helper()
	c, err := p.ServerCertificate(t.Context(), time.Now())
	check(t, err)
	return parse(t, c.Certificate[0])
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	check(t, err)
	return c
}

// issues are the reasons that the audit gives for what was issued after the first pair, in alphabetical order: entries of one
// transaction have none.
func (p *place) issues(t *testing.T) (reasons []string) {
	t.Helper()
	for i, r := range p.audit(t, "certificate.issue") {
		if i < 2 && r.Detail["reason"] != "there is none" {
			t.Errorf("issued at first: %v", r.Detail)
		}
		if i >= 2 {
			reasons = append(reasons, r.Detail["for"]+": "+r.Detail["reason"])
		}
	}
	slices.Sort(reasons)
	return reasons
}

func (p *place) audit(t *testing.T, action string) (records []audit.Record) {
	t.Helper()
	check(t, p.store.View(t.Context(), func(tx *store.Tx) (err error) {
		records, err = audit.List(tx, audit.Filter{Action: action, Limit: 1000})
		return err
	}))
	return records
}

const day = 24 * time.Hour

// What is due is replaced, and nothing else: by time (a third of the life is left), by what the certificates point to and name.
// DIR-04, DIR-06, DIR-53.
func TestReplaced(t *testing.T) {
	const org, server = "organisation: ", "server: "
	start := time.Now()
	ip := func(texts ...string) func(*pilot.Options) {
		return func(o *pilot.Options) {
			o.IPs = nil
			for _, s := range texts {
				o.IPs = append(o.IPs, netip.MustParseAddr(s))
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*pilot.Options)
		want   []string
	}{
		"nothing changed":         {func(*pilot.Options) {}, nil},
		"two thirds not yet over": {func(o *pilot.Options) { o.Now = start.Add(243 * day) }, nil},
		"two thirds over":         {func(o *pilot.Options) { o.Now = start.Add(244 * day) }, []string{org + "it ends soon", server + "it ends soon"}},
		"expired":                 {func(o *pilot.Options) { o.Now = start.Add(400 * day) }, []string{org + "it ends soon", server + "it ends soon"}},
		"clock set back":          {func(o *pilot.Options) { o.Now = start.Add(-day) }, []string{org + "it is not valid yet", server + "it is not valid yet"}},
		"other URL":               {func(o *pilot.Options) { o.URL = "http://127.0.0.1:9090" }, []string{org + "its pointers changed", server + "its pointers changed"}},
		"other host":              {func(o *pilot.Options) { o.Hostname = "in.north.example" }, []string{server + "its names changed"}},
		"other IP":                {ip("127.0.0.1", "::2"), []string{server + "its names changed"}},
		"no IP":                   {ip(), []string{server + "its names changed"}},
		"same IPs otherwise said": {ip("::1", "::ffff:127.0.0.1", "::1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, start)
			anchor, oldOrg, oldServer := p.Anchor(), p.organisation(t, start), p.server(t)
			o := options(start)
			tc.change(&o)
			for range 2 { // the second time nothing is due any more
				p.establish(t, o)
			}
			if got := p.issues(t); !slices.Equal(got, tc.want) {
				t.Errorf("issued %q, want %q", got, tc.want)
			}
			if !p.Anchor().Equal(anchor) {
				t.Error("the authority is another")
			}
			newOrg, newServer := p.organisation(t, o.Now), p.server(t)
			if got, want := !newOrg.Equal(oldOrg), len(tc.want) == 2; got != want || len(p.rows(t)) != 1+len(tc.want)/2 {
				t.Errorf("another organisational certificate: %v, want %v; %d rows", got, want, len(p.rows(t)))
			}
			if got, want := !newServer.Equal(oldServer), len(tc.want) > 0; got != want {
				t.Errorf("another server certificate: %v, want %v", got, want)
			}
			check(t, newServer.VerifyHostname(o.Hostname))
			for _, ip := range o.IPs {
				check(t, newServer.VerifyHostname(ip.Unmap().String()))
			}
		})
	}
}

// Two processes that open one store at the same time end up with the same authority and one certificate in use.
func TestEstablishTogether(t *testing.T) {
	s := storetest.SQLite(t)
	check(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain("north.example") }))
	keys, now := keyring.New(s), time.Now()
	type result struct {
		a   *pilot.Authority
		err error
	}
	made := make(chan result)
	for range 3 {
		go func() {
			a, err := pilot.Establish(context.Background(), s, keys, options(now))
			made <- result{a, err}
		}()
	}
	var first *pilot.Authority
	for range 3 {
		r := <-made
		check(t, r.err)
		if first == nil {
			first = r.a
		}
		if !r.a.Anchor().Equal(first.Anchor()) {
			t.Error("two authorities")
		}
	}
	p := &place{Authority: first, store: s, keys: keys}
	p.organisation(t, now)
	if n := len(p.audit(t, "authority.create")); n != 1 {
		t.Errorf("%d authorities were made", n)
	}
}
