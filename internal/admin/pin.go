package admin

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/trust"
)

// NewPin is a certificate that is to be believed for one address alone.
type NewPin struct {
	Owner       Owner // of ours, who believes it; zero: the domain of an installation that has one
	Address     addr.Address
	Certificate *x509.Certificate
	Source      string // where it came from, for people
	Vouched     string // who has compared the fingerprint, and how
}

// Pin has an owner believe a certificate for exactly one address, in the place of the one believed so far (Direct 4.2.3). ErrNoDomain,
// ErrNoAccount, *Invalid.
func (s *Service) Pin(ctx context.Context, by audit.Actor, n NewPin) (p Pin, err error) {
	err = s.store.Tx(ctx, func(tx *store.Tx) (err error) {
		p, err = s.PinIn(tx, by, n)
		return err
	})
	return p, known("pin", err)
}

// PinIn is Pin inside the transaction of somebody who has more to do in it.
func (s *Service) PinIn(tx *store.Tx, by audit.Actor, n NewPin) (p Pin, err error) {
	owner, err := s.owner(tx, n.Owner)
	if err != nil {
		return p, err
	}
	n.Vouched = strings.TrimSpace(n.Vouched)
	if err := pinnable(tx, n, s.clock()); err != nil {
		return p, err
	}
	p = Pin{Owner: owner, Address: n.Address, DER: n.Certificate.Raw, Source: n.Source, Vouched: n.Vouched, By: string(by)}
	before, err := pinOf(tx, owner, n.Address)
	if err != nil {
		return p, err
	}
	if err := tx.PutPin(&p); err != nil {
		return p, err
	}
	detail := pinDetail(p)
	if before != nil {
		detail["in the place of"] = hexPrint(before.DER)
	}
	return p, audit.Write(tx, audit.Entry{Actor: by, Action: "pin.add", Object: "pin:" + p.ID, Detail: detail})
}

// pinnable says why a certificate cannot be pinned: *Invalid.
func pinnable(tx *store.Tx, n NewPin, now time.Time) error {
	if len(n.Vouched) > maxWords {
		return invalid("say in fewer words who has vouched: %d bytes at most", maxWords)
	}
	if now.After(n.Certificate.NotAfter) {
		return invalid("the certificate ended on %s: ask for the one that has replaced it", n.Certificate.NotAfter.UTC().Format(time.DateOnly))
	}
	// Direct 4.1: a certificate that does not name the address would never be believed for it.
	if b, why := trust.Names(n.Certificate, n.Address); b == trust.Unbound {
		return invalid("the certificate does not name that address (%s): ask for one that does", why)
	}
	all, err := tx.Domains()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(d store.Domain) bool { return d.Name == n.Address.Domain }) {
		return invalid("the address is one of our own: its certificate needs nobody to vouch for it")
	}
	return nil
}

func pinOf(tx *store.Tx, o Owner, a addr.Address) (*Pin, error) {
	all, err := tx.Pins(o)
	if i := slices.IndexFunc(all, func(p Pin) bool { return p.Address.Equal(a) }); err == nil && i >= 0 {
		return &all[i], nil
	}
	return nil, err
}

// pinDetail is what the audit keeps of a pin. The detail is sealed: it may name the partner.
func pinDetail(p Pin) map[string]string {
	return map[string]string{"sha256": hexPrint(p.DER), "address": p.Address.String(), "vouched": p.Vouched, "source": p.Source}
}

func hexPrint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Pins lists those of an owner; those of everybody here when owner is zero.
func (s *Service) Pins(ctx context.Context, by audit.Actor, owner Owner) (out []Pin, err error) {
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		if owner == (Owner{}) {
			out, err = tx.AllPins()
		} else if _, err = s.owner(tx, owner); err == nil {
			out, err = tx.Pins(owner)
		}
		if err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "pin.list", Object: "pin:all"})
	})
	return out, known("pins", err)
}

// Unpin believes a pinned certificate no longer. ErrNoPin.
func (s *Service) Unpin(ctx context.Context, by audit.Actor, id string) error {
	return known("unpin", s.store.Tx(ctx, func(tx *store.Tx) error {
		all, err := tx.AllPins()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(p Pin) bool { return p.ID == id })
		if i < 0 {
			return ErrNoPin
		}
		if err := tx.RemovePin(id); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "pin.remove", Object: "pin:" + id, Detail: pinDetail(all[i])})
	}))
}
