package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// ParseOwner reads a domain or an address. *Invalid.
func ParseOwner(text string) (Owner, error) {
	if strings.Contains(text, "@") {
		a, err := addr.Parse(text)
		if err != nil {
			return Owner{}, invalid("that is no address")
		}
		return Owner{Address: a}, nil
	}
	d, err := addr.ParseDomain(text)
	if err != nil {
		return Owner{}, invalid("that is neither a domain nor an address")
	}
	return Owner{Domain: d}, nil
}

// NewAnchor is a certificate to be trusted.
type NewAnchor struct {
	Owner       Owner // zero: the domain of an installation that has one
	Certificate *x509.Certificate
	Directions  []transit.Direction // none: both (Direct 4.2.1)
	Source      string              // where it came from, for people
	Evaluation  *Evaluation         // nil: nothing is said; what was said before stays
}

func both(ds []transit.Direction) []transit.Direction {
	if len(ds) == 0 {
		return []transit.Direction{transit.Inbound, transit.Outbound}
	}
	return ds
}

// AddAnchor has an owner trust a certificate. One that is there already stays as it is, but for the evaluation where one is given.
// ErrNoDomain, ErrNoAccount, *Invalid.
func (s *Service) AddAnchor(ctx context.Context, by audit.Actor, n NewAnchor) (out []Anchor, err error) {
	now := s.clock()
	if now.After(n.Certificate.NotAfter) { // Direct 4.2.3: anchors are checked like any other certificate
		return nil, invalid("the certificate ended on %s: ask for the one that has replaced it", n.Certificate.NotAfter.UTC().Format(time.DateOnly))
	}
	said, err := evaluated(n.Evaluation, now)
	if err != nil {
		return nil, err
	}
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		owner, err := s.owner(tx, n.Owner)
		if err != nil {
			return err
		}
		for _, d := range both(n.Directions) {
			a, err := addAnchor(tx, by, Anchor{Owner: owner, Direction: d, DER: n.Certificate.Raw, Source: n.Source, Evaluation: said}, n.Certificate)
			if err != nil {
				return err
			}
			out = append(out, a)
		}
		return nil
	})
	return out, known("add anchor", err)
}

func addAnchor(tx *store.Tx, by audit.Actor, a Anchor, cert *x509.Certificate) (Anchor, error) {
	there, err := tx.Anchors(a.Owner, a.Direction)
	if err != nil {
		return a, err
	}
	action := "anchor.add"
	i := slices.IndexFunc(there, func(b Anchor) bool { return b.Bundle == "" && bytes.Equal(a.DER, b.DER) })
	switch {
	case i < 0:
		err = tx.InsertAnchor(&a)
	case a.Evaluation == nil:
		return there[i], nil
	default:
		action, there[i].Evaluation = "anchor.evaluate", a.Evaluation
		a = there[i]
		err = tx.EvaluateAnchor(a.ID, a.Evaluation)
	}
	if err != nil {
		return a, err
	}
	print := sha256.Sum256(cert.Raw)
	detail := map[string]string{"sha256": hex.EncodeToString(print[:]), "subject": cert.Subject.String(), "source": a.Source,
		"direction": DirectionWord(a.Direction)}
	maps.Copy(detail, evaluationDetail(a.Evaluation))
	return a, audit.Write(tx, audit.Entry{Actor: by, Action: action, Object: "anchor:" + a.ID, Detail: detail})
}

// DirectionWord is "inbound", "outbound" or, for the zero Direction, "both".
func DirectionWord(d transit.Direction) string {
	switch d {
	case transit.Inbound:
		return "inbound"
	case transit.Outbound:
		return "outbound"
	}
	return "both"
}

// RemoveAnchor takes the trust in a certificate away from its owner, in these directions or, when none is given, both; id is that of
// either. ErrNoAnchor; *Invalid where it is of a bundle.
func (s *Service) RemoveAnchor(ctx context.Context, by audit.Actor, id string, directions ...transit.Direction) error {
	return known("remove anchor", s.store.Tx(ctx, func(tx *store.Tx) error {
		all, err := s.anchors(tx, Owner{})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a Anchor) bool { return a.ID == id })
		if i < 0 {
			return ErrNoAnchor
		}
		named, n := all[i], 0
		if named.Bundle != "" {
			return invalid("it is of the bundle %s, which would bring it again: carepost trust bundle remove %s takes all of it away", named.Bundle, named.Bundle)
		}
		for _, a := range all {
			if a.Owner != named.Owner || a.Bundle != "" || !bytes.Equal(a.DER, named.DER) || !slices.Contains(both(directions), a.Direction) {
				continue
			}
			n++
			if err := tx.RemoveAnchor(a.ID); err != nil {
				return err
			}
			print := sha256.Sum256(a.DER)
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "anchor.remove", Object: "anchor:" + a.ID,
				Detail: map[string]string{"sha256": hex.EncodeToString(print[:]), "direction": DirectionWord(a.Direction)}}); err != nil {
				return err
			}
		}
		if n == 0 {
			return ErrNoAnchor // not in that direction
		}
		return nil
	}))
}

// Anchors lists what an owner trusts, one row for each direction; what everybody here trusts when owner is zero.
func (s *Service) Anchors(ctx context.Context, by audit.Actor, owner Owner) (out []Anchor, err error) {
	err = s.store.Tx(ctx, func(tx *store.Tx) (err error) {
		if out, err = s.anchors(tx, owner); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "anchor.list", Object: "anchor:all"})
	})
	return out, known("anchors", err)
}

func (s *Service) anchors(tx *store.Tx, owner Owner) (out []Anchor, err error) {
	owners := []Owner{owner}
	if owner == (Owner{}) {
		if owners, err = s.owners(tx); err != nil {
			return nil, err
		}
	} else if _, err := s.owner(tx, owner); err != nil {
		return nil, err
	}
	for _, o := range owners {
		for _, d := range []transit.Direction{transit.Inbound, transit.Outbound} {
			of, err := tx.Anchors(o, d)
			if err != nil {
				return nil, err
			}
			out = append(out, of...)
		}
	}
	return out, nil
}

// owners are all domains and addresses of ours, closed ones too.
func (s *Service) owners(tx *store.Tx) (out []Owner, err error) {
	domains, err := tx.Domains()
	if err != nil {
		return nil, err
	}
	for _, d := range domains {
		out = append(out, Owner{Domain: d.Name})
		accounts, err := tx.Accounts(d.Name)
		if err != nil {
			return nil, err
		}
		for _, a := range accounts {
			out = append(out, Owner{Address: a.Address})
		}
	}
	return out, nil
}

// Resolve says whether o is ours, and which domain the zero Owner is. ErrNoDomain, ErrNoAccount, *Invalid.
func (s *Service) Resolve(ctx context.Context, o Owner) (out Owner, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) { out, err = s.owner(tx, o); return err })
	return out, known("owner", err)
}

// owner says whether o is ours, and which domain the zero Owner is.
func (s *Service) owner(tx *store.Tx, o Owner) (Owner, error) {
	switch {
	case !o.Address.IsZero():
		account, err := open(tx, o.Address)
		return Owner{Address: account.Address}, err
	case o.Domain != "":
		_, err := tx.Domain(o.Domain)
		if errors.Is(err, store.ErrNotFound) {
			err = ErrNoDomain
		}
		return o, err
	}
	all, err := tx.Domains()
	switch {
	case err != nil:
		return o, err
	case len(all) != 1:
		return o, invalid("say whose anchor it is: a domain or an address of this installation")
	}
	return Owner{Domain: all[0].Name}, nil
}
