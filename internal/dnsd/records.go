package dnsd

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/discovery"
)

// CERT types (RFC 4398 §2.1, Direct 5.3).
const (
	typePKIX  = 1
	typeIPKIX = 4
)

// records turns the zone into resource records, SOA and NS first. Errors never tell an address.
func (z Zone) records() ([]dns.RR, error) {
	if d, err := addr.ParseDomain(string(z.Origin)); err != nil || d != z.Origin {
		return nil, errors.New("dnsd: the origin of a zone is no domain")
	}
	z = z.withDefaults()
	b := builder{zone: z, seen: make(map[string]bool)}
	b.authority()
	for _, m := range z.MX {
		d := m.Domain
		if d == "" {
			d = z.Origin
		}
		b.add(string(d), dns.TypeMX, &dns.MX{Preference: m.Pref, Mx: b.host(m.Host)})
	}
	for _, h := range z.Hosts {
		b.address(h)
	}
	for i, c := range z.CERT {
		b.cert(i, c)
	}
	for _, v := range z.SRV {
		b.service(v)
	}
	for i, line := range z.Extra {
		b.extra(i, line)
	}
	if b.err != nil {
		return nil, fmt.Errorf("dnsd: zone %s: %w", z.Origin, b.err)
	}
	return b.out, nil
}

// builder keeps the first error.
type builder struct {
	zone Zone
	out  []dns.RR
	seen map[string]bool
	err  error
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// add appends rr at owner, which must lie in the zone. The same record twice is once.
func (b *builder) add(owner string, kind uint16, rr dns.RR) {
	owner = dns.Fqdn(owner)
	if !dns.IsSubDomain(dns.Fqdn(string(b.zone.Origin)), owner) {
		b.fail(errors.New("a record lies outside the zone"))
	}
	*rr.Header() = dns.RR_Header{Name: owner, Rrtype: kind, Class: dns.ClassINET, Ttl: seconds(b.zone.TTL)}
	if text := rr.String(); !b.seen[text] {
		b.seen[text] = true
		b.out = append(b.out, rr)
	}
}

// host checks a name that a record points to.
func (b *builder) host(name string) string {
	d, err := addr.ParseDomain(name)
	if err != nil {
		b.fail(fmt.Errorf("%q names no host", name))
	}
	return dns.Fqdn(string(d))
}

func (b *builder) authority() {
	z := b.zone
	contact := strings.ReplaceAll(z.SOA.Contact.Endpoint, ".", `\.`) + "." + string(z.SOA.Contact.Domain) // RFC 1035 §8
	if _, ok := dns.IsDomainName(contact); !ok {
		b.fail(errors.New("the contact cannot be written as a domain name"))
	}
	b.add(string(z.Origin), dns.TypeSOA, &dns.SOA{
		Ns: b.host(z.SOA.Primary), Mbox: dns.Fqdn(contact), Serial: z.SOA.Serial,
		Refresh: 3600, Retry: 600, Expire: 7 * 24 * 3600, Minttl: seconds(z.SOA.Minimum),
	})
	for _, ns := range z.NS {
		b.add(string(z.Origin), dns.TypeNS, &dns.NS{Ns: b.host(ns)})
		for _, cut := range z.Cuts { // without it a name between would be denied, and with it all below (RFC 8020)
			b.add(string(cut), dns.TypeNS, &dns.NS{Ns: b.host(ns)})
		}
	}
}

func (b *builder) address(h Host) {
	name := b.host(h.Name)
	switch ip := h.Addr.Unmap(); {
	case ip.Zone() != "" || !ip.IsValid():
		b.fail(fmt.Errorf("host %q has no address", h.Name))
	case ip.Is4():
		b.add(name, dns.TypeA, &dns.A{A: ip.AsSlice()})
	default:
		b.add(name, dns.TypeAAAA, &dns.AAAA{AAAA: ip.AsSlice()})
	}
}

// cert adds the i-th certificate. Errors count it, since its name may be a person's address.
func (b *builder) cert(i int, c CERT) {
	name, err := discovery.Name(c.For)
	if err != nil {
		b.fail(fmt.Errorf("certificate %d: %w", i+1, err))
		return
	}
	kind, data := uint16(typePKIX), c.Certificate
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(c.Certificate) > 0 {
			b.fail(fmt.Errorf("certificate %d: publish DER or one http(s) URL", i+1))
			return
		}
		kind, data = typeIPKIX, []byte(c.URL)
	}
	if len(data) == 0 {
		b.fail(fmt.Errorf("certificate %d is empty", i+1))
		return
	}
	b.add(name, dns.TypeCERT, &dns.CERT{Type: kind, Certificate: base64.StdEncoding.EncodeToString(data)})
}

func seconds(d time.Duration) uint32 { return uint32(min(max(d/time.Second, 0), 1<<31-1)) }

// Text is the whole zone as a master file (RFC 1035 §5), ready for another name server.
func (z Zone) Text() (string, error) { return z.text(func(uint16) bool { return true }) }

// Records is what Text says besides SOA and NS: ready to paste into a zone that is served elsewhere.
func (z Zone) Records() (string, error) {
	return z.text(func(kind uint16) bool { return kind != dns.TypeSOA && kind != dns.TypeNS })
}

func (z Zone) text(wanted func(kind uint16) bool) (string, error) {
	rrs, err := z.records()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, rr := range rrs {
		if !wanted(rr.Header().Rrtype) {
			continue
		}
		if c, ok := rr.(*dns.CERT); ok { // numbers, which every name server reads
			fmt.Fprintf(&b, "%s\t%d\tIN\tCERT\t%d %d %d %s\n", c.Hdr.Name, c.Hdr.Ttl, c.Type, c.KeyTag, c.Algorithm, c.Certificate)
			continue
		}
		b.WriteString(rr.String() + "\n")
	}
	return b.String(), nil
}
