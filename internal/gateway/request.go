package gateway

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"

	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
)

// ErrCertificate says that a certificate cannot be ours.
var ErrCertificate = errors.New("gateway: that certificate cannot be used")

func (g *Gateway) requestSetting() string { return "request:" + g.opts.Domain.String() }

// Request is the certificate request of the domain (PKCS #10, PEM), for the authority that its partners trust. The key is made at the
// first call and stays the same until its certificate has been imported.
func (g *Gateway) Request(ctx context.Context, by audit.Actor) ([]byte, error) {
	key, err := g.requestKey(ctx, by)
	if err != nil {
		return nil, fmt.Errorf("gateway: certificate request: %w", err)
	}
	// Direct 4.1: an organisational certificate names its domain as dNSName.
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: g.opts.Domain.String()}, DNSNames: []string{g.opts.Domain.String()},
	}, key)
	if err != nil {
		return nil, fmt.Errorf("gateway: certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

func (g *Gateway) requestKey(ctx context.Context, by audit.Actor) (key crypto.Signer, err error) {
	var handle string
	err = g.store.View(ctx, func(tx *store.Tx) error {
		v, _, err := tx.Setting(g.requestSetting())
		handle = string(v)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = g.store.Tx(ctx, func(tx *store.Tx) (err error) {
			if handle, err = g.keys.Generate(ctx, tx, keyring.RSA2048); err != nil {
				return err
			}
			if err := tx.SetSetting(g.requestSetting(), []byte(handle), 0); err != nil {
				return err
			}
			return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.request", Object: "domain:" + g.opts.Domain.String()})
		})
	}
	if err != nil {
		return nil, err
	}
	return g.keys.Signer(ctx, handle)
}

// Import takes the certificate that an authority made of our Request, followed by the intermediates up to its anchor, and publishes
// it. ErrCertificate where it is not of that request.
func (g *Gateway) Import(ctx context.Context, by audit.Actor, chain []*x509.Certificate) error {
	key, err := g.requestKey(ctx, by)
	if err != nil {
		return fmt.Errorf("gateway: import: %w", err)
	}
	leaf := chain[0]
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("gateway: import: %w", err)
	}
	now := g.opts.Clock()
	switch {
	case !bytes.Equal(leaf.RawSubjectPublicKeyInfo, public):
		return fmt.Errorf("%w: it was not made of this installation's request", ErrCertificate)
	case leaf.IsCA:
		return fmt.Errorf("%w: it is an authority's", ErrCertificate)
	case leaf.VerifyHostname(g.opts.Domain.String()) != nil: // Direct 4.1
		return fmt.Errorf("%w: it does not name %s as dNSName", ErrCertificate, g.opts.Domain)
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: it has expired", ErrCertificate)
	}
	var above []byte
	for _, c := range chain[1:] {
		above = append(above, c.Raw...)
	}
	err = g.store.Tx(ctx, func(tx *store.Tx) error {
		handle, _, err := tx.Setting(g.requestSetting())
		if err != nil {
			return err
		}
		row := store.Cert{
			Owner: store.Owner{Domain: g.opts.Domain}, Key: string(handle), DER: leaf.Raw, Chain: above, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		}
		if err := tx.InsertCert(&row); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.import", Object: "certificate:" + row.ID,
			Detail: map[string]string{"serial": leaf.SerialNumber.Text(16)}})
	})
	if err != nil && !errors.Is(err, store.ErrDuplicate) {
		return fmt.Errorf("gateway: import: %w", err)
	}
	if err := g.publish(ctx); err != nil {
		return fmt.Errorf("gateway: import: %w", err)
	}
	return nil
}
