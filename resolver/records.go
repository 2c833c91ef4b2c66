package resolver

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"carepost/addr"
)

// MX returns the mail exchangers of d by rising preference, equal ones in the order received. Without any it returns ErrNotFound,
// and RFC 5321 §5.1 has the caller use the addresses of d itself; ErrNullMX where d says that it takes no mail.
func (c *Client) MX(ctx context.Context, d addr.Domain) ([]MX, error) {
	a, err := c.lookup(ctx, string(d), dns.TypeMX)
	if err != nil {
		return nil, err
	}
	var out []MX
	null := true
	for _, rr := range a.records {
		mx, ok := rr.(*dns.MX)
		if !ok {
			continue
		}
		if mx.Mx == "." { // RFC 7505 §3: beside others it says nothing
			continue
		}
		null = false
		if host, ok := hostname(mx.Mx); ok {
			out = append(out, MX{Pref: mx.Preference, Host: host, TTL: a.ttl})
		}
	}
	switch {
	case len(out) > 0:
	case null:
		return nil, ErrNullMX
	default: // RFC 5321 §5.1: with MX records, however wrong, the domain's own addresses are not used
		return nil, errors.New("resolver: no MX record names a host")
	}
	slices.SortStableFunc(out, func(a, b MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return out, nil
}

// CERT returns the certificate records at name (RFC 1035 §5.1 text; odd octets as \DDD), in the order received. Errors do not
// repeat the name, which may be a person's address.
func (c *Client) CERT(ctx context.Context, name string) ([]CERT, error) {
	a, err := c.lookup(ctx, name, dns.TypeCERT)
	if err != nil {
		return nil, err
	}
	out := make([]CERT, 0, len(a.records))
	for _, rr := range a.records {
		cert, ok := rr.(*dns.CERT)
		if !ok {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(cert.Certificate)
		if err != nil {
			return nil, fmt.Errorf("resolver: CERT: %v", err)
		}
		out = append(out, CERT{Type: cert.Type, KeyTag: cert.KeyTag, Algorithm: cert.Algorithm, Data: data, TTL: a.ttl, DNSSEC: a.proven})
	}
	return out, nil
}

// Addrs returns the IPv4 and then the IPv6 addresses of host. One kind without answer does not hide the other.
func (c *Client) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	var a, aaaa answer
	var errA, errAAAA error
	var wg sync.WaitGroup
	wg.Go(func() { aaaa, errAAAA = c.lookup(ctx, host, dns.TypeAAAA) })
	a, errA = c.lookup(ctx, host, dns.TypeA)
	wg.Wait()
	var out []netip.Addr
	for _, rr := range slices.Concat(a.records, aaaa.records) {
		switch rr := rr.(type) {
		case *dns.A:
			if ip, ok := netip.AddrFromSlice(rr.A.To4()); ok {
				out = append(out, ip)
			}
		case *dns.AAAA:
			if ip, ok := netip.AddrFromSlice(rr.AAAA.To16()); ok && !ip.Is4In6() { // no IPv4 by the back door
				out = append(out, ip)
			}
		}
	}
	for _, err := range []error{errA, errAAAA} {
		if len(out) == 0 && err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, ErrNotFound
	}
	return out, nil
}

// SRV returns the servers at name (such as _ldap._tcp.h.example): priority rising, then weight falling. A lone target of "." (the
// service is decidedly not there, RFC 2782) is ErrNotFound.
func (c *Client) SRV(ctx context.Context, name string) ([]SRV, error) {
	a, err := c.lookup(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var out []SRV
	for _, rr := range a.records {
		if srv, ok := rr.(*dns.SRV); ok {
			if host, ok := hostname(srv.Target); ok {
				out = append(out, SRV{srv.Priority, srv.Weight, srv.Port, host, a.ttl, a.proven})
			}
		}
	}
	if len(out) == 0 {
		return nil, ErrNotFound
	}
	slices.SortStableFunc(out, func(a, b SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	return out, nil
}

// TXT returns the text records at name, the strings of each joined (RFC 7208 §3.3).
func (c *Client) TXT(ctx context.Context, name string) ([]string, error) {
	a, err := c.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(a.records))
	for _, rr := range a.records {
		if txt, ok := rr.(*dns.TXT); ok {
			out = append(out, unescape(strings.Join(txt.Txt, "")))
		}
	}
	return out, nil
}

// unescape undoes the \DDD and \X of RFC 1035 §5.1, which the packet library puts into character strings.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		case s[i] == '\\' && i+1 < len(s):
			b = append(b, s[i+1])
			i++
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// hostname reads a target: letters, digits, hyphens and underscores alone; what else a label may hold names no host.
func hostname(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if s == "" || len(s) > 253 {
		return "", false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "", false
		}
	}
	return s, true
}
