package flow

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// errNoCertificate says that one of our own addresses has no certificate that it could sign with now.
var errNoCertificate = errors.New("flow: no valid certificate to sign with; carepost cert list shows those there are")

// owners are under whom rows of an address are kept, the more specific first (Direct 1.4).
func owners(a addr.Address) []store.Owner {
	return []store.Owner{{Address: a}, {Domain: a.Domain}}
}

// certs lists the certificates of one of our own addresses: its own, then its organisation's.
func (f *Flow) certs(ctx context.Context, a addr.Address) (out []store.Cert, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		out, err = certsOf(tx, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: own certificates: %w", err)
	}
	return out, nil
}

func certsOf(tx *store.Tx, a addr.Address) (out []store.Cert, err error) {
	for _, o := range owners(a) {
		cs, err := tx.Certs(o)
		if err != nil {
			return nil, err
		}
		out = append(out, cs...)
	}
	return out, nil
}

// signer is the key and certificate that one of our own addresses signs with now, by a profile. The certificate speaks for the addresses in
// also as well.
func (f *Flow) signer(ctx context.Context, p trust.Policy, a addr.Address, now time.Time, also ...addr.Address) (cms.Signer, error) {
	return f.signerThat(ctx, p, a, now, func(leaf *x509.Certificate) bool {
		return !slices.ContainsFunc(also, func(other addr.Address) bool { return !speaksFor(leaf, other) })
	})
}

// signerThat is signer with a certificate that speaks for whom it is to speak for.
func (f *Flow) signerThat(ctx context.Context, p trust.Policy, a addr.Address, now time.Time, speaks func(*x509.Certificate) bool) (cms.Signer, error) {
	cs, err := f.certs(ctx, a)
	if err != nil {
		return cms.Signer{}, err
	}
	for _, c := range cs {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			continue
		}
		leaf, err := x509.ParseCertificate(c.DER)
		if err != nil {
			return cms.Signer{}, fmt.Errorf("flow: own certificate: %w", err)
		}
		if !trust.Fits(leaf, trust.Signing) {
			continue // one for encryption alone
		}
		if !speaks(leaf) {
			continue // one of the address, say, where the organisation's is wanted
		}
		if holds, _ := f.Filters.Sign.Holds(leaf); !holds {
			continue // the installation signs with others
		}
		chain, err := x509.ParseCertificates(c.Chain)
		if err != nil {
			return cms.Signer{}, fmt.Errorf("flow: own chain: %w", err)
		}
		key, err := f.Keys.Signer(ctx, c.Key)
		if err != nil {
			return cms.Signer{}, fmt.Errorf("flow: own key: %w", err)
		}
		s, err := f.rules().Under(p).Signer(cms.Signer{Key: key, Certificate: leaf, Chain: chain, Time: now})
		if errors.Is(err, cms.ErrAlgorithm) {
			continue // another may have a key that signs
		}
		return s, err
	}
	return cms.Signer{}, errNoCertificate
}

// openers are the keys of these certificates that may open mail; expired certificates too, for old keys still decrypt (Direct 1.4).
func (f *Flow) openers(ctx context.Context, cs []store.Cert) (out []cms.Recipient, err error) {
	for _, c := range cs {
		leaf, err := x509.ParseCertificate(c.DER)
		if err != nil {
			return nil, fmt.Errorf("flow: own certificate: %w", err)
		}
		if !trust.Fits(leaf, trust.Encryption) {
			continue // one for signing alone: RFC 8550 §4.4.2
		}
		key, err := f.Keys.Opener(ctx, c.Key)
		if errors.Is(err, keyring.ErrKind) || errors.Is(err, keyring.ErrNoKey) {
			continue // a key for signing only, or one that is gone: another may open the message
		}
		if err != nil {
			return nil, fmt.Errorf("flow: own key: %w", err)
		}
		out = append(out, cms.Recipient{Certificate: leaf, Key: key})
	}
	return out, nil
}

// rules are those of every party of ours.
func (f *Flow) rules() agent.Party {
	return agent.Party{Policy: f.Policy, Tolerant: f.Tolerant, Filters: f.Filters, Configured: f.Algorithms, Revocation: f.Revocation}
}

// party is one of our own addresses with whom it trusts in the given directions.
func (f *Flow) party(ctx context.Context, a addr.Address, dirs ...transit.Direction) (agent.Party, error) {
	p := f.rules()
	var rows []store.Anchor
	var pins []store.Pin
	var between []store.Intermediate
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, pins = nil, nil
		if between, err = tx.Intermediates(); err != nil {
			return err
		}
		for _, o := range owners(a) {
			ps, err := tx.Pins(o)
			if err != nil {
				return err
			}
			pins = append(pins, ps...)
			for _, d := range dirs {
				as, err := tx.Anchors(o, d)
				if err != nil {
					return err
				}
				rows = append(rows, as...)
			}
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("flow: anchors: %w", err)
	}
	seen := map[[32]byte]bool{}
	for _, row := range rows {
		c, hash, err := f.parsed.read(row.DER)
		if err != nil {
			return p, fmt.Errorf("flow: anchor %s: %w", row.ID, err)
		}
		if !seen[hash] {
			seen[hash] = true
			p.Anchors = append(p.Anchors, c)
		}
	}
	for _, row := range between {
		c, _, err := f.parsed.read(row.DER)
		if err != nil {
			return p, fmt.Errorf("flow: intermediate: %w", err)
		}
		p.Intermediates = append(p.Intermediates, c)
	}
	for _, pin := range pins { // those of the address come first: the domain's for the same partner do not count then
		if slices.ContainsFunc(p.Pinned, func(before agent.Pin) bool { return before.Address.Equal(pin.Address) }) {
			continue
		}
		c, _, err := f.parsed.read(pin.DER)
		if err != nil {
			return p, fmt.Errorf("flow: pin %s: %w", pin.ID, err)
		}
		p.Pinned = append(p.Pinned, agent.Pin{Address: pin.Address, Certificate: c})
	}
	return p, nil
}

// directory looks our own domains up in the store and everybody else in the Directory given.
type directory struct{ f *Flow }

func (d directory) Lookup(ctx context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error) {
	local, err := d.f.IsLocal(ctx, a.Domain)
	if err != nil {
		return nil, nil, err
	}
	if !local {
		return d.f.Directory.Lookup(ctx, a)
	}
	cs, err := d.f.certs(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	now := d.f.Clock()
	var out []discovery.Found
	for _, c := range cs {
		if len(out) > 0 && c.Owner.Address.IsZero() {
			break // Direct 5.2: the organisation's certificate where the address has none
		}
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			continue // not in use yet, or no more
		}
		leaf, err := x509.ParseCertificate(c.DER)
		if err != nil {
			return nil, nil, fmt.Errorf("flow: own certificate: %w", err)
		}
		if !trust.Fits(leaf, trust.Encryption) {
			continue // one for signing alone
		}
		out = append(out, discovery.Found{Certificate: leaf, Source: discovery.SourceLocal, Name: a.Domain.String()})
	}
	return out, []discovery.Step{{Name: a.Domain.String(), Source: discovery.SourceLocal, Outcome: "our own domain"}}, nil
}
