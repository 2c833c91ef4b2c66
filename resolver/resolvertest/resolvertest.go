// Package resolvertest is a DNS server on loopback for tests: it serves what it is told, misbehaves on demand, and remembers what
// it was asked. It follows no more of RFC 1035 than tests need; the server to publish with is internal/dnsd.
package resolvertest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"carepost/resolver"
)

// Query is one question received.
type Query struct {
	Network string // "udp" or "tcp"
	Name    string // lower case, without the final dot
	Type    string // "MX"
}

// Server answers on Addr (host:port, UDP and TCP) until the test ends. With no records it denies every name.
type Server struct {
	Addr string

	udp net.PacketConn
	tcp net.Listener

	mu      sync.Mutex
	records []dns.RR
	rcodes  map[string]int
	silent  map[string]bool
	raw     func(network string, query []byte) [][]byte
	queries []Query
}

// Start serves records in the form of zone files, such as "h.example. 60 IN MX 10 mail.h.example.".
func Start(tb testing.TB, records ...string) *Server {
	tb.Helper()
	s := &Server{rcodes: make(map[string]int), silent: make(map[string]bool)}
	s.listen(tb)
	s.Addr = s.tcp.Addr().String()
	s.Add(tb, records...)
	var wg sync.WaitGroup
	wg.Go(s.serveUDP)
	wg.Go(func() { s.serveTCP(&wg) })
	tb.Cleanup(func() {
		s.udp.Close()
		s.tcp.Close()
		wg.Wait()
	})
	return s
}

// listen finds a port that is free for both protocols.
func (s *Server) listen(tb testing.TB) {
	tb.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			s.tcp, s.udp = l, p
			return
		}
		l.Close()
	}
	tb.Fatal("resolvertest: no port is free for UDP and TCP")
}

// Client returns a resolver that asks this server alone.
func (s *Server) Client() *resolver.Client { return &resolver.Client{Servers: []string{s.Addr}} }

// Add serves more records.
func (s *Server) Add(tb testing.TB, records ...string) {
	tb.Helper()
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil || rr == nil {
			tb.Fatalf("resolvertest: record %q: %v", r, err)
		}
		s.mu.Lock()
		s.records = append(s.records, rr)
		s.mu.Unlock()
	}
}

// AddCERT serves a certificate record at name (Direct 5.3: kind 1 for DER, 4 for a URL).
func (s *Server) AddCERT(tb testing.TB, name string, kind uint16, data []byte) {
	tb.Helper()
	s.Add(tb, fmt.Sprintf("%s 60 IN CERT %d 0 0 %s", dns.Fqdn(name), kind, base64.StdEncoding.EncodeToString(data)))
}

// Fail makes every question for name be answered with rcode ("SERVFAIL", "REFUSED" …); "" answers as usual again.
func (s *Server) Fail(tb testing.TB, name, rcode string) {
	tb.Helper()
	n, ok := dns.StringToRcode[rcode]
	if !ok && rcode != "" {
		tb.Fatalf("resolvertest: no such code: %s", rcode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcodes[canonical(name)] = n
}

// Silence lets questions for name go unanswered.
func (s *Server) Silence(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent[canonical(name)] = true
}

// Raw takes over: f gets every query as it came and returns the packets to send (none = silence). Over TCP each is framed. f runs
// on several goroutines.
func (s *Server) Raw(f func(network string, query []byte) [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = f
}

// Queries returns what was asked so far.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Query(nil), s.queries...)
}

// canonical gives the spellings of a name one form.
func canonical(name string) string {
	var buf [256]byte
	if n, err := dns.PackDomainName(dns.Fqdn(name), buf[:], 0, nil, false); err == nil {
		name, _, _ = dns.UnpackDomainName(buf[:n], 0)
	}
	return strings.ToLower(name)
}

func (s *Server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, a := range s.answer("udp", buf[:n]) {
			s.udp.WriteTo(a, from)
		}
	}
}

func (s *Server) serveTCP(wg *sync.WaitGroup) {
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { // clients close: a resolver asks one question per connection
			defer conn.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(conn, size[:]); err != nil {
					return
				}
				q := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(conn, q); err != nil {
					return
				}
				for _, a := range s.answer("tcp", q) {
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
				}
			}
		})
	}
}

// answer makes the packets for one query.
func (s *Server) answer(network string, packet []byte) [][]byte {
	q := new(dns.Msg)
	if err := q.Unpack(packet); err != nil || len(q.Question) != 1 {
		return nil
	}
	name := canonical(q.Question[0].Name)
	s.mu.Lock()
	s.queries = append(s.queries, Query{network, strings.TrimSuffix(name, "."), dns.TypeToString[q.Question[0].Qtype]})
	raw, silent := s.raw, s.silent[name]
	a := s.reply(q, name)
	s.mu.Unlock()
	switch {
	case raw != nil:
		return raw(network, packet)
	case silent:
		return nil
	}
	if network == "udp" {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		a.Truncate(size)
	}
	out, err := a.Pack()
	if err != nil {
		return nil
	}
	return [][]byte{out}
}

// reply looks q up, following aliases.
func (s *Server) reply(q *dns.Msg, name string) *dns.Msg {
	a := new(dns.Msg)
	a.SetReply(q)
	a.Compress, a.Authoritative, a.RecursionAvailable = true, true, true
	if q.IsEdns0() != nil {
		a.SetEdns0(1232, false)
	}
	if a.Rcode = s.rcodes[name]; a.Rcode != dns.RcodeSuccess {
		return a
	}
	exists := false
	for hops := 0; name != "" && hops < 20; hops++ {
		at := name
		name = ""
		for _, rr := range s.records {
			h := rr.Header()
			exists = exists || canonical(h.Name) == at
			if canonical(h.Name) != at || (h.Rrtype != q.Question[0].Qtype && h.Rrtype != dns.TypeCNAME) {
				continue
			}
			a.Answer = append(a.Answer, dns.Copy(rr))
			if cn, ok := rr.(*dns.CNAME); ok && h.Rrtype != q.Question[0].Qtype {
				name = canonical(cn.Target)
			}
		}
	}
	if len(a.Answer) == 0 {
		if !exists {
			a.Rcode = dns.RcodeNameError
		}
		soa, _ := dns.NewRR(". 60 IN SOA ns. hostmaster. 1 60 60 60 60")
		a.Ns = append(a.Ns, soa)
	}
	return a
}
