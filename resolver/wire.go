package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

const (
	udpSize    = 1232 // what we say we take (RFC 6891 §6.2.5): passes every path unfragmented
	udpBuffer  = 4096 // what we read, should a server send more
	maxForeign = 16   // packets that are not our answer, before TCP is tried instead (RFC 5452 §9.2)
)

var (
	errForeign   = errors.New("the packet answers another question")
	errMalformed = errors.New("the answer is malformed")
	errTruncated = errors.New("the answer is cut off")
	errLame      = errors.New("the server neither knows the zone nor asks for us")
	errNoEDNS    = errors.New("the server does not speak EDNS")
)

// ask puts q to one server, once over UDP and, where the answer does not fit, over TCP (Direct 5.4, RFC 7766 §5).
func (c *Client) ask(ctx context.Context, server string, q question) (*dns.Msg, error) {
	m, err := c.transport(ctx, server, q, true)
	if errors.Is(err, errNoEDNS) { // RFC 6891 §7
		m, err = c.transport(ctx, server, q, false)
	}
	if err != nil {
		return nil, err
	}
	return m, usable(m)
}

func (c *Client) transport(ctx context.Context, server string, q question, edns bool) (*dns.Msg, error) {
	m, err := c.once(ctx, "udp", server, q, edns)
	if errors.Is(err, errTruncated) || errors.Is(err, errForeign) {
		m, err = c.once(ctx, "tcp", server, q, edns)
	}
	return m, err
}

// usable says whether m is an answer (NOERROR or NXDOMAIN from a server that can know), or why not.
func usable(m *dns.Msg) error {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return fmt.Errorf("it says %s", rcode(m.Rcode))
	}
	if len(m.Answer) > 0 {
		return nil
	}
	if !m.Authoritative && !m.RecursionAvailable {
		return errLame
	}
	var ns bool
	for _, rr := range m.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return nil
		case dns.TypeNS:
			ns = true
		}
	}
	if ns && !m.Authoritative && m.Rcode == dns.RcodeSuccess { // RFC 2308 §2.2: NS without SOA is a referral, not a denial
		return errLame
	}
	return nil
}

func rcode(n int) string {
	if s, ok := dns.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", n)
}

// once sends one query over a connection of its own, and so from a port of its own (RFC 5452 §9.2), and reads the answer.
func (c *Client) once(ctx context.Context, network, server string, q question, edns bool) (*dns.Msg, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	query, id, err := newQuery(q, edns)
	if err != nil {
		return nil, err
	}
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	m, err := converse(conn, network, query, id, q)
	if err == nil && edns && m.IsEdns0() == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		return nil, errNoEDNS
	}
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("nothing within %v", timeout)
	}
	return m, err
}

func newQuery(q question, edns bool) (packet []byte, id uint16, err error) {
	var b [2]byte
	rand.Read(b[:]) // never fails
	m := new(dns.Msg)
	m.Id = binary.BigEndian.Uint16(b[:])
	m.RecursionDesired = true
	m.AuthenticatedData = true // RFC 6840 §5.7: tell us whether DNSSEC proves it
	m.Question = []dns.Question{{Name: q.name.text(), Qtype: q.kind, Qclass: dns.ClassINET}}
	if edns {
		m.SetEdns0(udpSize, false)
	}
	packet, err = m.Pack()
	return packet, m.Id, err
}

func converse(conn net.Conn, network string, query []byte, id uint16, q question) (*dns.Msg, error) {
	if network == "tcp" {
		framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query)))
		if _, err := conn.Write(append(framed, query...)); err != nil {
			return nil, err
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil, err
		}
		packet := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return nil, err
		}
		return parse(packet, id, q)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, udpBuffer)
	for range maxForeign {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		m, err := parse(buf[:n], id, q)
		if errors.Is(err, errForeign) {
			continue // somebody guesses; ours may still come
		}
		if errors.Is(err, errMalformed) && n == len(buf) {
			err = errTruncated
		}
		return m, err
	}
	return nil, errForeign
}

// parse reads packet as the answer to q with this id. Whose it is comes before what it says: errForeign for an answer to something
// else, errTruncated when it was cut to fit UDP, errMalformed when it cannot be read to its end.
func parse(packet []byte, id uint16, q question) (*dns.Msg, error) {
	const header = 12
	if len(packet) < header || binary.BigEndian.Uint16(packet) != id {
		return nil, errForeign
	}
	flags := binary.BigEndian.Uint16(packet[2:])
	counts := [4]int{}
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint16(packet[4+2*i:]))
	}
	code := int(flags & 0xf)
	if flags&0x8000 == 0 || flags>>11&0xf != dns.OpcodeQuery {
		return nil, errForeign
	}
	if counts == [4]int{} && code != dns.RcodeSuccess && code != dns.RcodeNameError { // some refuse with a bare header
		return &dns.Msg{MsgHdr: dns.MsgHdr{Id: id, Response: true, Rcode: code}}, nil
	}
	if counts[0] != 1 || !q.in(packet[header:]) {
		return nil, errForeign
	}
	if flags&0x0200 != 0 { // RFC 2181 §9: what is there is not to be used
		return nil, errTruncated
	}
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		return nil, errMalformed
	}
	if counts != [4]int{len(m.Question), len(m.Answer), len(m.Ns), len(m.Extra)} {
		return nil, errMalformed // fewer records than announced
	}
	return m, nil
}

// in says that b begins with this question, in whatever case.
func (q question) in(b []byte) bool {
	n := len(q.name)
	if len(b) < n+5 || b[n] != 0 || binary.BigEndian.Uint16(b[n+1:]) != q.kind || binary.BigEndian.Uint16(b[n+3:]) != dns.ClassINET {
		return false
	}
	for i := range n {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != q.name[i] {
			return false
		}
	}
	return true
}

// WithPort adds the port of DNS to a server's host where it has none.
func WithPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	if ip, err := netip.ParseAddr(server); err == nil {
		return net.JoinHostPort(ip.String(), "53")
	}
	return net.JoinHostPort(server, "53")
}
