package dnsd

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/discovery"
)

// Warnings lists what a publisher should know about the zone, for people: the texts may tell addresses. Nothing here stops the
// zone from being served.
func (z Zone) Warnings() []string {
	var out []string
	bare := len(z.NS) == 0 // made up: nothing is known of them
	z = z.withDefaults()
	if !slices.ContainsFunc(z.MX, func(m MX) bool { return m.Domain == "" || m.Domain == z.Origin }) {
		out = append(out, fmt.Sprintf("%s has no MX record, which a health domain must have (Direct 1.1)", z.Origin))
	}
	hosts := z.hostNames()
	first, told := make(map[string]addr.Address), make(map[string]bool)
	for _, c := range z.CERT {
		name, err := discovery.Name(c.For)
		if err != nil {
			continue
		}
		if hosts[keyOf(name)] && c.For.Endpoint != "" && !told[name] {
			told[name] = true
			out = append(out, fmt.Sprintf("%s shares the name %s with a host: give the host another name, or addresses a subdomain of their own (Direct 5.1)",
				spoken(c.For), name))
		}
		other, taken := first[name]
		if !taken {
			first[name] = c.For
			continue
		}
		if other.Endpoint != c.For.Endpoint && !other.Equal(c.For) || other.Domain != c.For.Domain {
			out = append(out, fmt.Sprintf("%s and %s share the name %s: keep people and domains apart by a subdomain of its own (Direct 5.1)",
				spoken(other), spoken(c.For), name))
		}
	}
	for _, h := range z.Hosts {
		if h.Addr.IsValid() && h.Addr.Unmap() == netip.IPv4Unspecified() {
			out = append(out, fmt.Sprintf("host %s has the address 0.0.0.0", h.Name))
		}
	}
	return append(out, z.lost(bare)...)
}

// hostNames are the names in the zone that something besides certificates stands at, or is said to be reached at.
func (z Zone) hostNames() map[key]bool {
	names := map[key]bool{keyOf(z.SOA.Primary): true}
	for _, h := range z.Hosts {
		names[keyOf(h.Name)] = true
	}
	for _, m := range z.MX {
		names[keyOf(m.Host)] = true
	}
	for _, ns := range z.NS {
		names[keyOf(ns)] = true
	}
	for _, line := range z.Extra {
		if rr, err := parseRecord(z.Origin, line); err == nil {
			names[keyOf(rr.Header().Name)] = true
		}
	}
	delete(names, keyOf(string(z.Origin))) // where the organisation's certificate belongs
	return names
}

// lost are hosts in the zone that records point to and that have no address in it: nobody gets there. Bare
// leaves the name servers aside.
func (z Zone) lost(bare bool) (out []string) {
	rrs, err := z.records()
	if err != nil {
		return nil
	}
	there := make(map[key]bool)
	for _, rr := range rrs {
		if kind := rr.Header().Rrtype; kind == dns.TypeA || kind == dns.TypeAAAA {
			there[keyOf(rr.Header().Name)] = true
		}
	}
	for _, rr := range rrs {
		host := target(rr)
		if bare && rr.Header().Rrtype == dns.TypeNS {
			continue
		}
		if k := keyOf(host); host != "" && k.in(keyOf(string(z.Origin))) && !there[k] {
			there[k] = true
			out = append(out, fmt.Sprintf("%s, which the %s record names, has no address in the zone", strings.TrimSuffix(host, "."),
				dns.TypeToString[rr.Header().Rrtype]))
		}
	}
	return out
}

// spoken names the owner of a certificate: an address or a domain.
func spoken(a addr.Address) string {
	if a.Endpoint == "" {
		return string(a.Domain)
	}
	return a.String()
}
