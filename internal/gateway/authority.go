package gateway

import (
	"context"
	"crypto/x509"
	"time"

	"carepost/internal/certd"
)

// certdOptions is what certd serves of the pilot authority: nothing where there is none.
func (g *Gateway) certdOptions() certd.Options {
	if g.authority == nil {
		return certd.Options{}
	}
	return certd.Options{
		Certificate: func(_ context.Context, name string) ([]byte, bool) { return g.authority.Certificate(name) },
		Bundle:      func(_ context.Context, name string) ([]byte, bool) { return g.authority.Bundle(name, g.opts.Clock()) },
		CRL:         g.crl,
		OCSP: func(ctx context.Context, name string, request []byte) ([]byte, time.Time, bool) {
			if name != g.authority.Responder() {
				return nil, time.Time{}, false
			}
			a := g.authority.OCSP(ctx, request, g.opts.Clock())
			return a.DER, a.Until, true
		},
		Clock: g.opts.Clock,
	}
}

func (g *Gateway) crl(ctx context.Context, name string) ([]byte, bool) {
	if _, ok := g.authority.Certificate(name); !ok {
		return nil, false
	}
	der, err := g.authority.CRL(ctx, name, g.opts.Clock())
	if err != nil {
		g.opts.Log.Error("revocation list", "error", err)
	}
	return der, err == nil
}

// CRL is the present revocation list of the pilot CA, DER.
func (g *Gateway) CRL(ctx context.Context) ([]byte, error) {
	all := g.authority.Names()
	return g.authority.CRL(ctx, all[len(all)-1], g.opts.Clock())
}

// Anchor is the certificate of the pilot CA: what partners are given to trust. nil where there is none.
func (g *Gateway) Anchor() *x509.Certificate {
	if g.authority == nil {
		return nil
	}
	return g.authority.Anchor()
}

// trustOurs has mail within the domain trusted by each key of our own authority.
func (g *Gateway) trustOurs(ctx context.Context) error {
	for _, c := range g.authority.Anchors(g.opts.Clock()) {
		if err := g.Trust(ctx, actor, c, "our own pilot CA"); err != nil {
			return err
		}
	}
	return nil
}
