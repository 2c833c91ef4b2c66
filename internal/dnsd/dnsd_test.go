package dnsd

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/resolver"
	"carepost/trust/certtest"
)

func der64(p certtest.Pair) string { return base64.StdEncoding.EncodeToString(p.Certificate.Raw) }

// small is a zone that needs no certificates to be made.
func small() Zone {
	return Zone{
		Origin: "h.example",
		MX:     []MX{{Pref: 10, Host: "mail.h.example"}},
		Hosts:  []Host{{"mail.h.example", netip.MustParseAddr("192.0.2.2")}},
		CERT: []CERT{
			{For: addr.Address{Endpoint: "john.smith", Domain: "h.example"}, Certificate: []byte("one")},
			{For: addr.Address{Endpoint: "x", Domain: "sub.h.example"}, Certificate: []byte("two")},
		},
	}
}

func query(t testing.TB, name string, kind uint16, edit func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	if edit != nil {
		edit(m)
	}
	p, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(t *testing.T, tab *table, packet []byte, udp bool) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	out := tab.answer(packet, udp)
	if err := m.Unpack(out); err != nil {
		t.Fatalf("answer %x: %v", out, err)
	}
	return m
}

// RFC 8020, RFC 2308: a name with names below it exists.
func TestNames(t *testing.T) {
	tab, err := newTable([]Zone{small(), {Origin: "sub2.h.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"h.example.": dns.RcodeSuccess, "smith.h.example.": dns.RcodeSuccess, "John.Smith.H.example.": dns.RcodeSuccess,
		`jo\104n.smith.h.example.`: dns.RcodeSuccess, "sub.h.example.": dns.RcodeSuccess,
		"a.john.smith.h.example.": dns.RcodeNameError, "john.h.example.": dns.RcodeNameError, "*.h.example.": dns.RcodeNameError,
		"sub2.h.example.": dns.RcodeSuccess, "x.sub2.h.example.": dns.RcodeNameError,
		"example.": dns.RcodeRefused, "nonh.example.": dns.RcodeRefused, ".": dns.RcodeRefused, `john\.smith.h.example.`: dns.RcodeNameError,
	} {
		a := ask(t, tab, query(t, name, dns.TypeTXT, nil), true)
		if a.Rcode != want || a.Authoritative != (want != dns.RcodeRefused) || a.RecursionAvailable || keyOf(a.Question[0].Name) != keyOf(name) {
			t.Errorf("%s: %v", name, a)
		}
		if soa := len(a.Ns); (soa == 1) != (want != dns.RcodeRefused) {
			t.Errorf("%s: %d SOA records", name, soa)
		}
	}
}

// What is no query gets no answer; what cannot be read gets a bare one.
func TestJunk(t *testing.T) {
	tab, err := newTable([]Zone{small()})
	if err != nil {
		t.Fatal(err)
	}
	good := query(t, "h.example.", dns.TypeMX, nil)
	response := append([]byte(nil), good...)
	response[2] |= 0x80
	for name, packet := range map[string][]byte{"empty": {}, "short": good[:11], "an answer": response} {
		if out := tab.answer(packet, true); out != nil {
			t.Errorf("%s: answered %x", name, out)
		}
	}
	two := func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }
	opts := func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) }
	for name, tc := range map[string]struct {
		packet []byte
		rcode  int
	}{
		"header only":   {append(append([]byte(nil), good[:5]...), 0, 0, 0, 0, 0, 0, 0), dns.RcodeFormatError},
		"cut question":  {good[:len(good)-3], dns.RcodeFormatError},
		"two questions": {query(t, "h.example.", dns.TypeMX, two), dns.RcodeFormatError},
		"two OPT":       {query(t, "h.example.", dns.TypeMX, opts), dns.RcodeFormatError},
		"update":        {query(t, "h.example.", dns.TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
	} {
		a := ask(t, tab, tc.packet, true)
		if a.Rcode != tc.rcode || !a.Response || a.Id != binary.BigEndian.Uint16(tc.packet) || len(a.Answer) != 0 {
			t.Errorf("%s: %v", name, a)
		}
	}
}

// No answer over UDP is longer than was asked for, nor than 1232 octets, whatever was asked for.
func TestSizes(t *testing.T) {
	z := small()
	for i := range 40 {
		z.MX = append(z.MX, MX{Pref: uint16(i), Host: strings.Repeat("m", i+1) + ".h.example"})
		z.Hosts = append(z.Hosts, Host{strings.Repeat("m", i+1) + ".h.example", netip.MustParseAddr("2001:db8::1")})
	}
	z.CERT = append(z.CERT, CERT{For: addr.Address{Domain: "h.example"}, Certificate: make([]byte, 60000)})
	tab, err := newTable([]Zone{z})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []uint16{dns.TypeMX, dns.TypeCERT} {
		for size, limit := range map[uint16]int{0: 512, 100: 512, 600: 600, 1232: 1232, 65535: 1232} {
			out := tab.answer(query(t, "h.example.", kind, func(m *dns.Msg) { m.SetEdns0(size, false) }), true)
			m := new(dns.Msg)
			if err := m.Unpack(out); err != nil || len(out) > limit || (m.Truncated && len(m.Answer) > 0) || (!m.Truncated && len(m.Answer) == 0) {
				t.Errorf("%d octets of %d: %v, %v", len(out), limit, m, err)
			}
		}
		if m := ask(t, tab, query(t, "h.example.", kind, nil), false); m.Truncated || len(m.Answer) == 0 {
			t.Errorf("over TCP: %v", m)
		}
	}
}

// Wrong zones are refused whole; no error tells an address.
func TestWrongZones(t *testing.T) {
	for name, edit := range map[string]func(*Zone){
		"no origin":       func(z *Zone) { z.Origin = "" },
		"upper case":      func(z *Zone) { z.Origin = "H.example" },
		"MX to an IP":     func(z *Zone) { z.MX[0].Host = "192.0.2.1" },
		"MX elsewhere":    func(z *Zone) { z.MX[0].Domain = "other.example" },
		"host elsewhere":  func(z *Zone) { z.Hosts[0].Name = "mail.other.example" },
		"host without":    func(z *Zone) { z.Hosts[0].Addr = netip.Addr{} },
		"empty DER":       func(z *Zone) { z.CERT[0].Certificate = nil },
		"DER and URL":     func(z *Zone) { z.CERT[0].URL = "http://h.example/" },
		"no http":         func(z *Zone) { z.CERT[0] = CERT{For: z.CERT[0].For, URL: "ldap://h.example/"} },
		"other's address": func(z *Zone) { z.CERT[0].For.Domain = "other.example" },
		"no such name":    func(z *Zone) { z.CERT[0].For.Endpoint = "john..smith" },
		"too much":        func(z *Zone) { z.CERT[0].Certificate = make([]byte, 65500) },
		"far too much":    func(z *Zone) { z.CERT[0].Certificate = make([]byte, 70000) },
	} {
		z := small()
		edit(&z)
		if _, err := New(Options{Zones: []Zone{z}}); err == nil || strings.Contains(err.Error(), "smith") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{Zones: []Zone{small(), small()}}); err == nil {
		t.Error("a zone twice")
	}
}

// DIR-43, DIR-54, DIR-02: what is printed to paste, and what a publisher is told.
func TestText(t *testing.T) {
	z := small()
	got, err := z.Records()
	if err != nil {
		t.Fatal(err)
	}
	want := "h.example.\t3600\tIN\tMX\t10 mail.h.example.\nmail.h.example.\t3600\tIN\tA\t192.0.2.2\n" +
		"john.smith.h.example.\t3600\tIN\tCERT\t1 0 0 b25l\nx.sub.h.example.\t3600\tIN\tCERT\t1 0 0 dHdv\n"
	if got != want {
		t.Errorf("records:\n%s\nwant:\n%s", got, want)
	}
	if w := z.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
	z.MX = nil
	z.CERT = append(z.CERT, CERT{For: addr.Address{Endpoint: "john", Domain: "smith.h.example"}, Certificate: []byte("three")},
		CERT{For: addr.Address{Endpoint: "John.Smith", Domain: "h.example"}, Certificate: []byte("a second one of his")})
	w := strings.Join(z.Warnings(), "\n")
	if strings.Count(w, "\n") != 1 || !strings.Contains(w, "no MX record") || !strings.Contains(w, "john.smith@h.example and john@smith.h.example share the name") {
		t.Errorf("warnings:\n%s", w)
	}
}

// Replace is seen whole; a wrong zone changes nothing.
func TestReplace(t *testing.T) {
	s, server := serve(t, Options{Zones: []Zone{small()}})
	c := &resolver.Client{Servers: []string{server}}
	z := small()
	z.MX[0].Host = "new.h.example"
	if err := s.Replace(z, Zone{}); err == nil {
		t.Error("a wrong zone")
	}
	host := func() string {
		mx, err := c.MX(t.Context(), "h.example")
		if err != nil {
			t.Fatal(err)
		}
		return mx[0].Host
	}
	if got := host(); got != "mail.h.example" {
		t.Errorf("after a wrong zone: %s", got)
	}
	var wg sync.WaitGroup
	for range 4 { // for the race detector
		wg.Go(func() {
			for range 20 {
				c.MX(context.Background(), "h.example")
			}
		})
	}
	if err := s.Replace(z); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if got := host(); got != "new.h.example" {
		t.Errorf("after: %s", got)
	}
}

// TCP: several queries on one connection; too many connections, idle ones and overlong queries are closed; junk harms nobody.
func TestTCP(t *testing.T) {
	_, server := serve(t, Options{Zones: []Zone{small()}, MaxConns: 2, Idle: 2 * time.Second})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	exchange := func(c net.Conn) error {
		q := query(t, "h.example.", dns.TypeMX, nil)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
			return err
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, binary.BigEndian.Uint16(size[:])))
		return err
	}
	a, b := dial(), dial()
	for range 3 {
		for _, c := range []net.Conn{a, b} {
			if err := exchange(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := exchange(dial()); err == nil {
		t.Error("a third connection is served")
	}
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection: %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection: %v", err)
	}
	for _, junk := range [][]byte{{0, 3, 1, 2, 3}, {0xff, 0xff, 1}, append([]byte{0, 12}, make([]byte, 12)...)} {
		c := dial()
		c.Write(junk)
		io.Copy(io.Discard, c) // until it is closed
	}
	if err := exchange(dial()); err != nil {
		t.Errorf("after the junk: %v", err)
	}
}

func TestServeEnds(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, p := listen(t)
	l.Close() // broken from the start
	if err := s.Serve(t.Context(), p, l); err == nil {
		t.Error("a broken listener is an error")
	}
	if _, err := p.WriteTo(nil, l.Addr()); err == nil {
		t.Error("the other one stays open")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx, nil, nil); err != nil {
		t.Errorf("the end is no error: %v", err)
	}
	why, stop := context.WithCancelCause(t.Context())
	stop(errors.New("interrupt signal received")) // as signal.NotifyContext says it
	if err := s.Serve(why, nil, nil); err != nil {
		t.Errorf("the end is no error, whatever its cause: %v", err)
	}
}

// One client who takes all the connections he gets leaves places for the others: certificates come over TCP. DIR-43.
func TestCrowd(t *testing.T) {
	_, server := serve(t, Options{Zones: []Zone{small()}, MaxConns: 64, Idle: time.Minute})
	from := func(ip string) (c *dns.Conn) {
		d := &dns.Client{Net: "tcp", Timeout: 10 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}}
		c, err := d.Dial(server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	answered := 0
	for range 64 {
		c := from("127.0.0.1")
		m := new(dns.Msg)
		if c.WriteMsg(m.SetQuestion("h.example.", dns.TypeMX)) == nil {
			if _, err := c.ReadMsg(); err == nil {
				answered++
			}
		}
	}
	if answered != 16 {
		t.Errorf("one client has %d of 64 connections, want 16", answered)
	}
	c := from("127.0.0.2")
	if err := c.WriteMsg(new(dns.Msg).SetQuestion("h.example.", dns.TypeMX)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadMsg(); err != nil {
		t.Errorf("another client: %v", err)
	}
	for in, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8::1:2:3:4": "2001:db8::/64", "fe80::1%lo": "fe80::/64"} {
		if got := clientOf(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(in), 1))); got.String() != want {
			t.Errorf("%s is counted as %s", in, got)
		}
	}
}

// Everybody may send anything to port 53.
func FuzzAnswer(f *testing.F) {
	tab, err := newTable([]Zone{furnished()})
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"h.example.", "john.smith.h.example.", "nobody.h.example.", ".", "other.example."} {
		f.Add(query(f, name, dns.TypeCERT, nil), true)
		f.Add(query(f, name, dns.TypeANY, func(m *dns.Msg) { m.SetEdns0(100, true) }), false)
	}
	f.Fuzz(func(t *testing.T, packet []byte, udp bool) {
		out := tab.answer(packet, udp)
		if out == nil {
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(out); err != nil || !m.Response || m.Id != binary.BigEndian.Uint16(packet) {
			t.Fatalf("%x: %v, %v", out, m, err)
		}
		if udp && len(out) > udpSize {
			t.Fatalf("%d octets over UDP", len(out))
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	tab, err := newTable([]Zone{small()})
	if err != nil {
		b.Fatal(err)
	}
	q := query(b, "john.smith.h.example.", dns.TypeCERT, func(m *dns.Msg) { m.SetEdns0(1232, false) })
	for b.Loop() {
		tab.answer(q, true)
	}
}
