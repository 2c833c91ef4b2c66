package admin

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/trust"
	"carepost/trust/certtest"
)

// keeper has a keyring besides; the clock stands in the middle of what certtest issues.
func keeper(t testing.TB) *Service {
	t.Helper()
	rows := storetest.SQLite(t)
	now := certtest.NotBefore.AddDate(5, 0, 0)
	s := New(Options{Store: rows, Keys: keyring.New(rows), Clock: func() time.Time { return now }})
	must(t, rows.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain(home) }))
	must(t, s.AddAccount(t.Context(), by, lab))
	return s
}

// asked is the key and the names of a request.
func asked(t testing.TB, s *Service, o Order) *x509.CertificateRequest {
	t.Helper()
	text, err := s.RequestCertificate(t.Context(), by, o)
	must(t, err)
	block, _ := pem.Decode(text)
	r, err := x509.ParseCertificateRequest(block.Bytes)
	must(t, err)
	must(t, r.CheckSignature())
	return r
}

// onlyPublic stands for a private key that the authority never sees.
type onlyPublic struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k onlyPublic) Public() crypto.PublicKey { return k.public }

// answer is what an authority makes of a request.
func answer(t testing.TB, ca *certtest.CA, name string, r *x509.CertificateRequest, edits ...certtest.Edit) *x509.Certificate {
	t.Helper()
	return ca.Issue(t, name, append([]certtest.Edit{certtest.Key(onlyPublic{public: r.PublicKey})}, edits...)...).Certificate
}

func pemOf(list ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.Bytes()
}

func (s *Service) take(t testing.TB, list ...*x509.Certificate) ([]Certificate, error) {
	return s.ImportCertificates(t.Context(), by, Files{Files: [][]byte{pemOf(list...)}})
}

func wantRefusal(t testing.TB, what string, err error, words string) {
	t.Helper()
	if no := (*Refusal)(nil); !errors.As(err, &no) || no.Clause == "" || !strings.Contains(no.Reason, words) {
		t.Errorf("%s: %v, want a word on %q", what, err, words)
	}
}

func equal(a, b any) bool { return samePublic(a, b) }

// A request asks for the names that bind and the usage that fits its key: DIR-04.
func TestRequests(t *testing.T) {
	s := keeper(t)
	for _, c := range []struct {
		o     Order
		names string
		kind  string
		usage byte
	}{
		{Order{}, "north.example", "RSA 2048", 0xa0},
		{Order{Owner: Owner{Address: lab}, Kind: keyring.P256}, "lab@north.example", "EC P-256", 0x88},
		{Order{Owner: Owner{Domain: home}, Kind: keyring.P384, Use: UseSign}, "north.example", "EC P-384", 0x80},
		{Order{Kind: keyring.RSA3072, Use: UseEncrypt}, "north.example", "RSA 3072", 0x20},
	} {
		r := asked(t, s, c.o)
		if got := strings.Join(append(r.DNSNames, r.EmailAddresses...), " "); got != c.names || keyring.Kind(r.PublicKey) != c.kind {
			t.Errorf("%+v: a request of %s for a key of kind %s", c.o, got, keyring.Kind(r.PublicKey))
		}
		var usage asn1.BitString
		for _, e := range r.Extensions {
			if e.Id.Equal(oidKeyUsage) {
				_, err := asn1.Unmarshal(e.Value, &usage)
				must(t, err)
			}
		}
		if len(usage.Bytes) != 1 || usage.Bytes[0] != c.usage {
			t.Errorf("%+v: key usage %x", c.o, usage.Bytes)
		}
		if !equal(r.PublicKey, asked(t, s, c.o).PublicKey) {
			t.Errorf("%+v: another key the second time", c.o)
		}
		c.o.Kind = 0
		if !equal(r.PublicKey, asked(t, s, c.o).PublicKey) {
			t.Errorf("%+v: another key where no kind is named", c.o)
		}
	}
	_, err := s.RequestCertificate(t.Context(), by, Order{Owner: Owner{Address: other}})
	want(t, err, ErrNoAccount)
	_, err = s.RequestCertificate(t.Context(), by, Order{Use: "all"})
	wantInvalid(t, err, "both")
	_, err = s.RequestCertificate(t.Context(), by, Order{Token: true, Kind: keyring.P256})
	wantInvalid(t, err, "[keys.token]")
	entries(t, s)
}

// The key of a request is its owner's from the moment its certificate is here; a request after that is for another key, and a certificate
// that renews the old one is taken without a request: DIR-06.
func TestRequestAndImport(t *testing.T) {
	s := keeper(t)
	ca := certtest.NewCA(t, "Authority")
	first := asked(t, s, Order{})
	good := answer(t, ca, "north.example", first)
	for range 2 {
		list, err := s.take(t, ca.Certificate, good) // in any order
		must(t, err)
		if len(list) != 1 || list[0].State != StateInUse || list[0].Owner.Domain != home || len(list[0].Chain) != 1 || len(list[0].Flags) != 0 {
			t.Errorf("%+v", list)
		}
	}
	second := asked(t, s, Order{})
	if equal(first.PublicKey, second.PublicKey) {
		t.Error("the next certificate would be for the old key")
	}
	if _, err := s.take(t, answer(t, ca, "north.example", first)); err != nil {
		t.Errorf("renewed without a new request: %v", err)
	}
	if !equal(second.PublicKey, asked(t, s, Order{}).PublicKey) {
		t.Error("the request has changed, but its answer has not come")
	}
	_, err := s.take(t, answer(t, ca, "north.example", second))
	must(t, err)
	_, err = s.take(t, ca.Issue(t, "north.example").Certificate)
	wantRefusal(t, "a stranger's key", err, "was not made of this installation's request")
	_, err = s.take(t, ca.Certificate)
	wantRefusal(t, "the authority alone", err, "was not made of")
	entries(t, s)
}

// What cannot be ours is refused, and nothing changes: DIR-04.
func TestUnfitCertificates(t *testing.T) {
	s := keeper(t)
	ca := certtest.NewCA(t, "Authority")
	r := asked(t, s, Order{})
	names := func(dns ...string) certtest.Edit { return func(c *x509.Certificate) { c.DNSNames = dns } }
	for name, c := range map[string]struct {
		edit certtest.Edit
		says string
	}{
		"wildcard":      {names("*.example"), "wildcard"},
		"another name":  {names("south.example"), "none of our domains"},
		"parent":        {names("example"), "none of our domains"},
		"common name":   {names(), "none of our domains"},
		"authority":     {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, "authority"},
		"expired":       {certtest.Until(certtest.NotBefore.AddDate(1, 0, 0)), "expired on 2021-01-01"},
		"not valid yet": {certtest.From(certtest.NotBefore.AddDate(10, 0, 0)), "not valid before"},
		"for servers":   {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "emailProtection"},
		"for nothing":   {certtest.Usage(x509.KeyUsageCertSign), "keyEncipherment"},
		"no account": {func(c *x509.Certificate) { c.DNSNames, c.EmailAddresses = nil, []string{other.String()} },
			"none of our addresses"},
	} {
		_, err := s.take(t, answer(t, ca, "north.example", r, c.edit))
		wantRefusal(t, name, err, c.says)
	}
	_, err := s.ImportCertificates(t.Context(), by, Files{Owner: Owner{Address: lab}, Files: [][]byte{pemOf(answer(t, ca, "north.example", r))}})
	wantRefusal(t, "of the domain, for an address", err, "that address")
	for name, data := range map[string][]byte{"no PEM": []byte("hello"), "empty": nil, "another block": pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte{1}})} {
		if _, err := s.ImportCertificates(t.Context(), by, Files{Files: [][]byte{data}}); err == nil || errors.As(err, new(*Refusal)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !equal(r.PublicKey, asked(t, s, Order{}).PublicKey) {
		t.Error("what was refused has ended the request")
	}
	if list, err := s.Certificates(t.Context(), by, Owner{}); err != nil || len(list) != 1 || list[0].State != StateWaiting {
		t.Errorf("%+v, %v", list, err)
	}
}

// What partners may stumble over is told: DIR-53.
func TestFlags(t *testing.T) {
	s := keeper(t)
	root := certtest.NewCA(t, "Root")
	mid := root.Intermediate(t, "Mid")
	aia := certtest.Points([]string{"http://ca.example/mid.cer"}, nil)
	for name, c := range map[string]struct {
		ca    *certtest.CA
		above []*x509.Certificate
		edits []certtest.Edit
		want  string
	}{
		"below the anchor":             {root, []*x509.Certificate{root.Certificate}, nil, ""},
		"longer, without AIA":          {mid, []*x509.Certificate{root.Certificate, mid.Certificate}, nil, "no-aia"},
		"longer, with AIA":             {mid, []*x509.Certificate{mid.Certificate, root.Certificate}, []certtest.Edit{aia}, ""},
		"longer, anchor not given":     {mid, []*x509.Certificate{mid.Certificate}, nil, "no-aia"},
		"alone, with AIA":              {mid, nil, []certtest.Edit{aia}, "chain-unknown"},
		"alone, without":               {mid, nil, nil, "chain-unknown no-aia"},
		"LDAP is no place for all":     {mid, []*x509.Certificate{mid.Certificate, root.Certificate}, []certtest.Edit{certtest.Points([]string{"ldap://ca.example/x"}, nil)}, "no-aia"},
		"a stranger above":             {root, []*x509.Certificate{certtest.NewCA(t, "Root").Certificate}, []certtest.Edit{aia}, "chain-unknown"},
		"the next one is wanted":       {root, []*x509.Certificate{root.Certificate}, []certtest.Edit{certtest.Until(s.clock().Add(12*24*time.Hour + time.Hour))}, "expires-soon"},
		"the next one is wanted today": {root, []*x509.Certificate{root.Certificate}, []certtest.Edit{certtest.Until(s.clock().Add(time.Hour))}, "expires-soon"},
	} {
		r := asked(t, s, Order{Kind: keyring.P256})
		edits := append([]certtest.Edit{certtest.Usage(x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement)}, c.edits...)
		list, err := s.take(t, append([]*x509.Certificate{answer(t, c.ca, "north.example", r, edits...)}, c.above...)...)
		must(t, err)
		var codes, words []string
		for _, f := range list[0].Flags {
			codes, words = append(codes, f.Code), append(words, f.Text)
			if f.Remedy == "" {
				t.Errorf("%s: %s without a remedy", name, f.Code)
			}
		}
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s: %q, want %q (%q)", name, got, c.want, words)
		}
	}
}

// The rest of a chain is fetched from where the certificate says, as far as it is to be had.
func TestChainFetched(t *testing.T) {
	web := certtest.NewServer(t)
	root := certtest.NewCA(t, "Root")
	root.Publish(t, web)
	mid := root.Intermediate(t, "Mid")
	mid.Publish(t, web)
	s := keeper(t)
	s.fetcher = func() trust.Fetcher { return web }
	list, err := s.take(t, answer(t, mid, "north.example", asked(t, s, Order{})))
	must(t, err)
	if len(list[0].Chain) != 2 || len(list[0].Flags) != 0 {
		t.Errorf("%d above it, %+v", len(list[0].Chain), list[0].Flags)
	}
	web.Put("/mid.cer", []byte("no certificate"))
	list, err = s.take(t, answer(t, mid, "north.example", asked(t, s, Order{})))
	must(t, err)
	if len(list[0].Chain) != 0 || list[0].Flags[0].Code != "chain-unknown" {
		t.Errorf("%d above it, %+v", len(list[0].Chain), list[0].Flags)
	}
}

// What is ended is in use no more, and its key stays; a request that is given up loses its key.
func TestExpire(t *testing.T) {
	s := keeper(t)
	published := 0
	s.publish = func(context.Context) error { published++; return nil }
	ca := certtest.NewCA(t, "Authority")
	list, err := s.take(t, answer(t, ca, "lab@north.example", asked(t, s, Order{Owner: Owner{Address: lab}})), ca.Certificate)
	must(t, err)
	asked(t, s, Order{Owner: Owner{Address: lab}, Kind: keyring.P256})
	all, err := s.Certificates(t.Context(), by, Owner{Address: lab})
	must(t, err)
	if len(all) != 2 || all[0].State != StateWaiting || all[1].State != StateInUse {
		t.Fatalf("%+v", all)
	}
	for _, c := range all {
		if _, err := s.ExpireCertificate(t.Context(), by, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	all, err = s.Certificates(t.Context(), by, Owner{})
	must(t, err)
	if len(all) != 1 || all[0].State != StateEnded || all[0].ID != list[0].ID || !all[0].Until.Before(s.clock()) {
		t.Errorf("%+v", all)
	}
	if published != 2 {
		t.Errorf("published %d times", published)
	}
	_, err = s.ExpireCertificate(t.Context(), by, "nothing")
	want(t, err, ErrNoCertificate)
	if got := strings.Join(entries(t, s), " "); !strings.Contains(got, "certificate.request-drop") || !strings.Contains(got, "certificate.expire") {
		t.Error(got)
	}
}

// A private key leaves the installation encrypted, for who asked for it, and comes back.
func TestExport(t *testing.T) {
	s := keeper(t)
	ca := certtest.NewCA(t, "Authority")
	list, err := s.take(t, answer(t, ca, "north.example", asked(t, s, Order{Kind: keyring.P256}), certtest.Usage(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement)), ca.Certificate)
	must(t, err)
	id := list[0].ID
	for _, e := range []Export{{ID: id, Form: FormPEM}, {ID: id, Form: FormPEM, Key: true, Password: secret}, {ID: id, Form: FormPKCS12, Key: true, Password: secret}} {
		file, err := s.ExportCertificate(t.Context(), by, e)
		must(t, err)
		if bytes.Contains(file, []byte("PRIVATE KEY")) != (e.Key && e.Form == FormPEM) {
			t.Errorf("%+v: %s", e, file)
		}
		elsewhere := keeper(t)
		back, err := elsewhere.ImportCertificates(t.Context(), by, Files{Files: [][]byte{file}, Password: secret})
		if !e.Key {
			wantRefusal(t, "without its key", err, "private key is not in the files")
			continue
		}
		must(t, err)
		if len(back) != 1 || !back[0].Certificate.Equal(list[0].Certificate) || len(back[0].Chain) != 1 {
			t.Errorf("%+v: back comes %+v", e, back)
		}
	}
	for _, e := range []Export{{ID: id, Form: "der"}, {ID: id, Form: FormPKCS12}, {ID: id, Form: FormPEM, Key: true}, {ID: id, Form: FormPEM, Key: true, Password: "short"}} {
		_, err := s.ExportCertificate(t.Context(), by, e)
		wantInvalid(t, err, "")
	}
	_, err = s.ExportCertificate(t.Context(), by, Export{ID: "nothing", Form: FormPEM})
	want(t, err, ErrNoCertificate)
	if got := strings.Join(entries(t, s), " "); strings.Count(got, "key.export") != 2 || strings.Count(got, "certificate.export") != 1 {
		t.Error(got)
	}
}
