package resolver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/resolver"
	"carepost/resolver/resolvertest"
)

// RFC 5321 §5.1, RFC 7505.
func TestMX(t *testing.T) {
	s := resolvertest.Start(t,
		"h.example. 60 IN MX 20 Backup.h.example.",
		"h.example. 60 IN MX 10 mx1.h.example.",
		"h.example. 60 IN MX 10 mx2.h.example.",
		"h.example. 60 IN MX 0 .", // RFC 7505 §3: beside others it says nothing
		`h.example. 60 IN MX 5 no\032host.h.example.`,
		"null.example. 60 IN MX 0 .",
		`bad.example. 60 IN MX 5 no\032host.h.example.`,
		"plain.example. 60 IN A 192.0.2.1",
	)
	c := s.Client()
	got, err := c.MX(t.Context(), "h.example")
	if err != nil {
		t.Fatal(err)
	}
	want := []resolver.MX{{10, "mx1.h.example", time.Minute}, {10, "mx2.h.example", time.Minute}, {20, "backup.h.example", time.Minute}}
	if !slices.Equal(got, want) {
		t.Errorf("MX: %v, want %v", got, want)
	}
	if _, err := c.MX(t.Context(), "null.example"); !errors.Is(err, resolver.ErrNullMX) || errors.Is(err, resolver.ErrNotFound) {
		t.Errorf("null MX: %v", err)
	}
	if _, err := c.MX(t.Context(), "bad.example"); err == nil || errors.Is(err, resolver.ErrNotFound) || errors.Is(err, resolver.ErrNullMX) {
		t.Errorf("an MX without a host sends nobody to the domain's own address: %v", err)
	}
	for _, d := range []addr.Domain{"plain.example", "none.example"} { // no data, no name
		if _, err := c.MX(t.Context(), d); !errors.Is(err, resolver.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", d, err)
		}
	}
}

func TestAddrs(t *testing.T) {
	s := resolvertest.Start(t,
		"both.example. 60 IN AAAA 2001:db8::1",
		"both.example. 60 IN A 192.0.2.1",
		"six.example. 60 IN AAAA 2001:db8::2",
		"back.example. 60 IN AAAA ::ffff:127.0.0.1", // IPv4 by the back door
	)
	c := s.Client()
	for host, want := range map[string]string{"both.example": "192.0.2.1 2001:db8::1", "six.example": "2001:db8::2", "back.example": "", "none.example": ""} {
		got, err := c.Addrs(t.Context(), host)
		if want == "" {
			if !errors.Is(err, resolver.ErrNotFound) {
				t.Errorf("%s: %v, %v; want ErrNotFound", host, got, err)
			}
			continue
		}
		if text := strings.Trim(fmt.Sprint(got), "[]"); err != nil || text != want {
			t.Errorf("%s: %s, %v; want %s", host, text, err, want)
		}
	}
}

// The conformance tests of Direct (D15, D16): priority up, weight down, always the same.
func TestSRV(t *testing.T) {
	s := resolvertest.Start(t,
		"_ldap._tcp.h.example. 60 IN SRV 1 9 389 c.h.example.",
		"_ldap._tcp.h.example. 60 IN SRV 0 0 389 b.h.example.",
		"_ldap._tcp.h.example. 60 IN SRV 0 100 10389 a.h.example.",
		"_ldap._tcp.none.example. 60 IN SRV 0 0 0 .",
	)
	c := s.Client()
	got, err := c.SRV(t.Context(), "_ldap._tcp.h.example")
	if err != nil || len(got) != 3 || got[0] != (resolver.SRV{0, 100, 10389, "a.h.example", time.Minute, false}) || got[1].Host != "b.h.example" {
		t.Errorf("SRV: %v, %v", got, err)
	}
	if got, err := c.SRV(t.Context(), "_ldap._tcp.none.example"); !errors.Is(err, resolver.ErrNotFound) {
		t.Errorf("RFC 2782, target \".\": %v, %v", got, err)
	}
}

func TestTXT(t *testing.T) {
	s := resolvertest.Start(t, `h.example. 60 IN TXT "v=spf1 " "-all"`, `h.example. 60 IN TXT "a\"b\\c\228"`)
	got, err := s.Client().TXT(t.Context(), "h.example")
	if err != nil || !slices.Equal(got, []string{"v=spf1 -all", "a\"b\\c\xe4"}) {
		t.Errorf("TXT: %q, %v", got, err)
	}
}

// DIR-42: a CERT record that overflows UDP comes by TCP (Direct 5.4); small ones need no second question.
func TestCERT(t *testing.T) {
	s := resolvertest.Start(t)
	small, big := []byte("small"), bytes.Repeat([]byte{0xab}, 5000)
	s.AddCERT(t, "small.h.example", 1, small)
	s.AddCERT(t, "big.h.example", 1, big)
	c := s.Client()
	for name, want := range map[string][]byte{"small.h.example": small, "big.h.example": big} {
		got, err := c.CERT(t.Context(), name)
		if err != nil || len(got) != 1 || got[0].Type != 1 || !bytes.Equal(got[0].Data, want) || got[0].TTL != time.Minute {
			t.Errorf("%s: %d records, %v", name, len(got), err)
		}
	}
	var networks []string
	for _, q := range s.Queries() {
		networks = append(networks, q.Network+" "+q.Name)
	}
	slices.Sort(networks)
	if want := "tcp big.h.example,udp big.h.example,udp small.h.example"; strings.Join(networks, ",") != want {
		t.Errorf("asked %v, want %s", networks, want)
	}
}

// Names are compared octet by octet, whatever their spelling, and without regard to case.
func TestOddNames(t *testing.T) {
	s := resolvertest.Start(t)
	s.AddCERT(t, `O\039Neil+x\032y.h.example`, 1, []byte("x"))
	for _, name := range []string{`o'neil+x\ y.h.example`, `\111\'NEIL\043x\032y.h.example.`} {
		if got, err := s.Client().CERT(t.Context(), name); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", ".", "a..example", strings.Repeat("a", 64) + ".example", strings.Repeat("abc.", 70) + "example", `a\`} {
		if _, err := s.Client().CERT(t.Context(), name); !errors.Is(err, resolver.ErrNotFound) {
			t.Errorf("%q, which DNS cannot carry: %v", name, err)
		}
	}
	if n := len(s.Queries()); n != 2 {
		t.Errorf("%d questions reached the server, want 2", n)
	}
}

func TestCNAME(t *testing.T) {
	s := resolvertest.Start(t,
		"a.example. 30 IN CNAME b.example.", "b.example. 60 IN CNAME c.example.", "c.example. 60 IN A 192.0.2.3",
		"dead.example. 60 IN CNAME nowhere.example.",
		"x.example. 60 IN CNAME y.example.", "y.example. 60 IN CNAME x.example.",
	)
	c := s.Client()
	c.Cache = resolver.NewCache(0, time.Now)
	if got, err := c.Addrs(t.Context(), "a.example"); err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("192.0.2.3")}) {
		t.Errorf("two aliases: %v, %v", got, err)
	}
	if _, err := c.MX(t.Context(), "dead.example"); err == nil {
		t.Error("an alias to nowhere has no MX")
	}
	if _, err := c.MX(t.Context(), "x.example"); err == nil || errors.Is(err, resolver.ErrNotFound) {
		t.Errorf("a ring of aliases is no answer: %v", err)
	}
	long := resolvertest.Start(t)
	for i := range 15 {
		long.Add(t, fmt.Sprintf("n%d.example. 60 IN CNAME n%d.example.", i, i+1))
	}
	long.Add(t, "n15.example. 60 IN MX 0 mx.example.")
	if _, err := long.Client().MX(t.Context(), "n0.example"); err == nil {
		t.Error("fifteen aliases are too many")
	}
	if _, err := long.Client().MX(t.Context(), "n8.example"); err != nil {
		t.Errorf("seven aliases are not too many: %v", err)
	}
}

// Stub zones: the longest wins; a zone's server is believed inside its zone alone, and an alias out of it is asked of who knows.
func TestStub(t *testing.T) {
	general := resolvertest.Start(t, "other.example. 60 IN A 192.0.2.99", "h.example. 60 IN A 192.0.2.98")
	h := resolvertest.Start(t, "www.h.example. 60 IN CNAME other.example.", "other.example. 60 IN A 192.0.2.66", "h.example. 60 IN A 192.0.2.1")
	sub := resolvertest.Start(t, "sub.h.example. 60 IN A 192.0.2.2")
	c := &resolver.Client{Servers: []string{general.Addr}, Stub: map[addr.Domain][]string{"h.example": {h.Addr}, "sub.h.example": {sub.Addr}}}
	for host, want := range map[string]string{"h.example": "192.0.2.1", "SUB.h.example": "192.0.2.2", "other.example": "192.0.2.99", "www.h.example": "192.0.2.99"} {
		if got, err := c.Addrs(t.Context(), host); err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: %v, %v; want %s", host, got, err, want)
		}
	}
	if _, err := c.Addrs(t.Context(), "nonh.example"); !errors.Is(err, resolver.ErrNotFound) {
		t.Errorf("a zone ends at a dot: %v", err)
	}
}

// What is no answer is neither "not found" nor the last word: the next server is asked, and all are asked again.
func TestNextServer(t *testing.T) {
	bad := resolvertest.Start(t)
	bad.Fail(t, "a.example", "SERVFAIL")
	bad.Fail(t, "b.example", "REFUSED")
	bad.Silence("c.example")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	good := resolvertest.Start(t, "a.example. 60 IN MX 1 m.example.", "b.example. 60 IN MX 1 m.example.", "c.example. 60 IN MX 1 m.example.")
	for _, d := range []addr.Domain{"a.example", "b.example", "c.example"} {
		c := &resolver.Client{Servers: []string{closed.Addr().String(), bad.Addr}, Timeout: 100 * time.Millisecond}
		before := len(bad.Queries())
		if _, err := c.MX(t.Context(), d); err == nil || errors.Is(err, resolver.ErrNotFound) {
			t.Errorf("%s: %v", d, err)
		}
		if n := len(bad.Queries()) - before; n != 2 {
			t.Errorf("%s: asked %d times, want 2", d, n)
		}
		c.Servers = append(c.Servers, good.Addr)
		if got, err := c.MX(t.Context(), d); err != nil || len(got) != 1 {
			t.Errorf("%s with a good server at the end: %v, %v", d, got, err)
		}
	}
	if _, err := new(resolver.Client).MX(t.Context(), "a.example"); err == nil || errors.Is(err, resolver.ErrNotFound) {
		t.Errorf("no servers: %v", err)
	}
}

// A name may be a person's address: no error repeats it.
func TestErrorsTellNoNames(t *testing.T) {
	s := resolvertest.Start(t)
	s.Fail(t, "dr.lee.h.example", "SERVFAIL")
	_, err := s.Client().CERT(t.Context(), "dr.lee.h.example")
	if err == nil || strings.Contains(err.Error(), "lee") || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("error: %v", err)
	}
}

func TestContext(t *testing.T) {
	s := resolvertest.Start(t)
	s.Silence("a.example")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := s.Client().MX(ctx, "a.example"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("it took %v to notice", d)
	}
}

func TestServers(t *testing.T) {
	for conf, want := range map[string]string{
		"": "127.0.0.1:53",
		"# c\nnameserver 192.0.2.1\nsearch h.example\nnameserver 2001:db8::1 # x\n nameserver fe80::1%eth0": "192.0.2.1:53 [2001:db8::1]:53 [fe80::1%eth0]:53",
		"nameserver a\nnameserver b\nnameserver c\nnameserver d":                                            "a:53 b:53 c:53",
	} {
		if got := strings.Join(resolver.Servers(conf), " "); got != want {
			t.Errorf("%q: %s, want %s", conf, got, want)
		}
	}
	for in, want := range map[string]string{"h.example": "h.example:53", "127.0.0.1:5353": "127.0.0.1:5353", "::1": "[::1]:53", "[::1]:54": "[::1]:54"} {
		if got := resolver.WithPort(in); got != want {
			t.Errorf("WithPort(%s) = %s, want %s", in, got, want)
		}
	}
}

// Whether DNSSEC proves a record is asked for, told, and remembered with it; a server that only echoes the wish in a denial changes
// nothing.
func TestDNSSEC(t *testing.T) {
	s := resolvertest.Start(t)
	var proven atomic.Bool
	s.Raw(func(network string, q []byte) [][]byte {
		return [][]byte{craft(t, q, []string{"_ldap._tcp.h.example. 60 IN SRV 0 0 389 d.h.example.", "lab.h.example. 60 IN CERT 1 0 0 AAAA"}, func(m *dns.Msg) {
			var asked dns.Msg
			if err := asked.Unpack(q); err != nil || !asked.AuthenticatedData {
				t.Error("AD was not asked for")
			}
			m.AuthenticatedData = proven.Load()
		})}
	})
	c := s.Client()
	c.Cache = resolver.NewCache(0, time.Now)
	for _, want := range []bool{true, false} {
		proven.Store(want)
		c.Cache.Flush()
		for range 2 { // the second from the cache
			srv, err := c.SRV(t.Context(), "_ldap._tcp.h.example")
			if err != nil || srv[0].DNSSEC != want {
				t.Errorf("%+v, %v", srv, err)
			}
			cert, err := c.CERT(t.Context(), "lab.h.example")
			if err != nil || cert[0].DNSSEC != want {
				t.Errorf("%+v, %v", cert, err)
			}
		}
	}
}
