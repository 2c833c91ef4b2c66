package gateway

import (
	"context"

	"carepost/internal/admin"
	"carepost/internal/audit"
	"carepost/internal/keyring"
)

// Request is the certificate request of the domain (PKCS #10, PEM): see admin.Service.RequestCertificate.
func (g *Gateway) Request(ctx context.Context, by audit.Actor) ([]byte, error) {
	return g.admin.RequestCertificate(ctx, by, admin.Order{Owner: admin.Owner{Domain: g.opts.Domain}})
}

// Admin looks after the people, the trust and the certificates of the installation.
func (g *Gateway) Admin() *admin.Service { return g.admin }

// openKeys opens the private keys, those on the token too. The token is asked when a key of it is used first.
func (g *Gateway) openKeys() (_ *keyring.Keyring, err error) {
	if g.opts.Token.Module != "" {
		if g.token, err = keyring.OpenToken(g.opts.Token); err != nil {
			return nil, err
		}
	}
	return keyring.NewWith(g.store, g.token), nil
}
