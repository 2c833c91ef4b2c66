package pilot

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// ErrRevoked says that a certificate was revoked before.
var ErrRevoked = errors.New("pilot: revoked already")

// CRL returns the revocation list, made anew when half of its life is over (Direct 4: regularly published). DER.
func (a *Authority) CRL(ctx context.Context, now time.Time) ([]byte, error) {
	var kept store.CRL
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.CRL(a.crlKey())
		return err
	})
	if err == nil && now.Before(kept.ThisUpdate.Add(crlLife/2)) && !now.Before(kept.ThisUpdate) {
		return kept.DER, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("pilot: revocation list: %w", err)
	}
	var der []byte
	err = a.store.Tx(ctx, func(tx *store.Tx) error {
		st, _, err := a.read(tx)
		if err != nil {
			return err
		}
		der, err = a.publish(tx, st, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pilot: revocation list: %w", err)
	}
	return der, nil
}

// crlKey names our own list among those fetched from others: no URL looks like it.
func (a *Authority) crlKey() string { return "own:" + a.Domain.String() }

// Revoke takes a certificate back for good (Direct 6.1: keys can be compromised); the next list says so.
func (a *Authority) Revoke(ctx context.Context, by audit.Actor, serial *big.Int, now time.Time) error {
	err := a.store.Tx(ctx, func(tx *store.Tx) error {
		st, version, err := a.read(tx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(st.Revoked, func(r revoked) bool { return new(big.Int).SetBytes(r.Serial).Cmp(serial) == 0 }) {
			return ErrRevoked
		}
		st.Revoked = append(st.Revoked, revoked{Serial: serial.Bytes(), At: now})
		if err := a.write(tx, st, version); err != nil {
			return err
		}
		if _, err := a.publish(tx, st, now); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.revoke", Object: "domain:" + a.Domain.String(),
			Detail: map[string]string{"serial": serial.Text(16)}})
	})
	if err != nil {
		return fmt.Errorf("pilot: revoking: %w", err)
	}
	return nil
}

// publish makes and keeps a list. Its number is the time, so that it grows (RFC 5280 §5.2.3).
func (a *Authority) publish(tx *store.Tx, st state, now time.Time) ([]byte, error) {
	list := &x509.RevocationList{Number: big.NewInt(now.UnixMilli()), ThisUpdate: now.Add(-skew), NextUpdate: now.Add(crlLife)}
	for _, r := range st.Revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(r.Serial), RevocationTime: r.At})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Certificate, a.key)
	if err != nil {
		return nil, err
	}
	return der, tx.PutCRL(store.CRL{URL: a.crlKey(), Issuer: a.Certificate.RawSubject, DER: der,
		ThisUpdate: now, NextUpdate: list.NextUpdate, Fetched: now})
}
