package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"carepost/internal/dnsd"
	"carepost/internal/store"
)

// publish gives our own name server what the domain publishes now, and writes it to Dir/dns/DOMAIN.zone for those whose zone is
// served elsewhere: ready to paste.
func (g *Gateway) publish(ctx context.Context) error {
	g.publishing.Lock() // or an older view of the store could come last
	defer g.publishing.Unlock()
	zone, err := g.zone(ctx)
	if err != nil {
		return err
	}
	records, err := zone.Records()
	if err != nil {
		return err
	}
	if err := g.dns.Replace(zone); err != nil {
		return err
	}
	if err := replace(filepath.Join(g.opts.Dir, "dns", g.opts.Domain.String()+".zone"), records); err != nil {
		return fmt.Errorf("records to paste: %w", err)
	}
	return nil
}

// zone is what the domain publishes: where its mail goes, and the certificates in use (Direct 1.1, 5.2). What is retired, revoked or
// expired is left out.
func (g *Gateway) zone(ctx context.Context) (dnsd.Zone, error) {
	now := g.opts.Clock()
	z := dnsd.Zone{
		Origin: g.opts.Domain, MX: []dnsd.MX{{Pref: 10, Host: g.opts.Hostname}},
		SOA: dnsd.SOA{Serial: uint32(now.Unix())},
	}
	// The address of a host in somebody else's zone is published by somebody else.
	if a := g.opts.Face.Address; a.IsValid() && strings.HasSuffix("."+g.opts.Hostname, "."+g.opts.Domain.String()) {
		z.Hosts = []dnsd.Host{{Name: g.opts.Hostname, Addr: a}}
	}
	err := g.store.View(ctx, func(tx *store.Tx) error {
		cs, err := tx.AllCerts()
		z.CERT = nil
		for _, c := range cs {
			if now.Before(c.NotBefore) || now.After(c.NotAfter) {
				continue
			}
			owner := c.Owner.Address
			if owner.IsZero() {
				owner.Domain = c.Owner.Domain
			}
			z.CERT = append(z.CERT, dnsd.CERT{For: owner, Certificate: c.DER})
		}
		return err
	})
	return z, err
}

// replace writes a public file so that readers find the old text or the new one, never a part. The same text is not written again.
func replace(path, text string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".zone-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // not there any more when all went well
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
