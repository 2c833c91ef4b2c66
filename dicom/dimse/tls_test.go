package dimse

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates for 127.0.0.1, and lays them into a folder for peers.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	a.write(t, "ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

// sign makes a certificate, signed by the authority or, the first, by itself.
func (a *authority) sign(t testing.TB, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue makes NAME.pem and NAME.key.
func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", cert.Raw)
	a.write(t, name+".key", "PRIVATE KEY", der)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// fromStorescuTLS is reached with a certificate of the caller's own.
func fromStorescuTLS(t *testing.T, all map[string][]byte) {
	a, s := newAuthority(t), &spool{}
	address := serve(t, &Server{Handler: s, TLS: &tls.Config{Certificates: []tls.Certificate{a.issue(t, "server")}, ClientCAs: a.pool(),
		ClientAuth: tls.RequireAndVerifyClientCert}})
	a.issue(t, "client")
	all = plain(t, all)
	peer(t, "storescu", "-R", "+sd", "+tls", a.path("client.key"), a.path("client.pem"), "+cf", a.path("ca.pem"), "127.0.0.1", port(address), laid(t, all))
	same(t, all, s.list())
	for _, x := range s.list() {
		if x.from.Certificate == nil || x.from.Certificate.Subject.CommonName != "client" {
			t.Fatalf("the caller's certificate: %v", x.from.Certificate)
		}
	}
}

func toStorescpTLS(t *testing.T, all map[string][]byte) {
	a, dir := newAuthority(t), t.TempDir()
	own := a.issue(t, "client")
	a.issue(t, "server")
	c := client(daemon(t, dir, "storescp", "+tls", a.path("server.key"), a.path("server.pem"), "+cf", a.path("ca.pem"), "-rc",
		"+xa", "-pm", "+B", "-fe", ".dcm", "-od", dir, "PORT"))
	c.TLS = &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{own}}
	stored(t, c, all)
	same(t, all, received(t, dir))
}

// ATT-38: who has no certificate, or one of somebody else, does not come in, and we do not speak to strangers.
func TestTLSRefuses(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	address := serve(t, &Server{Handler: &spool{}, TLS: &tls.Config{Certificates: []tls.Certificate{a.issue(t, "server")},
		ClientCAs: a.pool(), ClientAuth: tls.RequireAndVerifyClientCert}})
	for name, c := range map[string]*tls.Config{
		"none":     {RootCAs: a.pool()},
		"stranger": {RootCAs: a.pool(), Certificates: []tls.Certificate{other.issue(t, "client")}},
		"old":      {RootCAs: a.pool(), Certificates: []tls.Certificate{a.issue(t, "client")}, MaxVersion: tls.VersionTLS11},
		"ours":     {RootCAs: other.pool(), Certificates: []tls.Certificate{a.issue(t, "client")}},
		"plain":    nil,
	} {
		cl := client(address)
		cl.TLS = c
		if err := cl.Echo(deadline(t)); err == nil {
			t.Errorf("%s: an echo", name)
		} else if errors.Is(err, ErrTimeout) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := client(address)
	c.TLS = &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{a.issue(t, "client")}}
	if err := c.Echo(deadline(t)); err != nil {
		t.Error(err)
	}
}
