package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/resolver"
)

// checkTime is how long it may take to see what the world sees.
const checkTime = 20 * time.Second

// maxChecked is how many names are looked up for that.
const maxChecked = 100

// check asks DNS, as partners do, for what p says to be published. What is told may tell addresses.
func (g *Gateway) check(ctx context.Context, p domainPublication) (out []string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	known := g.ways.now.Load().finder.Resolver
	dns := &resolver.Client{Servers: known.Servers, Stub: known.Stub} // without its cache: what is there now is asked for
	out = g.checkMX(ctx, dns, p.domain)
	names := make(map[string]bool)
	for _, c := range p.certs {
		name, err := discovery.Name(c.owner)
		if err != nil || g.opts.Publish.NoDNS || names[name] {
			continue
		}
		if names[name] = true; len(names) > maxChecked {
			return append(out, fmt.Sprintf("more than %d names are published: the rest was not looked for", maxChecked))
		}
		found, err := dns.CERT(ctx, name)
		switch {
		case errors.Is(err, resolver.ErrNotFound):
			out = append(out, fmt.Sprintf("DNS has no certificate at %s: the records are not published there, or not yet", name))
		case err != nil:
			return append(out, fmt.Sprintf("DNS gives no answer for %s", name))
		case !slices.ContainsFunc(found, func(r resolver.CERT) bool {
			return bytes.Equal(r.Data, c.leaf.Raw) || string(r.Data) == g.certificateURL(c.leaf)
		}):
			out = append(out, fmt.Sprintf("DNS has another certificate at %s than is in use: publish the records again", name))
		}
	}
	if want, ours := g.directoryAt(p.domain); ours {
		found, err := dns.SRV(ctx, ldapService+"."+p.domain.String())
		if err != nil || !slices.ContainsFunc(found, func(s resolver.SRV) bool { return s.Host == want.Host && s.Port == want.Port }) {
			out = append(out, "DNS does not lead to our directory: the SRV record is not published there, or not yet")
		}
	}
	return out
}

// checkMX obeys Direct 1.1: the domain has MX records, and is best used for health information alone.
func (g *Gateway) checkMX(ctx context.Context, dns *resolver.Client, d addr.Domain) []string {
	host := g.opts.Hostname
	found, err := dns.MX(ctx, d)
	switch {
	case errors.Is(err, resolver.ErrNotFound), errors.Is(err, resolver.ErrNullMX):
		return []string{fmt.Sprintf("DNS has no MX record of %s, which a health domain must have (Direct 1.1)", d)}
	case err != nil:
		return []string{fmt.Sprintf("DNS gives no answer for the MX records of %s", d)}
	}
	ours := func(m resolver.MX) bool { return m.Host == host }
	switch {
	case !slices.ContainsFunc(found, ours):
		return []string{fmt.Sprintf("the MX records of %s lead to others than %s. If other mail is at home there, take a domain for this alone, such as %s (Direct 1.1)",
			d, host, addr.Domain("direct."+d.String()))}
	case slices.ContainsFunc(found, func(m resolver.MX) bool { return !ours(m) }):
		return []string{fmt.Sprintf("the MX records of %s lead to others besides %s. If other mail is at home there, take a domain for this alone, such as %s (Direct 1.1)",
			d, host, addr.Domain("direct."+d.String()))}
	}
	return nil
}
