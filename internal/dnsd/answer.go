package dnsd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

const (
	udpSize   = 1232  // the most we send over UDP (RFC 6891 §6.2.5): unfragmented on every path
	queryMax  = 4096  // the longest query read
	packetMax = 65535 // over TCP (RFC 1035 §4.2.2)
	headerLen = 12
)

// table is what a server knows, never changed once made.
type table struct {
	zones []*zone // longest origin first
}

type zone struct {
	origin key
	soa    dns.RR
	sets   map[key]map[uint16][]dns.RR // empty for a name that only has names below it (RFC 8020)
}

// key is a name in lower-case wire form without the root label, so that all its spellings are one.
type key string

func newTable(zones []Zone) (*table, error) {
	t := new(table)
	for _, z := range zones {
		rrs, err := z.records()
		if err != nil {
			return nil, err
		}
		made := &zone{origin: keyOf(string(z.Origin)), soa: rrs[0], sets: make(map[key]map[uint16][]dns.RR)}
		for _, rr := range rrs {
			made.put(rr)
		}
		for _, kinds := range made.sets {
			for _, set := range kinds {
				m := dns.Msg{Question: []dns.Question{{Name: set[0].Header().Name}}, Answer: set, Compress: true}
				if m.Len() > packetMax-512 { // room for the longest name, OPT and the like
					return nil, fmt.Errorf("dnsd: zone %s: the records of one name exceed a DNS message", z.Origin)
				}
			}
		}
		if slices.ContainsFunc(t.zones, func(o *zone) bool { return o.origin == made.origin }) {
			return nil, fmt.Errorf("dnsd: zone %s is there twice", z.Origin)
		}
		t.zones = append(t.zones, made)
	}
	slices.SortFunc(t.zones, func(a, b *zone) int { return len(b.origin) - len(a.origin) })
	return t, nil
}

// put files rr under its name, and makes all names between it and the origin exist.
func (z *zone) put(rr dns.RR) {
	h := rr.Header()
	name := keyOf(h.Name)
	for k := name; k.in(z.origin); k = k.parent() {
		if z.sets[k] == nil {
			z.sets[k] = make(map[uint16][]dns.RR)
		}
	}
	z.sets[name][h.Rrtype] = append(z.sets[name][h.Rrtype], rr)
}

// answer makes the packet that answers query, or nil where silence is right: what is no query is not answered at all, so that two
// servers never talk to one another for ever.
func (t *table) answer(query []byte, udp bool) []byte {
	if len(query) < headerLen || query[2]&0x80 != 0 {
		return nil
	}
	q := new(dns.Msg)
	if op := int(query[2] >> 3 & 0xf); op != dns.OpcodeQuery {
		return bare(query, dns.RcodeNotImplemented)
	}
	if binary.BigEndian.Uint16(query[4:]) != 1 || q.Unpack(query) != nil || len(q.Question) != 1 {
		return bare(query, dns.RcodeFormatError)
	}
	a := new(dns.Msg)
	a.SetReply(q)
	a.Compress = true
	limit := packetMax
	if udp {
		limit = dns.MinMsgSize
	}
	opt, err := edns(q)
	if err != nil {
		return bare(query, dns.RcodeFormatError)
	}
	if opt != nil {
		a.SetEdns0(udpSize, false)
		if udp {
			limit = min(max(int(opt.UDPSize()), dns.MinMsgSize), udpSize)
		}
	}
	if opt != nil && opt.Version() != 0 {
		a.Rcode = dns.RcodeBadVers // RFC 6891 §6.1.3
	} else {
		t.fill(a, q.Question[0])
	}
	return pack(a, limit)
}

// fill says what the zones know of q.
func (t *table) fill(a *dns.Msg, q dns.Question) {
	name := keyOf(q.Name)
	z := t.find(name)
	if z == nil || q.Qclass != dns.ClassINET || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		a.Rcode = dns.RcodeRefused
		return
	}
	a.Authoritative = true
	kinds, exists := z.sets[name]
	set := kinds[q.Qtype]
	switch {
	case len(set) > 0:
		a.Answer = set
		a.Extra = append(a.Extra, t.addresses(set)...)
	case exists && q.Qtype == dns.TypeANY: // RFC 8482 §4.2
		hdr := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: z.soa.Header().Ttl}
		a.Answer = []dns.RR{&dns.HINFO{Hdr: hdr, Cpu: "RFC8482"}}
	default:
		if !exists {
			a.Rcode = dns.RcodeNameError
		}
		soa := dns.Copy(z.soa).(*dns.SOA) // RFC 2308 §3: its TTL is that of the denial
		soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
		a.Ns = []dns.RR{soa}
	}
}

func (t *table) find(name key) *zone {
	for _, z := range t.zones {
		if name.in(z.origin) {
			return z
		}
	}
	return nil
}

// addresses are those of the hosts that set points to, as far as we know them (RFC 1035 §3.3.9, RFC 2782).
func (t *table) addresses(set []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range set {
		host := target(rr)
		if host == "" {
			continue
		}
		if z := t.find(keyOf(host)); z != nil {
			kinds := z.sets[keyOf(host)]
			out = append(append(out, kinds[dns.TypeA]...), kinds[dns.TypeAAAA]...)
		}
	}
	return out
}

// edns returns the OPT record of q, if there is one; two are an error (RFC 6891 §6.1.1).
func edns(q *dns.Msg) (*dns.OPT, error) {
	var found *dns.OPT
	for _, rr := range q.Extra {
		if opt, ok := rr.(*dns.OPT); ok {
			if found != nil {
				return nil, errors.New("two OPT records")
			}
			found = opt
		}
	}
	return found, nil
}

// pack writes a within limit octets. First the additional addresses go, silently (RFC 2181 §9); then all records, with TC set: a
// set that is cut is not to be used anyway.
func pack(a *dns.Msg, limit int) []byte {
	out, err := a.Pack()
	if err == nil && len(out) <= limit {
		return out
	}
	a.Extra = slices.DeleteFunc(a.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeOPT })
	if out, err = a.Pack(); err == nil && len(out) <= limit {
		return out
	}
	a.Answer, a.Ns, a.Truncated = nil, nil, true
	if out, err = a.Pack(); err == nil && len(out) <= limit {
		return out
	}
	return nil
}

// bare answers with a header alone: for what could not be read.
func bare(query []byte, rcode int) []byte {
	out := make([]byte, headerLen)
	copy(out, query[:3])
	out[2] = out[2]&0x79 | 0x80 // opcode and RD stay, QR is set
	out[3] = byte(rcode)
	return out
}

// keyOf reads a name in text form; the packet library has checked it.
func keyOf(text string) key {
	var buf [256]byte
	n, err := dns.PackDomainName(dns.Fqdn(text), buf[:], 0, nil, false)
	if err != nil || n < 1 {
		return "" // the root, which no zone of ours holds
	}
	for i := range n { // length octets are below 64, and so no letters
		if 'A' <= buf[i] && buf[i] <= 'Z' {
			buf[i] += 'a' - 'A'
		}
	}
	return key(buf[:n-1])
}

func (k key) parent() key { return k[1+int(k[0]):] }

// in says that k is origin or below it.
func (k key) in(origin key) bool {
	for len(k) > len(origin) {
		k = k.parent()
	}
	return k == origin && k != ""
}
