package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/admin"
	"carepost/internal/admind"
)

// tellPublication says to the operator what is published now of a domain, the first one where none is named, and with check what DNS says
// of that.
func (g *Gateway) tellPublication(ctx context.Context, of addr.Domain, check bool) (admind.Publication, error) {
	all, err := g.publication(ctx)
	if err != nil {
		return admind.Publication{}, err
	}
	i := slices.IndexFunc(all.domains, func(p domainPublication) bool { return p.domain == of || of == "" })
	if i < 0 {
		return admind.Publication{}, admin.ErrNoDomain
	}
	p := all.domains[i]
	out := admind.Publication{
		Domain: p.domain, Records: p.records, LDIF: p.ldif, Listens: []string{}, Warnings: append([]string{}, p.warnings...),
		Certificates: []admind.PublishedCertificate{},
	}
	if check {
		out.Warnings = append(out.Warnings, g.check(ctx, p)...)
	}
	if out.Zone, err = p.zone.Text(); err != nil {
		return out, err
	}
	if _, ours := g.directoryAt(p.domain); ours {
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
