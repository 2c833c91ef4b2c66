package pilot

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// ErrOrder says why something cannot be issued as it was asked for.
var ErrOrder = errors.New("pilot: that cannot be issued")

// Order is what is to be issued.
type Order struct {
	Owner store.Owner
	Kind  Kind
	Use   Use
}

// Issued is a certificate of the authority, and what came of it.
type Issued struct {
	Certificate *x509.Certificate
	Order       Order
}

// Issue gives an owner of the domain a new certificate for a new key. It is in use from now on; what it is a successor of signs no
// more and is published no more, and its key goes on to decrypt. It is renewed in time as it was ordered. ErrOrder.
func (a *Authority) Issue(ctx context.Context, by audit.Actor, o Order, now time.Time) (out Issued, err error) {
	if err := a.orderable(o); err != nil {
		return out, err
	}
	err = contend(func() error {
		g := a.newest()
		s, err := a.make(g, a.mail(g, o, now), o.Kind, "it was asked for", nil)
		if err != nil {
			return err
		}
		s.order = o
		return a.store.Tx(ctx, func(tx *store.Tx) error {
			if !o.Owner.Address.IsZero() {
				if _, err := tx.Account(o.Owner.Address); errors.Is(err, store.ErrNotFound) {
					// Direct 1.4: the organisation vouches for addresses that are somebody's.
					return fmt.Errorf("%w: there is no open account of that address", ErrOrder)
				} else if err != nil {
					return err
				}
			}
			h, err := a.holdingIn(tx)
			if err != nil {
				return err
			}
			if err := a.keep(ctx, tx, h, s, now); err != nil {
				return err
			}
			if err := a.write(tx, h.state, h.version); err != nil { // who renews or revokes meanwhile looks again: store.ErrConflict
				return err
			}
			out = Issued{s.certificate, o}
			return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.order", Object: a.object(),
				Detail: map[string]string{"serial": s.certificate.SerialNumber.Text(16), "use": o.Use.String(), "kind": string(o.Kind)}})
		})
	})
	if err != nil && !errors.Is(err, ErrOrder) {
		err = fmt.Errorf("pilot: issuing: %w", err)
	}
	return out, err
}

func (a *Authority) orderable(o Order) error {
	owner, of := o.Owner, o.Owner.Domain
	if !owner.Address.IsZero() {
		of = owner.Address.Domain
	}
	switch {
	case !slices.Contains(a.domains(), of):
		return fmt.Errorf("%w: the pilot authority of %s speaks for the domains of this installation and their addresses alone", ErrOrder, a.Domain)
	case o.Use&Both == 0 || o.Use&^Both != 0 || o.Kind == "":
		return fmt.Errorf("%w: a kind of key and a use are wanted", ErrOrder)
	}
	for _, c := range []byte(owner.Address.Endpoint) {
		if c >= 0x80 { // RFC 5280 §4.2.1.6: an rfc822Name is an IA5String
			return fmt.Errorf("%w: a certificate names no address outside ASCII; the certificate of %s speaks for it", ErrOrder, of)
		}
	}
	return nil
}
