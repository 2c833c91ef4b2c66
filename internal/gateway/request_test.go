package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
)

// An authority that answers requests.
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

// answer makes the certificate that is asked for, but for what change does to it.
func (a *authority) answer(request []byte, change func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	block, _ := pem.Decode(request)
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := r.CheckSignature(); err != nil {
		a.t.Error(err)
	}
	c := &x509.Certificate{Subject: r.Subject, DNSNames: r.DNSNames, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, BasicConstraintsValid: true}
	if change != nil {
		change(c)
	}
	return a.sign(c, r.PublicKey)
}

// The key of a request is the domain's from the moment its certificate is here; a request after that is for another key, and a
// certificate that renews the old one is taken without a request.
func TestRequestAndImport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "north")
	g, err := gateway.Open(t.Context(), gateway.Options{Dir: dir, Domain: "north.example", Hostname: "mx.provider.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ca := newAuthority(t)
	request := func() []byte {
		t.Helper()
		r, err := g.Request(t.Context(), gatewaytest.Actor)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	key := func(r []byte) any {
		block, _ := pem.Decode(r)
		q, _ := x509.ParseCertificateRequest(block.Bytes)
		return q.PublicKey
	}
	take := func(chain ...*x509.Certificate) error { return g.Import(t.Context(), gatewaytest.Actor, chain) }

	first := request()
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		says   string
	}{
		"wildcard":      {func(c *x509.Certificate) { c.DNSNames = []string{"*.example"} }, "dNSName"},
		"another name":  {func(c *x509.Certificate) { c.DNSNames = []string{"south.example"} }, "dNSName"},
		"common name":   {func(c *x509.Certificate) { c.DNSNames = nil }, "dNSName"},
		"authority":     {func(c *x509.Certificate) { c.IsCA = true }, "authority"},
		"expired":       {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }, "expired"},
		"not valid yet": {func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour / 2) }, "not valid before"},
		"for servers":   {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "emailProtection"},
	} {
		if err := take(ca.answer(first, c.change)); !errors.Is(err, gateway.ErrCertificate) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := ca.answer(first, nil)
	if err := take(good, newAuthority(t).cert); !errors.Is(err, gateway.ErrCertificate) || !strings.Contains(err.Error(), "certificate 1 of the file was not issued by certificate 2") {
		t.Errorf("a chain of strangers: %v", err)
	}
	if !equalKeys(key(first), key(request())) {
		t.Error("what was refused has ended the request")
	}
	for range 2 {
		if err := take(good, ca.cert); err != nil {
			t.Fatal(err)
		}
	}
	second := request()
	if equalKeys(key(first), key(second)) {
		t.Error("the next certificate would be for the old key")
	}
	if err := take(ca.answer(first, nil)); err != nil {
		t.Errorf("renewed without a new request: %v", err)
	}
	if !equalKeys(key(second), key(request())) {
		t.Error("the request has changed, but its answer has not come")
	}
	if err := take(ca.answer(second, nil)); err != nil {
		t.Error(err)
	}
	other := ca.sign(&x509.Certificate{DNSNames: []string{"north.example"}, NotAfter: time.Now().Add(time.Hour)}, ca.key.Public())
	if err := take(other); !errors.Is(err, gateway.ErrCertificate) || !strings.Contains(err.Error(), "request") {
		t.Errorf("a stranger's key: %v", err)
	}
}

func equalKeys(a, b any) bool {
	x, _ := x509.MarshalPKIXPublicKey(a)
	y, _ := x509.MarshalPKIXPublicKey(b)
	return string(x) == string(y)
}

// A store is one domain's: under another name its accounts and authority would be nobody's.
func TestOneDomain(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []struct {
		domain string
		want   error
	}{{"north.example", nil}, {"south.example", gateway.ErrDomain}, {"north.example", nil}} {
		o := gateway.Options{Dir: dir}
		if err := o.Domain.UnmarshalText([]byte(d.domain)); err != nil {
			t.Fatal(err)
		}
		g, err := gateway.Open(t.Context(), o)
		if !errors.Is(err, d.want) {
			t.Fatalf("%s: %v", d.domain, err)
		}
		if err == nil {
			g.Close()
		}
	}
}
