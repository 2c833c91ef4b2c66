package admin

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
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

// AddAnchor has an owner trust a certificate, for mail of both directions (Direct 4.2.1). source says to people where it came from. One
// that is there already stays as it is. The zero Owner is the domain of an installation that has one. ErrNoDomain, ErrNoAccount, *Invalid.
func (s *Service) AddAnchor(ctx context.Context, by audit.Actor, owner Owner, cert *x509.Certificate, source string) (out []Anchor, err error) {
	if now := s.clock(); now.After(cert.NotAfter) { // Direct 4.2.3: anchors are checked like any other certificate
		return nil, invalid("the certificate ended on %s: ask for the one that has replaced it", cert.NotAfter.UTC().Format(time.DateOnly))
	}
	print := sha256.Sum256(cert.Raw)
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		owner, err := s.owner(tx, owner)
		if err != nil {
			return err
		}
		for _, d := range []transit.Direction{transit.Inbound, transit.Outbound} {
			there, err := tx.Anchors(owner, d)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(there, func(a Anchor) bool { return string(a.DER) == string(cert.Raw) }); i >= 0 {
				out = append(out, there[i])
				continue
			}
			a := Anchor{Owner: owner, Direction: d, DER: cert.Raw, Source: source}
			if err := tx.InsertAnchor(&a); err != nil {
				return err
			}
			out = append(out, a)
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "anchor.add", Object: "anchor:" + a.ID,
				Detail: map[string]string{"sha256": hex.EncodeToString(print[:]), "subject": cert.Subject.String(), "source": source}}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, known("add anchor", err)
}

// RemoveAnchor takes the trust in a certificate away from its owner, in both directions; id is that of either. ErrNoAnchor.
func (s *Service) RemoveAnchor(ctx context.Context, by audit.Actor, id string) error {
	return known("remove anchor", s.store.Tx(ctx, func(tx *store.Tx) error {
		all, err := s.anchors(tx, Owner{})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a Anchor) bool { return a.ID == id })
		if i < 0 {
			return ErrNoAnchor
		}
		named := all[i]
		for _, a := range all {
			if a.Owner != named.Owner || string(a.DER) != string(named.DER) {
				continue
			}
			if err := tx.RemoveAnchor(a.ID); err != nil {
				return err
			}
			print := sha256.Sum256(a.DER)
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "anchor.remove", Object: "anchor:" + a.ID,
				Detail: map[string]string{"sha256": hex.EncodeToString(print[:])}}); err != nil {
				return err
			}
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
