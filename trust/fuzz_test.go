package trust

import (
	"crypto/x509"
	"testing"
	"time"

	"carepost/addr"
	"carepost/trust/certtest"
)

func FuzzParseCRL(f *testing.F) {
	ca := certtest.NewCA(f, "R")
	leaf := ca.Issue(f, "lab@h.example").Certificate
	f.Add(ca.CRL(f).Raw)
	f.Add(ca.CRL(f, leaf, ca.Certificate).Raw)
	f.Add([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := parseCRL(raw)
		if err != nil {
			return
		}
		if len(l.signed)+len(l.entries) > 2*len(raw) {
			t.Fatal("more came out than went in")
		}
		// Whatever this list is, it reads the same as in other eyes.
		entry, listed := l.find(leaf.SerialNumber)
		other, err := x509.ParseRevocationList(l.raw)
		if err != nil {
			return // stricter about entries than we are, who refuse nothing on their account
		}
		found := false
		for _, e := range other.RevokedCertificateEntries {
			found = found || e.SerialNumber.Cmp(leaf.SerialNumber) == 0
		}
		if found && !listed {
			t.Fatalf("an entry is overlooked (%v)", entry)
		}
	})
}

// No certificate whatever, however mangled, is trusted unless it bears the anchor's signature.
func FuzzJudge(f *testing.F) {
	ca := certtest.NewCA(f, "R")
	ca.AIA, ca.CDP = []string{"http://h.example/r.cer"}, nil
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	good := ca.Issue(f, "lab@h.example")
	f.Add(good.Certificate.Raw, "lab@h.example")
	f.Add(certtest.SelfSigned(f, "h.example").Certificate.Raw, "lab@h.example")
	f.Fuzz(func(t *testing.T, der []byte, address string) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		a, err := addr.Parse(address)
		if err != nil {
			return
		}
		var j Judge
		v := j.Judge(t.Context(), Question{Certificate: c, Address: a, Anchors: []*x509.Certificate{ca.Certificate},
			Intermediates: []*x509.Certificate{c, good.Certificate}, Now: now})
		if v.Status == Trusted && c.CheckSignatureFrom(ca.Certificate) != nil {
			t.Fatal("trusted without a signature")
		}
	})
}

func FuzzNameConstraints(f *testing.F) {
	f.Add("lab@h.example", "h.example")
	f.Add("lab@h.example", ".example")
	f.Add("*.h.example", "LAB@h.example")
	f.Fuzz(func(t *testing.T, name, constraint string) {
		if m, ok := matchMail(name, constraint); m && !ok {
			t.Fatal("an unreadable name matches")
		}
		if m, ok := matchHost(name, constraint); m && !ok {
			t.Fatal("an unreadable name matches")
		}
		if m, _ := matchHost("a."+constraint, constraint); !m && constraint != "" && constraint[0] != '.' {
			if _, err := addr.ParseDomain("a." + constraint); err == nil {
				t.Fatalf("a label to the left of %q is not below it", constraint)
			}
		}
		if m, ok := matchURIHost(name, constraint); m && !ok {
			t.Fatal("an unreadable URI matches")
		}
		if m, ok := matchIP(name, constraint); m && !ok {
			t.Fatal("an unreadable address of IP matches")
		}
	})
}
