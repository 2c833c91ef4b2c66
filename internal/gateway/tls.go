package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// TLS names the server certificate that mail servers and mail programs are shown, PEM files. Both empty: that of the pilot authority,
// or one that nobody vouches for.
type TLS struct{ Certificate, Key string }

// Show has new connections see the server certificate that is in use now. On an error the old one is shown further.
func (g *Gateway) Show(ctx context.Context, t TLS) error {
	g.showing.Lock()
	defer g.showing.Unlock()
	return g.show(ctx, t)
}

// showAgain is Show of what was named last: its files may have changed, and our own certificate may have been replaced.
func (g *Gateway) showAgain(ctx context.Context) error {
	g.showing.Lock()
	defer g.showing.Unlock()
	return g.show(ctx, g.tls)
}

func (g *Gateway) show(ctx context.Context, t TLS) error {
	cert, err := g.serverCertificate(ctx, t)
	if err != nil {
		return fmt.Errorf("gateway: server certificate: %w", err)
	}
	g.tls = t
	g.shown.Store(&cert)
	return nil
}

func (g *Gateway) serverCertificate(ctx context.Context, t TLS) (tls.Certificate, error) {
	switch {
	case t.Certificate != "":
		return tls.LoadX509KeyPair(t.Certificate, t.Key)
	case g.authority != nil:
		return g.authority.ServerCertificate(ctx, g.opts.Clock())
	}
	if have := g.shown.Load(); have != nil && have.Leaf != nil && g.opts.Clock().Before(have.Leaf.NotAfter.Add(-selfSignedLife/2)) {
		return *have, nil
	}
	return g.selfSigned()
}

const selfSignedLife = 365 * 24 * time.Hour

// selfSigned protects from those who only listen (RFC 7435): other servers encrypt to it without asking whose it is.
func (g *Gateway) selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := g.opts.Clock()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: g.opts.Hostname}, DNSNames: []string{g.opts.Hostname},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if a := g.opts.Face.Address; a.IsValid() {
		template.IPAddresses = []net.IP{a.AsSlice()}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func (g *Gateway) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return g.shown.Load(), nil
}
