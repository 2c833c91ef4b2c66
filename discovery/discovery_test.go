package discovery_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/resolver/resolvertest"
	"carepost/trust"
	"carepost/trust/certtest"
)

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// published is one record: a name with a certificate, or with raw data of some type.
type published struct {
	name string
	kind uint16
	data []byte
}

// fetch is a network in which only f's word counts.
type fetch func(url string) ([]byte, error)

func (f fetch) Fetch(_ context.Context, url string, max int64) ([]byte, error) { return f(url) }

var past = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)

// The order of the search (Direct 2.3, 5.1, 5.2), its end, and what neither is a hit nor ends it.
func TestLookup(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	issue := func(name string, edits ...certtest.Edit) *x509.Certificate {
		return ca.Issue(t, name, edits...).Certificate
	}
	lab, lab2, expired := issue("lab@h.example"), issue("lab@h.example"), issue("lab@h.example", certtest.Until(past))
	disagreeing := issue("lab@h.example", certtest.EmailDN("desk@h.example"))
	org, orgExpired := issue("h.example"), issue("h.example", certtest.Until(past))
	john, other := issue("john@smith.h.example"), issue("other.example")
	at := func(name string, c *x509.Certificate) published { return published{name, 1, c.Raw} }
	url := []byte("http://h.example/lab.cer")
	web := fetch(func(string) ([]byte, error) { return lab.Raw, nil })
	for _, tc := range []struct {
		name    string
		who     string
		records []published
		fetcher trust.Fetcher
		want    []*x509.Certificate
		err     error
		asked   string
		said    string
	}{
		{name: "DIR-42 D1 the address's own wins", records: []published{at("lab.h.example", lab), at("h.example", orgExpired)},
			want: []*x509.Certificate{lab}, asked: "lab.h.example", said: "1 certificate, address-bound"},
		{name: "DIR-42 D2 the domain's where the address has none", records: []published{at("h.example", org)},
			want: []*x509.Certificate{org}, asked: "lab.h.example h.example", said: "no certificate record / 1 certificate, organizationally-bound"},
		{name: "D5 an expired one ends the search", records: []published{at("lab.h.example", expired), at("h.example", org)},
			want: []*x509.Certificate{expired}, asked: "lab.h.example"},
		{name: "D6", records: []published{at("h.example", orgExpired)}, want: []*x509.Certificate{orgExpired}, asked: "lab.h.example h.example"},
		{name: "D9 all of a name", records: []published{at("lab.h.example", expired), at("lab.h.example", lab), at("lab.h.example", lab2)},
			want: []*x509.Certificate{expired, lab, lab2}, asked: "lab.h.example", said: "3 certificates, address-bound"},
		{name: "D11 nothing", asked: "lab.h.example h.example", said: "no certificate record / no certificate record"},
		{name: "an organisation's at the address's name", records: []published{at("lab.h.example", org)},
			want: []*x509.Certificate{org}, asked: "lab.h.example"},
		{name: "the address's at the domain's name", records: []published{at("h.example", lab)}, want: []*x509.Certificate{lab}, asked: "lab.h.example h.example"},
		{name: "DIR-54 another address of the same name", who: "john.smith@h.example",
			records: []published{at("john.smith.h.example", john), at("h.example", org)},
			want:    []*x509.Certificate{org}, asked: "john.smith.h.example h.example", said: "no certificate of use; a certificate of somebody else"},
		{name: "DIR-54 the same name, the other address", who: "john@smith.h.example",
			records: []published{at("john.smith.h.example", john)}, want: []*x509.Certificate{john}, asked: "john.smith.h.example"},
		{name: "another domain's", records: []published{at("lab.h.example", other), at("h.example", other)}, asked: "lab.h.example h.example"},
		{name: "unreadable and foreign records do not end it",
			records: []published{{"lab.h.example", 1, []byte("junk")}, {"lab.h.example", 1, append(slices.Clone(lab.Raw), 0)}, {"lab.h.example", 3, []byte("pgp")},
				{"lab.h.example", 4, []byte("ldap://h.example/")}, {"lab.h.example", 4, []byte("http://u:p@h.example/")}, {"lab.h.example", 4, []byte{}}, at("h.example", org)},
			want: []*x509.Certificate{org}, asked: "lab.h.example h.example", said: "no readable X.509"},
		{name: "DIR-34 the right name, but the legacy emailAddress of another: a hit, which is judged and refused",
			records: []published{at("lab.h.example", disagreeing), at("h.example", org)},
			want:    []*x509.Certificate{disagreeing}, asked: "lab.h.example"},
		{name: "capitals", who: "LAB@H.EXAMPLE", records: []published{at("lab.h.example", lab)}, want: []*x509.Certificate{lab}, asked: "lab.h.example"},
		{name: "the same certificate twice", records: []published{at("lab.h.example", lab), {"lab.h.example", 4, url}}, fetcher: web,
			want: []*x509.Certificate{lab}, asked: "lab.h.example"},
		{name: "DIR-42 type 4", records: []published{{"lab.h.example", 4, url}}, fetcher: web, want: []*x509.Certificate{lab}, asked: "lab.h.example"},
		{name: "type 253", records: []published{{"lab.h.example", 253, append(slices.Clone(url), 0, 1, 2)}}, fetcher: web,
			want: []*x509.Certificate{lab}, asked: "lab.h.example"},
		{name: "type 4, nothing fetches", records: []published{{"lab.h.example", 4, url}, at("h.example", org)},
			err: discovery.ErrNotFetched, asked: "lab.h.example", said: "a URL, not fetched"},
		{name: "type 4 beside another, nothing fetches", records: []published{{"lab.h.example", 4, url}, at("lab.h.example", lab2)},
			want: []*x509.Certificate{lab2}, asked: "lab.h.example"},
		{name: "type 4, nothing there", records: []published{{"lab.h.example", 4, url}, at("h.example", org)},
			fetcher: fetch(func(string) ([]byte, error) { return nil, fmt.Errorf("404: %w", trust.ErrAbsent) }),
			want:    []*x509.Certificate{org}, asked: "lab.h.example h.example"},
		{name: "type 4, no answer now", records: []published{{"lab.h.example", 4, url}, at("h.example", org)},
			fetcher: fetch(func(string) ([]byte, error) { return nil, context.DeadlineExceeded }),
			err:     context.DeadlineExceeded, asked: "lab.h.example"},
		{name: "type 4, junk there", records: []published{{"lab.h.example", 4, url}, at("h.example", org)},
			fetcher: fetch(func(string) ([]byte, error) { return []byte("<html>"), nil }),
			want:    []*x509.Certificate{org}, asked: "lab.h.example h.example"},
		{name: "no such domain name", who: `"a..b"@h.example`, records: []published{at("h.example", org)},
			want: []*x509.Certificate{org}, asked: "h.example", said: "cannot be written as a domain name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := resolvertest.Start(t)
			for _, r := range tc.records {
				s.AddCERT(t, r.name, r.kind, r.data)
			}
			if tc.who == "" {
				tc.who = "lab@h.example"
			}
			f := discovery.Finder{Resolver: s.Client(), Fetcher: tc.fetcher}
			found, steps, err := f.Lookup(t.Context(), address(t, tc.who))
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			var got []*x509.Certificate
			for _, f := range found {
				got = append(got, f.Certificate)
				if f.Binding == trust.Unbound || f.Source != "DNS CERT" || f.TTL != time.Minute {
					t.Errorf("found %+v", f)
				}
			}
			// DNS gives a set: no order is promised.
			if len(got) != len(tc.want) || slices.ContainsFunc(tc.want, func(c *x509.Certificate) bool { return !slices.ContainsFunc(got, c.Equal) }) {
				t.Errorf("%d certificates, want %d: %+v", len(got), len(tc.want), steps)
			}
			var asked, said []string
			for _, q := range s.Queries() {
				if q.Network == "udp" {
					asked = append(asked, q.Name)
				}
			}
			for _, st := range steps {
				said = append(said, st.Outcome)
			}
			if strings.Join(asked, " ") != tc.asked {
				t.Errorf("asked %v, want %s", asked, tc.asked)
			}
			if all := strings.Join(said, " / "); !strings.Contains(all, tc.said) || strings.Contains(all, "john") {
				t.Errorf("said %q, want %q", all, tc.said)
			}
		})
	}
}

// DIR-11: no answer from DNS is no answer at all: the domain is not asked in place of the address, and nobody is told who was meant.
func TestNoAnswer(t *testing.T) {
	org := certtest.NewCA(t, "Trial CA").Issue(t, "h.example")
	s := resolvertest.Start(t)
	s.AddCERT(t, "h.example", 1, org.Certificate.Raw)
	s.Fail(t, "lab.h.example", "SERVFAIL")
	found, steps, err := (&discovery.Finder{Resolver: s.Client()}).Lookup(t.Context(), address(t, "lab@h.example"))
	if err == nil || len(found) != 0 || strings.Contains(err.Error(), "lab") || len(steps) != 1 {
		t.Errorf("%v, %v, %v", found, steps, err)
	}
	for _, q := range s.Queries() {
		if q.Name == "h.example" {
			t.Error("the domain was asked")
		}
	}
}

// Direct 5.2: "unless prevented from doing so by policy".
func TestPolicy(t *testing.T) {
	org := certtest.NewCA(t, "Trial CA").Issue(t, "h.example")
	s := resolvertest.Start(t)
	s.AddCERT(t, "h.example", 1, org.Certificate.Raw)
	f := &discovery.Finder{Resolver: s.Client(), NoOrganization: true}
	found, steps, err := f.Lookup(t.Context(), address(t, "lab@h.example"))
	if err != nil || len(found) != 0 || len(steps) != 2 || !strings.Contains(steps[1].Outcome, "Direct 5.2") || len(s.Queries()) != 1 {
		t.Errorf("%v, %v, %v", found, steps, err)
	}
}

// DIR-42, D14: a certificate of 4096 bits overflows 512 octets and is read by TCP; by URL it comes over HTTP.
func TestLarge(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		t.Fatal(err)
	}
	large := certtest.NewCA(t, "Trial CA", certtest.Key(key)).Issue(t, "lab@h.example", certtest.Key(key)).Certificate
	s, web := resolvertest.Start(t), certtest.NewServer(t)
	s.AddCERT(t, "lab.h.example", 1, large.Raw)
	s.AddCERT(t, "web.h.example", 4, []byte(web.URL+"/lab.cer"))
	web.Put("/lab.cer", large.Raw)
	f := &discovery.Finder{Resolver: s.Client(), Fetcher: web}
	found, _, err := f.Lookup(t.Context(), address(t, "lab@h.example"))
	if err != nil || len(found) != 1 || !found[0].Certificate.Equal(large) {
		t.Errorf("%d found, %v", len(found), err)
	}
	if !slices.Contains(s.Queries(), resolvertest.Query{Network: "tcp", Name: "lab.h.example", Type: "CERT"}) {
		t.Error("TCP was not used")
	}
	if found, steps, err := f.Lookup(t.Context(), address(t, "web@h.example")); err != nil || len(found) != 0 || web.Hits("/lab.cer") != 1 {
		t.Errorf("a certificate of lab@ fetched for web@: %v, %v, %v", found, steps, err)
	}
}

// A name full of records costs no more than the limits say.
func TestLimits(t *testing.T) {
	s := resolvertest.Start(t)
	for i := range 100 {
		s.AddCERT(t, "lab.h.example", 4, fmt.Appendf(nil, "http://h.example/%d", i))
	}
	fetches := 0
	f := &discovery.Finder{Resolver: s.Client(), Fetcher: fetch(func(string) ([]byte, error) { fetches++; return nil, trust.ErrAbsent })}
	_, steps, err := f.Lookup(t.Context(), address(t, "lab@h.example"))
	if err != nil || fetches != 4 || len(steps) != 2 || len(steps[0].Outcome) > 500 {
		t.Errorf("%d fetches, %v, %v", fetches, steps, err)
	}
}

// DIR-42: '@' becomes '.'; what labels cannot hold is escaped or has no name.
func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"lab@h.example":                             "lab.h.example",
		"Dr.Lee@H.Example":                          "dr.lee.h.example",
		"o'neil+x@h.example":                        `o\039neil\043x.h.example`,
		`"jo hn"@h.example`:                         `jo\032hn.h.example`,
		`"a\\b@c"@h.example`:                        `a\092b\064c.h.example`,
		`"a..b"@h.example`:                          "",
		`".a"@h.example`:                            "",
		`"a."@h.example`:                            "",
		"*@h.example":                               "",
		"a.*@h.example":                             "",
		"a*@h.example":                              `a\042.h.example`,
		strings.Repeat("a", 63) + "@h.example":      strings.Repeat("a", 63) + ".h.example",
		strings.Repeat("a", 64) + "@h.example":      "",
		"abc@" + strings.Repeat("abcd.", 48) + "ab": "abc." + strings.Repeat("abcd.", 48) + "ab",
		strings.Repeat("b", 20) + "@" + strings.Repeat("abcd.", 48) + "ab": "",
	} {
		got, err := discovery.Name(address(t, in))
		if got != want || (err != nil) != (want == "") || (err != nil && !errors.Is(err, discovery.ErrName)) {
			t.Errorf("Name(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
	if got, err := discovery.Name(addr.Address{Domain: "h.example"}); got != "h.example" || err != nil {
		t.Errorf("the organisation: %s, %v", got, err)
	}
}
