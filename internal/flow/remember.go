package flow

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"carepost/addr"
	"carepost/certificate"
	"carepost/internal/store"
	"carepost/trust"
)

// remember keeps the certificate of a trusted signer for the addresses that it is bound to (Direct 2.3: other ways to find certificates),
// where that is wanted, and where something can be encrypted to it.
func (f *Flow) remember(tx *store.Tx, ours addr.Domain, senders []addr.Address, c *x509.Certificate, signed time.Time) error {
	const encrypts = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
	if !f.Remember || c.KeyUsage != 0 && c.KeyUsage&encrypts == 0 {
		return nil
	}
	for _, partner := range senders {
		if b, _ := trust.Names(c, partner); b == trust.Unbound {
			continue
		}
		if err := tx.Remember(ours, partner, store.Remembered{DER: c.Raw, Signed: signed}); err != nil {
			return err
		}
	}
	return nil
}

// Remembered gives the certificates that signed mail from a has brought to one of our domains, those that have not ended: the one that
// signed last first.
func (f *Flow) Remembered(ctx context.Context, ours addr.Domain, a addr.Address) (out []*x509.Certificate, err error) {
	var list []store.Remembered
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.Remembered(ours, a)
		return err
	})
	now := f.Clock()
	for _, r := range list {
		c, err := certificate.Parse(r.DER)
		if err == nil && !now.After(c.NotAfter) && !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	return out, err
}
