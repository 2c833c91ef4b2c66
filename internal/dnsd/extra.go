package dnsd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"carepost/addr"
)

// further are the types of records that an operator may add. No CNAME or DNAME, which would stand beside other records, and no
// records of DNSSEC, which nobody here signs.
var further = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeSRV, dns.TypeCAA, dns.TypeTLSA, dns.TypeSMIMEA, dns.TypeSVCB, dns.TypeHTTPS}

// maxLine is how long the line of one record may be.
const maxLine = 8 << 10

// CheckRecord says what keeps a line from being a record of the zone. It is written as in a master file (RFC 1035 §5.1), names
// without a final dot are below the origin, @ is the origin:
//
//	_25._tcp.mx  TLSA  3 1 1 0a1b…        RFC 6698
//	@            CAA   0 issuemail "ca.example"   RFC 8659, RFC 9495
//	@            TXT   "v=spf1 mx -all"
//	_ldap._tcp   SRV   0 0 389 ldap       RFC 2782
//	ns1          A     192.0.2.1
//
// The time to live is that of the zone, whatever the line says: all records of a set have one (RFC 2181 §5.2).
func CheckRecord(origin addr.Domain, line string) error {
	_, err := parseRecord(origin, line)
	return err
}

func parseRecord(origin addr.Domain, line string) (dns.RR, error) {
	line = strings.TrimSpace(line)
	if len(line) > maxLine || strings.HasPrefix(line, "$") || strings.ContainsAny(line, "\r\n") { // $GENERATE is many records, $INCLUDE a file
		return nil, errors.New("that is not one record on one line")
	}
	p := dns.NewZoneParser(strings.NewReader(line+"\n"), dns.Fqdn(string(origin)), "")
	p.SetDefaultTTL(1)
	rr, ok := p.Next()
	if !ok {
		return nil, errors.New(`that is no record such as "@ CAA 0 issue \"ca.example\""`)
	}
	h := rr.Header()
	if h.Class != dns.ClassINET || !slices.Contains(further, h.Rrtype) {
		return nil, fmt.Errorf("records of type %s are not taken here", dns.Type(h.Rrtype))
	}
	if !dns.IsSubDomain(dns.Fqdn(string(origin)), h.Name) {
		return nil, errors.New("the record lies outside the zone")
	}
	if strings.HasPrefix(h.Name, "*.") {
		return nil, errors.New("wildcards are not served")
	}
	if blank(rr) {
		return nil, errors.New("the record says nothing")
	}
	packed := make([]byte, maxLine)
	start, err := dns.PackDomainName(h.Name, packed, 0, nil, false)
	if err != nil {
		return nil, errors.New("the record cannot be sent")
	}
	const fixed = 10 // type, class, time to live, length
	if end, err := dns.PackRR(rr, packed, 0, nil, false); err != nil || end == start+fixed {
		return nil, errors.New("the record says nothing, or cannot be sent")
	}
	return rr, nil
}

// blank says that a line ended after the type, which the parser takes for the sake of updates (RFC 2136).
func blank(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.MX:
		return rr.Mx == ""
	case *dns.SRV:
		return rr.Target == ""
	case *dns.CAA:
		return rr.Tag == ""
	case *dns.TLSA:
		return rr.Certificate == ""
	case *dns.SMIMEA:
		return rr.Certificate == ""
	case *dns.SVCB:
		return rr.Target == ""
	case *dns.HTTPS:
		return rr.Target == ""
	}
	return false
}

// extra adds the i-th further record.
func (b *builder) extra(i int, line string) {
	rr, err := parseRecord(b.zone.Origin, line)
	if err != nil {
		b.fail(fmt.Errorf("further record %d: %w", i+1, err))
		return
	}
	b.add(rr.Header().Name, rr.Header().Rrtype, rr)
}

// service adds where a service of the origin is found.
func (b *builder) service(v SRV) {
	name := v.Service + "." + string(b.zone.Origin)
	if labels, ok := dns.IsDomainName(name); !ok || labels < 3 || !strings.HasPrefix(v.Service, "_") {
		b.fail(fmt.Errorf("%q is no service such as _ldap._tcp", v.Service))
		return
	}
	b.add(name, dns.TypeSRV, &dns.SRV{Priority: v.Priority, Weight: v.Weight, Port: v.Port, Target: b.host(v.Host)})
}

// target is the host that a record leads to; "" where it leads to none, RFC 7505 and RFC 2782 included.
func target(rr dns.RR) string {
	host := ""
	switch rr := rr.(type) {
	case *dns.MX:
		host = rr.Mx
	case *dns.NS:
		host = rr.Ns
	case *dns.SRV:
		host = rr.Target
	}
	if host == "." {
		return ""
	}
	return host
}
