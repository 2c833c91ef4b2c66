package gateway

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/pilot"
	"carepost/internal/store"
	"carepost/trust"
)

// Trust adds an anchor of all of our domains, for both directions (Direct 4.2.1). An anchor that is there already stays.
func (g *Gateway) Trust(ctx context.Context, by audit.Actor, anchor *x509.Certificate, source string) error {
	for _, d := range g.domains() {
		if _, err := g.admin.AddAnchor(ctx, by, admin.NewAnchor{Owner: admin.Owner{Domain: d}, Certificate: anchor, Source: source}); err != nil {
			return err
		}
	}
	return nil
}

// fromCard begins the source of an anchor that came with a partner's card.
const fromCard = "card of "

// TrustCard is Trust for the anchor on a partner's card.
func (g *Gateway) TrustCard(ctx context.Context, by audit.Actor, anchor *x509.Certificate, partner addr.Domain) error {
	return g.Trust(ctx, by, anchor, fromCard+partner.String())
}

// DistrustCard takes back what TrustCard did. An anchor that is there for another reason stays: our own, or one that somebody added.
func (g *Gateway) DistrustCard(ctx context.Context, by audit.Actor, anchor *x509.Certificate) error {
	var there []admin.Anchor
	for _, d := range g.domains() {
		of, err := g.admin.Anchors(ctx, by, admin.Owner{Domain: d})
		if err != nil {
			return err
		}
		there = append(there, of...)
	}
	for _, a := range there {
		if !anchor.Equal(&x509.Certificate{Raw: a.DER}) || !strings.HasPrefix(a.Source, fromCard) {
			continue
		}
		if err := g.admin.RemoveAnchor(ctx, by, a.ID); err != nil && !errors.Is(err, admin.ErrNoAnchor) { // gone with its twin
			return err
		}
	}
	return nil
}

// AddAccount gives the domain an address. One that is there already stays.
func (g *Gateway) AddAccount(ctx context.Context, by audit.Actor, a addr.Address) error {
	err := g.admin.AddAccount(ctx, by, a)
	if errors.Is(err, admin.ErrOpen) {
		return nil
	}
	return err
}

// ExportIdentity writes the private key (PKCS #8) and certificate, in PEM, by which the organisation's mail is opened now: for a person who asked
// for exactly that. Where signing and encryption have separate certificates, that is the one for encryption.
func (g *Gateway) ExportIdentity(ctx context.Context, by audit.Actor) (key, cert []byte, err error) {
	var own *store.Cert
	err = g.store.Tx(ctx, func(tx *store.Tx) (err error) {
		if own, err = g.current(tx, trust.Encryption); err != nil {
			return err
		}
		if own == nil {
			return store.ErrNotFound
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "key.export", Object: "domain:" + g.opts.Domain.String()})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("gateway: export: %w", err)
	}
	if key, err = g.keys.Export(ctx, own.Key); err != nil {
		return nil, nil, fmt.Errorf("gateway: export: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.DER}), nil
}

// current is the newest of the organisation's certificates that is in use and fit for that use, or nil.
func (g *Gateway) current(tx *store.Tx, use trust.Use) (*store.Cert, error) {
	rows, err := tx.Certs(store.Owner{Domain: g.opts.Domain})
	if err != nil {
		return nil, err
	}
	now := g.opts.Clock()
	for _, row := range rows {
		c, err := x509.ParseCertificate(row.DER)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", row.ID, err)
		}
		if !now.Before(row.NotBefore) && !now.After(row.NotAfter) && trust.Fits(c, use) {
			return &row, nil
		}
	}
	return nil, nil
}

// Sealed opens the sealed message of a recipient, as it went over the wire. The caller closes it.
func (g *Gateway) Sealed(ctx context.Context, r store.Recipient) (*blob.Body, error) {
	return g.flow.Sealed(ctx, r)
}

// Revoke takes the certificates of our domains back, also those replaced since, as far as our own authority issued them: the
// revocation list says so from now on, and the domain publishes them no more (Direct 6.1). What is revoked already stays so. Nothing
// is signed until the next upkeep or Open gives the domain another certificate.
func (g *Gateway) Revoke(ctx context.Context, by audit.Actor) error {
	var own []store.Cert
	err := g.store.View(ctx, func(tx *store.Tx) error {
		own = nil
		for _, d := range g.domains() {
			of, err := tx.Certs(store.Owner{Domain: d})
			if err != nil {
				return err
			}
			own = append(own, of...)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("gateway: revoke: %w", err)
	}
	for _, c := range own {
		leaf, err := x509.ParseCertificate(c.DER)
		if err != nil {
			return fmt.Errorf("gateway: revoke: %w", err)
		}
		if g.authority == nil || !g.authority.Issued(leaf) {
			continue
		}
		if err := g.authority.Revoke(ctx, by, leaf.SerialNumber, pilot.Unspecified, g.opts.Clock()); err != nil && !errors.Is(err, pilot.ErrRevoked) {
			return fmt.Errorf("gateway: revoke: %w", err)
		}
	}
	if err := g.publish(ctx); err != nil {
		return fmt.Errorf("gateway: revoke: %w", err)
	}
	return nil
}

// Audit reads the audit trail, oldest first.
func (g *Gateway) Audit(ctx context.Context, f audit.Filter) (out []audit.Record, err error) {
	err = g.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = audit.List(tx, f)
		return err
	})
	return out, err
}

// Queue lists the work that waits or runs, soonest first.
func (g *Gateway) Queue(ctx context.Context) (out []store.Work, err error) {
	err = g.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = tx.Works("", 1000)
		return err
	})
	return out, err
}
