package pilot

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"carepost/internal/store"
)

// ErrName says that the authority has no key of that name.
var ErrName = errors.New("pilot: there is no such authority")

// CRL returns the revocation list of the key that certd calls name, made anew when half of its life is over (Direct 4: regularly
// published). DER. ErrName.
func (a *Authority) CRL(ctx context.Context, name string, now time.Time) ([]byte, error) {
	g, ok := a.named(name)
	if !ok {
		return nil, ErrName
	}
	var kept store.CRL
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.CRL(a.crlKey(g))
		return err
	})
	if err == nil && fresh(kept, now) {
		return kept.DER, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("pilot: revocation list: %w", err)
	}
	var der []byte
	err = contend(func() error {
		return a.store.Tx(ctx, func(tx *store.Tx) error {
			kept, err := tx.CRL(a.crlKey(g))
			if err == nil && fresh(kept, now) { // somebody else was first
				der = kept.DER
				return nil
			}
			st, version, err := a.read(tx)
			if err != nil {
				return err
			}
			if der, err = a.publish(tx, st, g, now); err != nil {
				return err
			}
			return a.write(tx, st, version) // what was revoked meanwhile is not to be missing: store.ErrConflict
		})
	})
	if err != nil {
		return nil, fmt.Errorf("pilot: revocation list: %w", err)
	}
	return der, nil
}

func fresh(kept store.CRL, now time.Time) bool {
	return now.Before(kept.ThisUpdate.Add(crlLife/2)) && !now.Before(kept.ThisUpdate)
}

// crlKey names our own list among those fetched from others: no URL looks like it.
func (a *Authority) crlKey(g generation) string {
	key := "own:" + a.Domain.String()
	if g.n > 1 {
		key += ":" + g.name()
	}
	return key
}

// number of the next list: the time, or one more than the last if the clock stood or went back (RFC 5280 §5.2.3: it grows).
func (a *Authority) number(tx *store.Tx, g generation, now time.Time) (*big.Int, error) {
	n := big.NewInt(now.UnixMilli())
	kept, err := tx.CRL(a.crlKey(g))
	if errors.Is(err, store.ErrNotFound) {
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	last, err := x509.ParseRevocationList(kept.DER)
	if err != nil {
		return nil, err
	}
	if last.Number.Cmp(n) >= 0 {
		n.Add(last.Number, big.NewInt(1))
	}
	return n, nil
}

// publish makes and keeps the list of one key. All that was revoked is on it: the keys share one name, and serial numbers are unique
// below it.
func (a *Authority) publish(tx *store.Tx, st state, g generation, now time.Time) ([]byte, error) {
	number, err := a.number(tx, g, now)
	if err != nil {
		return nil, err
	}
	list := &x509.RevocationList{Number: number, ThisUpdate: now.Add(-skew), NextUpdate: now.Add(crlLife)}
	for _, r := range st.Revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(r.Serial), RevocationTime: r.At, ReasonCode: int(r.Reason)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, g.certificate, g.key)
	if err != nil {
		return nil, err
	}
	return der, tx.PutCRL(store.CRL{URL: a.crlKey(g), Issuer: g.certificate.RawSubject, DER: der,
		ThisUpdate: now, NextUpdate: list.NextUpdate, Fetched: now})
}
