package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/addr"
	"carepost/certificate"
	"carepost/discovery"
	"carepost/internal/certd"
	"carepost/internal/dnsd"
	"carepost/internal/ldapd"
	"carepost/internal/store"
	"carepost/trust"
)

// Publish says how the certificates of the domains are published. The zero Publish: by DNS as they are, and by LDAP where somebody is told
// of a directory.
type Publish struct {
	NoDNS       bool     // no CERT records: those who look find the directory by its SRV record
	NoLDAP      bool     // no directory
	URL         bool     // CERT records of type 4, which lead to Face.HTTP, in place of type 1
	NameServers []string // of the zone [the MX host, where it is in the domain]
	Records     []string // further records of the first domain; see dnsd.CheckRecord
}

// published is one certificate that others may encrypt with.
type published struct {
	owner addr.Address // without endpoint: the organisation
	leaf  *x509.Certificate
}

// published are the certificates in use, the one source of all that is published (Direct 1.1, 5.2). What is retired, revoked or
// expired is left out, the certificates of addresses that are closed, and so is what is for signing only: whoever found it would encrypt
// with it in vain, or find nothing else. turn is when the next of them ends or begins; zero where none does.
func (g *Gateway) published(ctx context.Context) (out []published, turn time.Time, err error) {
	now := g.opts.Clock()
	err = g.store.View(ctx, func(tx *store.Tx) error {
		cs, err := tx.AllCerts()
		out, turn = nil, time.Time{}
		for _, c := range cs {
			for _, t := range []time.Time{c.NotBefore, c.NotAfter.Add(time.Millisecond)} {
				if t.After(now) && (turn.IsZero() || t.Before(turn)) {
					turn = t
				}
			}
			if now.Before(c.NotBefore) || now.After(c.NotAfter) {
				continue
			}
			leaf, err := certificate.Parse(c.DER)
			if err != nil {
				return err
			}
			if !trust.Fits(leaf, trust.Encryption) {
				continue
			}
			owner := c.Owner.Address
			if owner.IsZero() {
				owner.Domain = c.Owner.Domain
			} else if _, err := tx.Account(owner); errors.Is(err, store.ErrNotFound) {
				continue // Direct 1.4: nobody takes mail for it
			} else if err != nil {
				return err
			}
			out = append(out, published{owner, leaf})
		}
		return err
	})
	return out, turn, err
}

// publication is all that is published at one moment.
type publication struct {
	turn    time.Time // when something else is to be published; zero: never
	domains []domainPublication
	byName  map[string][]byte
}

// domainPublication is what is published of one domain.
type domainPublication struct {
	domain   addr.Domain
	certs    []published // of its owners
	named    []published // with names in its zone, which may be another domain's: eye@north.example and eye.north.example have one name
	cuts     []addr.Domain
	zone     dnsd.Zone
	records  string // of the zone, to paste
	tree     ldapd.Directory
	ldif     string   // "" without a directory
	warnings []string // for the operator: they may tell addresses
}

func (g *Gateway) publication(ctx context.Context) (p publication, err error) {
	all, turn, err := g.published(ctx)
	if err != nil {
		return p, err
	}
	p.turn, p.byName = turn, make(map[string][]byte)
	for _, c := range all {
		p.byName[certificateName(c.leaf)] = c.leaf.Raw
	}
	p.domains = g.shared(all)
	for i := range p.domains {
		if err := g.prepare(&p.domains[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// shared gives each domain its certificates, and each zone those whose names lie in it and the cuts to the zones below it: a name is
// answered by the longest of our zones that holds it.
func (g *Gateway) shared(all []published) []domainPublication {
	var out []domainPublication
	index := make(map[addr.Domain]int)
	for i, d := range g.domains() {
		out, index[d] = append(out, domainPublication{domain: d}), i
	}
	zoneOf := func(name string) (i int, ours bool) {
		for more := true; more; _, name, more = strings.Cut(name, ".") {
			if i, ours = index[addr.Domain(name)]; ours {
				return i, true
			}
		}
		return 0, false
	}
	for _, c := range all {
		if i, ours := index[c.owner.Domain]; ours {
			out[i].certs = append(out[i].certs, c)
		}
		if name, err := discovery.Name(c.owner); err == nil { // else it is warned of
			if i, ours := zoneOf(strings.ToLower(name)); ours {
				out[i].named = append(out[i].named, c)
			}
		}
	}
	for _, d := range g.domains() {
		_, above, _ := strings.Cut(d.String(), ".")
		if i, ours := zoneOf(above); ours {
			out[i].cuts = append(out[i].cuts, d)
		}
	}
	return out
}

// prepare makes zone, directory and warnings of a domain.
func (g *Gateway) prepare(p *domainPublication) (err error) {
	p.zone = g.zone(p.domain, p.named)
	p.zone.Cuts = p.cuts
	if p.records, err = p.zone.Records(); err != nil {
		return err
	}
	for _, c := range p.certs {
		if _, err := discovery.Name(c.owner); err != nil && !g.opts.Publish.NoDNS {
			where := "by LDAP alone"
			if g.opts.Publish.NoLDAP {
				where = "nowhere"
			}
			p.warnings = append(p.warnings, fmt.Sprintf("%s has no name in DNS, so that its certificate is published %s: take another address (Direct 5.1)", c.owner, where))
		}
	}
	if !g.opts.Publish.NoLDAP {
		p.tree = directory(p.domain, p.certs)
		if p.ldif, err = p.tree.LDIF(); err != nil {
			return err
		}
	}
	p.warnings = append(p.warnings, p.zone.Warnings()...)
	if _, port, err := net.SplitHostPort(g.opts.Face.HTTP); g.opts.Publish.URL && (err != nil || port != "80") {
		p.warnings = append(p.warnings, "certificates are published by URL at another port than 80, where many do not fetch")
	}
	if len(p.certs) == 0 {
		p.warnings = append(p.warnings, "no certificate is published: nobody can write to this domain (Direct 2.3)")
	}
	return nil
}

// publish gives our own listeners what the domains publish now, and writes it to Dir/dns/DOMAIN.zone and DOMAIN.ldif for those whose
// zone or directory is served elsewhere: ready to paste, and to load. What fails keeps none of the rest back: what was revoked would be
// published on.
func (g *Gateway) publish(ctx context.Context) error {
	g.publishing.Lock() // or an older view of the store could come last
	defer g.publishing.Unlock()
	p, err := g.publication(ctx)
	if err != nil {
		return err
	}
	g.served.Store(&p.byName) // before DNS leads there
	var zones []dnsd.Zone
	var trees []ldapd.Directory
	n := int64(0)
	for _, d := range p.domains {
		zones, trees, n = append(zones, d.zone), append(trees, d.tree), n+int64(len(d.warnings))
	}
	failed := []error{g.dns.Replace(zones...), g.ldap.Replace(trees...)}
	g.turn.Store(0)
	if !p.turn.IsZero() {
		g.turn.Store(p.turn.UnixNano())
	}
	select {
	case g.turned <- struct{}{}: // the upkeep looks at the time anew
	default:
	}
	if before := g.warned.Swap(n); n > 0 && n != before { // they may tell addresses: a log does not
		g.opts.Log.Warn("about what is published there is something to know: carepost cert publish tells it", "warnings", n)
	}
	for _, d := range p.domains {
		failed = append(failed, g.export(d))
	}
	return errors.Join(failed...)
}

// export writes what a domain publishes for those who serve it elsewhere.
func (g *Gateway) export(p domainPublication) error {
	var failed []error
	at := filepath.Join(g.opts.Dir, "dns", p.domain.String())
	err := replace(at+".zone", p.records)
	if err != nil {
		failed = append(failed, fmt.Errorf("records to paste: %w", err))
	}
	if p.ldif == "" {
		err = os.Remove(at + ".ldif")
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = replace(at+".ldif", p.ldif)
	}
	if err != nil {
		failed = append(failed, fmt.Errorf("entries to load: %w", err))
	}
	return errors.Join(failed...)
}

// zone is what a domain publishes by DNS: where its mail goes, the certificates named in it, and where its directory is. The operator's own records are
// those of the first domain.
func (g *Gateway) zone(d addr.Domain, certs []published) dnsd.Zone {
	o := g.opts
	z := dnsd.Zone{Origin: d, MX: []dnsd.MX{{Pref: 10, Host: o.Hostname}}, NS: o.Publish.NameServers, SOA: dnsd.SOA{Serial: uint32(o.Clock().Unix())}}
	if d == o.Domain {
		z.Extra = o.Publish.Records
	}
	// The address of a host in somebody else's zone is published by somebody else.
	addressed := o.Face.Address.IsValid() && slices.ContainsFunc(g.domains(), func(d addr.Domain) bool { return below(o.Hostname, d) })
	if addressed && below(o.Hostname, d) {
		z.Hosts = []dnsd.Host{{Name: o.Hostname, Addr: o.Face.Address}}
	}
	switch {
	case len(z.NS) > 0:
		z.SOA.Primary = z.NS[0]
	case addressed:
		z.SOA.Primary = o.Hostname
	}
	if at, ok := g.directoryAt(d); ok {
		z.SRV = []dnsd.SRV{at}
	}
	for _, c := range certs {
		switch cert := (dnsd.CERT{For: c.owner, Certificate: c.leaf.Raw}); {
		case o.Publish.NoDNS:
		case o.Publish.URL:
			cert.Certificate, cert.URL = nil, g.certificateURL(c.leaf)
			z.CERT = append(z.CERT, cert)
		default:
			z.CERT = append(z.CERT, cert)
		}
	}
	return z
}

// below says whether a host lies in a domain.
func below(host string, d addr.Domain) bool { return strings.HasSuffix("."+host, "."+d.String()) }

// ldapService is where a directory is looked for: of the domain, for all of its addresses.
const ldapService = "_ldap._tcp"

// directoryAt leads to our own directory, unless the operator's records lead to another.
func (g *Gateway) directoryAt(d addr.Domain) (dnsd.SRV, bool) {
	_, port, err := net.SplitHostPort(g.opts.Face.LDAP)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || g.opts.Publish.NoLDAP {
		return dnsd.SRV{}, false
	}
	for _, line := range g.opts.Publish.Records {
		if d != g.opts.Domain {
			break // they are the first domain's
		}
		// Of the domain itself alone: the directories of names below it are other ones.
		owner, rest, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), " ")
		ours := owner == ldapService || owner == ldapService+"."+d.String()+"."
		if ours && slices.Contains(strings.Fields(rest), "srv") {
			return dnsd.SRV{}, false
		}
	}
	return dnsd.SRV{Service: ldapService, Port: uint16(n), Host: g.opts.Hostname}, true
}

// directory is what the domain publishes by LDAP: an entry for each address and for the organisation.
func directory(d addr.Domain, certs []published) ldapd.Directory {
	out := ldapd.Directory{Domain: d}
	for _, c := range certs {
		out.Entries = append(out.Entries, ldapd.Entry{For: c.owner, Certificates: [][]byte{c.leaf.Raw}})
	}
	return out
}

// certificateName is what a certificate is fetched by (CERT type 4). It tells nothing of whose it is.
func certificateName(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "cert-" + hex.EncodeToString(sum[:20])
}

func (g *Gateway) certificateURL(c *x509.Certificate) string {
	return "http://" + g.opts.Face.HTTP + "/" + certificateName(c) + ".cer"
}

// withPublished has certd serve what is published, besides what it serves already.
func (g *Gateway) withPublished(o certd.Options) certd.Options {
	other := o.Certificate
	o.Certificate = func(ctx context.Context, name string) ([]byte, bool) {
		if all := g.served.Load(); all != nil {
			if der, ok := (*all)[name]; ok {
				return der, true
			}
		}
		if other == nil {
			return nil, false
		}
		return other(ctx, name)
	}
	return o
}
