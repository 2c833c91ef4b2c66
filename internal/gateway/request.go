package gateway

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
)

// ErrCertificate says that a certificate cannot be ours.
var ErrCertificate = errors.New("gateway: that certificate cannot be used")

func (g *Gateway) requestSetting() string { return "request:" + g.opts.Domain.String() }

// Request is the certificate request of the domain (PKCS #10, PEM), for the authority that its partners trust. The key is made at the
// first call and stays the same until its certificate has been imported; the next request is for a new one.
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
	err = g.store.Tx(ctx, func(tx *store.Tx) (err error) {
		var version int64
		if handle, version, err = g.pending(tx); err != nil || handle != "" {
			return err
		}
		if handle, err = g.keys.Generate(ctx, tx, keyring.RSA2048); err != nil {
			return err
		}
		if err := tx.SetSetting(g.requestSetting(), []byte(handle), version); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.request", Object: "domain:" + g.opts.Domain.String()})
	})
	if err != nil {
		return nil, err
	}
	return g.keys.Signer(ctx, handle)
}

// pending is the key of the request that is under way, "" where none is.
func (g *Gateway) pending(tx *store.Tx) (handle string, version int64, err error) {
	v, version, err := tx.Setting(g.requestSetting())
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, nil
	}
	return string(v), version, err
}

// keyOf finds the key that c was made for: that of the request, or one that has a certificate already, for authorities renew also
// without a new request. "" when c is not of ours.
func (g *Gateway) keyOf(ctx context.Context, c *x509.Certificate) (string, error) {
	var handles []string
	err := g.store.View(ctx, func(tx *store.Tx) error {
		handle, _, err := g.pending(tx)
		if err != nil {
			return err
		}
		own, err := tx.Certs(store.Owner{Domain: g.opts.Domain})
		handles = []string{handle}
		for _, o := range own {
			handles = append(handles, o.Key)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	for _, handle := range handles {
		if handle == "" {
			continue
		}
		key, err := g.keys.Signer(ctx, handle)
		if err != nil {
			return "", err
		}
		if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(c.PublicKey) {
			return handle, nil
		}
	}
	return "", nil
}

// Import takes the certificate that an authority made of our Request, followed by the intermediates up to its anchor, and publishes
// it. ErrCertificate where it is not of that request.
func (g *Gateway) Import(ctx context.Context, by audit.Actor, chain []*x509.Certificate) error {
	key, err := g.keyOf(ctx, chain[0])
	if err != nil {
		return fmt.Errorf("gateway: import: %w", err)
	}
	if key == "" {
		return fmt.Errorf("%w: it was not made of this installation's request", ErrCertificate)
	}
	if err := g.usable(chain); err != nil {
		return err
	}
	leaf := chain[0]
	var above []byte
	for _, c := range chain[1:] {
		above = append(above, c.Raw...)
	}
	err = g.store.Tx(ctx, func(tx *store.Tx) error {
		row := store.Cert{
			Owner: store.Owner{Domain: g.opts.Domain}, Key: key, DER: leaf.Raw, Chain: above, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		}
		if err := tx.InsertCert(&row); err != nil {
			return err
		}
		handle, version, err := g.pending(tx)
		if err == nil && handle == key { // the request has its answer
			err = tx.SetSetting(g.requestSetting(), nil, version)
		}
		if err != nil {
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

// usable says what keeps a certificate, with those above it, from speaking for our domain now. ErrCertificate.
func (g *Gateway) usable(chain []*x509.Certificate) error {
	leaf, now := chain[0], g.opts.Clock()
	named := func(name string) bool {
		d, err := addr.ParseDomain(name)
		return err == nil && d == g.opts.Domain
	}
	mail := func(u x509.ExtKeyUsage) bool { return u == x509.ExtKeyUsageEmailProtection || u == x509.ExtKeyUsageAny }
	switch {
	case leaf.IsCA:
		return fmt.Errorf("%w: it is an authority's", ErrCertificate)
	case !slices.ContainsFunc(leaf.DNSNames, named): // Direct 4.1: the name itself, no wildcard
		return fmt.Errorf("%w: it does not name %s as dNSName", ErrCertificate, g.opts.Domain)
	case len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, mail): // RFC 8550 §4.4.4
		return fmt.Errorf("%w: its extended key usage is not for mail (emailProtection)", ErrCertificate)
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: it has expired", ErrCertificate)
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%w: it is not valid before %s; import it then", ErrCertificate, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	for i, above := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(above); err != nil {
			return fmt.Errorf("%w: certificate %d of the file was not issued by certificate %d; each is to be followed by its issuer's", ErrCertificate, i+1, i+2)
		}
	}
	return nil
}
