package pilot

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// Errors of revocations.
var (
	ErrRevoked   = errors.New("pilot: revoked already")
	ErrNotIssued = errors.New("pilot: the authority has not issued that certificate")
	ErrAuthority = errors.New("pilot: that is the authority's own certificate")
)

// Revocation is what became of a certificate that was taken back.
type Revocation struct {
	Certificate *x509.Certificate
	Owner       string // an address or a domain; the host of a server certificate
	Reason      Reason
	At          time.Time
	Already     bool              // it was revoked before
	Successor   *x509.Certificate // in use from now on; nil: there is none
}

// Find finds a certificate of the authority by its serial number or the SHA-256 of it, in hexadecimal, colons and spaces allowed.
// ErrNotIssued.
func (a *Authority) Find(ctx context.Context, which string) (*x509.Certificate, error) {
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(which))
	var der []byte
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		if sum, bad := hex.DecodeString(digits); bad == nil && len(sum) == 32 {
			der, err = tx.IssuedByFingerprint(a.Domain, sum)
			return err
		}
		n, ok := new(big.Int).SetString(digits, 16)
		if !ok || len(digits) > 40 { // RFC 5280 §4.1.2.2: 20 octets
			return store.ErrNotFound
		}
		der, err = tx.Issued(a.Domain, n)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		for _, g := range a.generations() {
			if fingerprint(g.certificate.Raw) == digits || g.certificate.SerialNumber.Text(16) == strings.TrimLeft(digits, "0") {
				return g.certificate, nil
			}
		}
		return nil, ErrNotIssued
	}
	if err != nil {
		return nil, fmt.Errorf("pilot: looking for a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// Replace takes a certificate back for good, and gives its owner another for a new key at once, in the same transaction, where the
// reason is one that leaves them the right to it (Direct 6.1: keys can be compromised). One that is revoked already stays so.
// ErrNotIssued, ErrAuthority.
func (a *Authority) Replace(ctx context.Context, by audit.Actor, c *x509.Certificate, reason Reason, now time.Time) (out Revocation, err error) {
	if c.IsCA {
		return out, ErrAuthority
	}
	if !a.Issued(c) {
		return out, ErrNotIssued
	}
	err = contend(func() error {
		out = Revocation{Certificate: c, Owner: ownerName(c), Reason: reason, At: now}
		return a.replace(ctx, by, &out, now)
	})
	if err != nil {
		err = fmt.Errorf("pilot: revoking: %w", err)
	}
	return out, err
}

func (a *Authority) replace(ctx context.Context, by audit.Actor, out *Revocation, now time.Time) error {
	h, err := a.holding(ctx)
	if err != nil {
		return err
	}
	if r, ok := h.state.revocation(out.Certificate.SerialNumber); ok {
		out.Already, out.At, out.Reason = true, r.At, r.Reason
		out.Successor = h.successorOf(out.Certificate)
		return nil
	}
	next, server, err := a.afterwards(h, out.Certificate, out.Reason, now)
	if err != nil {
		return err
	}
	return a.store.Tx(ctx, func(tx *store.Tx) error {
		st := h.state
		if err := a.revoke(tx, by, &st, out.Certificate.SerialNumber, out.Reason, now); err != nil {
			return err
		}
		switch {
		case server:
			err = a.keepServer(ctx, tx, &st, next)
		case next != nil:
			err = a.keep(ctx, tx, h, *next, now)
		}
		if err != nil {
			return err
		}
		if next != nil {
			out.Successor = next.certificate
		}
		return a.write(tx, st, h.version)
	})
}

// afterwards makes what takes the place of c, if anything does. The organisation is never without.
func (a *Authority) afterwards(h holding, c *x509.Certificate, reason Reason, now time.Time) (next *successor, server bool, err error) {
	by, why := a.newest(), "the one before was revoked"
	if h.server != nil && c.Equal(h.server) {
		s, err := a.make(by, a.server(by, a.opts.Hostname, a.opts.IPs, now), P256, why, c)
		return &s, true, err
	}
	for _, l := range h.lines {
		if !l.leaf.Equal(c) || !reason.replaces() && !l.row.Owner.Address.IsZero() {
			continue
		}
		s, err := a.make(by, a.mail(by, l.order, now), l.order.Kind, why, c)
		s.order = l.order
		return &s, false, err
	}
	return nil, false, nil
}

// successorOf is what is in use now of the owner of c, for what c was for; nil: nothing.
func (h holding) successorOf(c *x509.Certificate) *x509.Certificate {
	if h.server != nil && len(c.EmailAddresses) == 0 && useOf(c) == useOf(h.server) && ownerName(c) == ownerName(h.server) {
		return h.server
	}
	for _, l := range h.lines {
		if strings.EqualFold(ownerName(l.leaf), ownerName(c)) && l.order.Use&useOf(c) != 0 {
			return l.leaf
		}
	}
	return nil
}

// ownerName is whom a certificate of ours speaks for.
func ownerName(c *x509.Certificate) string {
	for _, names := range [][]string{c.EmailAddresses, c.DNSNames} {
		if len(names) > 0 {
			return names[0]
		}
	}
	return c.Subject.CommonName
}

// Revoke takes a certificate back for good, by its serial number, also one that nothing is known of: it may have been issued after the
// backup that the installation was restored from. The next Establish or Renew replaces it. ErrRevoked.
func (a *Authority) Revoke(ctx context.Context, by audit.Actor, serial *big.Int, reason Reason, now time.Time) error {
	err := contend(func() error {
		return a.store.Tx(ctx, func(tx *store.Tx) error {
			st, version, err := a.read(tx)
			if err != nil {
				return err
			}
			if st.revoked(serial) {
				return ErrRevoked
			}
			if err := a.revoke(tx, by, &st, serial, reason, now); err != nil {
				return err
			}
			return a.write(tx, st, version)
		})
	})
	if errors.Is(err, ErrRevoked) {
		return err
	}
	if err != nil {
		return fmt.Errorf("pilot: revoking: %w", err)
	}
	return nil
}

// revoke puts a serial number on the lists: they say so from now on, and we neither sign with it nor publish it.
func (a *Authority) revoke(tx *store.Tx, by audit.Actor, st *state, serial *big.Int, reason Reason, now time.Time) error {
	st.Revoked = append(slices.Clone(st.Revoked), revoked{Serial: serial.Bytes(), At: now, Reason: reason})
	if err := a.retire(tx, serial, now); err != nil {
		return err
	}
	for _, g := range a.generations() {
		if _, err := a.publish(tx, *st, g, now); err != nil {
			return err
		}
	}
	return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.revoke", Object: a.object(),
		Detail: map[string]string{"serial": serial.Text(16), "reason": reason.String()}})
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
		if bytes.Equal(leaf.SerialNumber.Bytes(), serial.Bytes()) && a.Issued(leaf) {
			if err := tx.RetireCert(row.ID, now); err != nil {
				return err
			}
		}
	}
	return nil
}
