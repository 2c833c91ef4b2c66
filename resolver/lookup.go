package resolver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultTimeout = 3 * time.Second
	defaultTries   = 2
	maxHops        = 8 // CNAME records followed for one look-up
)

// answer is a record set with the time it may be kept. No records: the name or the type does not exist.
type answer struct {
	records []dns.RR
	ttl     time.Duration
	proven  bool // every server on the way said that DNSSEC proves it (AD, RFC 4035 §3.2.3)
}

// question is what is asked of a server.
type question struct {
	name name
	kind uint16
	zone name // for a Stub server: what it may speak of; "" = everything
}

// lookup answers from the cache or asks, following CNAME records across zones where the answer ends in one.
func (c *Client) lookup(ctx context.Context, text string, kind uint16) (answer, error) {
	asked, ok := parseName(text)
	if !ok {
		return answer{}, ErrNotFound // what DNS cannot carry is not there
	}
	a, ok := c.Cache.get(asked, kind)
	if !ok {
		var err error
		if a, err = c.resolve(ctx, asked, kind); err != nil {
			return answer{}, err
		}
		c.Cache.put(asked, kind, a)
	}
	if len(a.records) == 0 {
		return answer{}, ErrNotFound
	}
	return a, nil
}

func (c *Client) resolve(ctx context.Context, n name, kind uint16) (answer, error) {
	ttl, proven := maxTTL, true
	for hops := 0; ; {
		servers, zone := c.serversFor(n)
		q := question{n, kind, zone}
		m, err := c.exchange(ctx, servers, q)
		if err != nil {
			return answer{}, err
		}
		r := read(m, q)
		ttl, proven = min(ttl, r.ttl), proven && m.AuthenticatedData
		if r.next == "" {
			return answer{r.records, ttl, proven}, nil
		}
		if hops += r.hops; hops > maxHops {
			return answer{}, errors.New("resolver: too many CNAME records")
		}
		n = r.next
	}
}

// serversFor picks the servers of the longest Stub zone that holds n, or else the general ones.
func (c *Client) serversFor(n name) ([]string, name) {
	servers, zone := c.Servers, name("")
	for d, s := range c.Stub {
		if z, ok := parseName(string(d)); ok && n.in(z) && len(z) > len(zone) {
			servers, zone = s, z
		}
	}
	return servers, zone
}

// exchange asks the servers in turn, Tries times round, until one answers.
func (c *Client) exchange(ctx context.Context, servers []string, q question) (*dns.Msg, error) {
	if len(servers) == 0 {
		return nil, errors.New("resolver: no DNS server is known")
	}
	tries := c.Tries
	if tries <= 0 {
		tries = defaultTries
	}
	var last error
	for range tries {
		for _, server := range servers {
			m, err := c.ask(ctx, server, q)
			if err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				return nil, fmt.Errorf("resolver: %w", ctx.Err())
			}
			last = fmt.Errorf("resolver: no answer from DNS server %s: %v", server, err)
		}
	}
	return nil, last
}

// result is what one message says about a question.
type result struct {
	records []dns.RR
	ttl     time.Duration
	next    name // ask on here: the answer ended in a CNAME; hops of them were passed
	hops    int
}

// read takes from the answer section what hangs on the question by CNAME records, inside the server's zone, and nothing else
// (RFC 5452 §6: in-bailiwick by construction).
func read(m *dns.Msg, q question) result {
	byOwner := make(map[name][]dns.RR)
	for _, rr := range m.Answer {
		if h := rr.Header(); h.Class == dns.ClassINET && (h.Rrtype == q.kind || h.Rrtype == dns.TypeCNAME) {
			if owner, ok := parseName(h.Name); ok {
				byOwner[owner] = append(byOwner[owner], rr)
			}
		}
	}
	r := result{ttl: maxTTL}
	at := q.name
	for ; ; r.hops++ {
		var alias *dns.CNAME
		for _, rr := range byOwner[at] {
			if rr.Header().Rrtype == q.kind {
				r.records = append(r.records, rr)
				r.ttl = min(r.ttl, ttlOf(rr.Header().Ttl))
			} else if cn, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = cn
			}
		}
		if len(r.records) > 0 {
			return r
		}
		target, ok := name(""), false
		if alias != nil {
			target, ok = parseName(alias.Target)
		}
		if !ok || r.hops > maxHops {
			break
		}
		r.ttl = min(r.ttl, ttlOf(alias.Header().Ttl))
		if at = target; !at.in(q.zone) {
			break
		}
	}
	soa := negativeTTL(m)
	if r.hops > 0 || at != q.name {
		// NXDOMAIN speaks of the last name of the chain (RFC 2308 §2.1), and an SOA says that the server knows that name's zone.
		if at.in(q.zone) && r.hops <= maxHops && (m.Rcode == dns.RcodeNameError || soa > 0) {
			r.ttl = min(r.ttl, soa)
			return r
		}
		r.next, r.hops = at, max(r.hops, 1)
		return r
	}
	r.ttl = min(r.ttl, soa)
	return r
}

// ttlOf reads a TTL (RFC 2181 §8: the top bit makes it zero).
func ttlOf(seconds uint32) time.Duration {
	if seconds >= 1<<31 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxTTL)
}

// negativeTTL is how long a negative answer may be kept (RFC 2308 §5): zero without an SOA.
func negativeTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(ttlOf(soa.Hdr.Ttl), ttlOf(soa.Minttl), maxNegativeTTL)
		}
	}
	return 0
}

// name is a domain name in lower-case wire form (RFC 1035 §3.1) without the final root label: comparable, escapes undone.
type name string

// parseName reads the text form of RFC 1035 §5.1. The root is no name here.
func parseName(text string) (name, bool) {
	text = dns.Fqdn(text)
	if text == "." || len(text) > 4*255 || !dns.IsFqdn(text) { // the last: a trailing backslash
		return "", false
	}
	var buf [256]byte
	n, err := dns.PackDomainName(text, buf[:], 0, nil, false)
	if err != nil || n < 3 || n > 255 {
		return "", false
	}
	for i := range n {
		if 'A' <= buf[i] && buf[i] <= 'Z' { // length octets are below 64
			buf[i] += 'a' - 'A'
		}
	}
	return name(buf[:n-1]), true
}

// in says that n is zone or below it; everything is in the zone "".
func (n name) in(zone name) bool {
	for len(n) > len(zone) && n != "" {
		n = n[1+int(n[0]):]
	}
	return n == zone
}

// text is the form of RFC 1035 §5.1, with the final dot.
func (n name) text() string {
	s, _, err := dns.UnpackDomainName([]byte(n+"\x00"), 0)
	if err != nil {
		return "."
	}
	return s
}

// Servers reads the name servers from the text of a resolv.conf(5), as host:port. Without any it is the server on this host.
func Servers(conf string) []string {
	var out []string
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == "nameserver" && len(out) < 3 { // as the C library: three
			out = append(out, WithPort(f[1]))
		}
	}
	if len(out) == 0 {
		out = []string{"127.0.0.1:53"}
	}
	return out
}
