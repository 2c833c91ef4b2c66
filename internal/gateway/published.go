package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"carepost/discovery"
	"carepost/internal/admind"
)

// tellPublication says to the operator what is published now, and with check what DNS says of that.
func (g *Gateway) tellPublication(ctx context.Context, check bool) (admind.Publication, error) {
	p, err := g.publication(ctx)
	if err != nil {
		return admind.Publication{}, err
	}
	out := admind.Publication{
		Domain: g.opts.Domain, Records: p.records, LDIF: p.ldif, Listens: []string{}, Warnings: append([]string{}, p.warnings...),
		Certificates: []admind.PublishedCertificate{},
	}
	if check {
		out.Warnings = append(out.Warnings, g.check(ctx, p)...)
	}
	if out.Zone, err = p.zone.Text(); err != nil {
		return out, err
	}
	if _, ours := g.directoryAt(); ours {
		out.Directory = g.opts.Face.LDAP
	}
	if g.opts.Listeners.DNS != nil {
		out.Listens = append(out.Listens, "dns")
	}
	if g.opts.Listeners.LDAP != nil {
		out.Listens = append(out.Listens, "ldap")
	}
	for _, c := range p.certs {
		sum := sha256.Sum256(c.leaf.Raw)
		e := admind.PublishedCertificate{Owner: c.owner.String(), SHA256: hex.EncodeToString(sum[:]), NotAfter: c.leaf.NotAfter}
		if c.owner.Endpoint == "" {
			e.Owner = c.owner.Domain.String()
		}
		if name, err := discovery.Name(c.owner); err == nil && !g.opts.Publish.NoDNS {
			e.Name = name
			if g.opts.Publish.URL {
				e.URL = g.certificateURL(c.leaf)
			}
		}
		if p.ldif != "" {
			e.DN = p.tree.DN(c.owner)
		}
		out.Certificates = append(out.Certificates, e)
	}
	return out, nil
}
