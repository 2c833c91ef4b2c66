package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/gateway"
)

// An authority that signs what it is told to.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "Authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	a.cert = a.sign(a.cert, key.Public())
	return a
}

func (a *authority) sign(template *x509.Certificate, public any) *x509.Certificate {
	a.t.Helper()
	a.n++
	template.SerialNumber = big.NewInt(a.n)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// A store is that of its domains: without one of them its accounts would be nobody's, and under another name the authority.
func TestDomainsStay(t *testing.T) {
	dir := t.TempDir()
	lab := []addr.Domain{"lab.north.example"}
	for _, d := range []struct {
		domain addr.Domain
		others []addr.Domain
		want   error
	}{
		{"north.example", nil, nil}, {"south.example", nil, gateway.ErrDomain}, {"north.example", lab, nil}, {"north.example", nil, gateway.ErrDomain},
		{"west.example", []addr.Domain{"lab.north.example", "north.example"}, gateway.ErrDomain}, {"north.example", append(lab, "west.example"), nil},
	} {
		g, err := gateway.Open(t.Context(), gateway.Options{Dir: dir, Domain: d.domain, Domains: d.others})
		if !errors.Is(err, d.want) {
			t.Fatalf("%s: %v", d.domain, err)
		}
		if err == nil {
			g.Close()
		}
	}
}
