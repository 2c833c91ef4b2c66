package pilot

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
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
	if err == nil && fresh(kept, now) {
		return kept.DER, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("pilot: revocation list: %w", err)
	}
	var der []byte
	err = a.store.Tx(ctx, func(tx *store.Tx) error {
		kept, err := tx.CRL(a.crlKey())
		if err == nil && fresh(kept, now) { // somebody else was first
			der = kept.DER
			return nil
		}
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

func fresh(kept store.CRL, now time.Time) bool {
	return now.Before(kept.ThisUpdate.Add(crlLife/2)) && !now.Before(kept.ThisUpdate)
}

// crlKey names our own list among those fetched from others: no URL looks like it.
func (a *Authority) crlKey() string { return "own:" + a.Domain.String() }

// Revoke takes a certificate back for good (Direct 6.1: keys can be compromised): the list says so from now on, and we neither sign
// with it nor publish it. The next Establish or Renew replaces it. ErrRevoked.
func (a *Authority) Revoke(ctx context.Context, by audit.Actor, serial *big.Int, now time.Time) error {
	err := a.store.Tx(ctx, func(tx *store.Tx) error {
		st, version, err := a.read(tx)
		if err != nil {
			return err
		}
		if st.revoked(serial) {
			return ErrRevoked
		}
		st.Revoked = append(st.Revoked, revoked{Serial: serial.Bytes(), At: now})
		if err := a.write(tx, st, version); err != nil {
			return err
		}
		if err := a.retire(tx, serial, now); err != nil {
			return err
		}
		if _, err := a.publish(tx, st, now); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.revoke", Object: "domain:" + a.Domain.String(),
			Detail: map[string]string{"serial": serial.Text(16)}})
	})
	if errors.Is(err, ErrRevoked) {
		return err
	}
	if err != nil {
		return fmt.Errorf("pilot: revoking: %w", err)
	}
	return nil
}

// retire ends the use of our own certificate of that serial number, if we have it.
func (a *Authority) retire(tx *store.Tx, serial *big.Int, now time.Time) error {
	rows, err := tx.AllCerts()
	if err != nil {
		return err
	}
	for _, row := range rows {
		leaf, err := x509.ParseCertificate(row.DER)
		if err != nil {
			return err
		}
		if leaf.SerialNumber.Cmp(serial) == 0 && a.Issued(leaf) {
			if err := tx.RetireCert(row.ID, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// number of the next list: the time, or one more than the last if the clock stood or went back (RFC 5280 §5.2.3: it grows).
func (a *Authority) number(tx *store.Tx, now time.Time) (*big.Int, error) {
	n := big.NewInt(now.UnixMilli())
	kept, err := tx.CRL(a.crlKey())
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

// publish makes and keeps a list.
func (a *Authority) publish(tx *store.Tx, st state, now time.Time) ([]byte, error) {
	number, err := a.number(tx, now)
	if err != nil {
		return nil, err
	}
	list := &x509.RevocationList{Number: number, ThisUpdate: now.Add(-skew), NextUpdate: now.Add(crlLife)}
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
