package ldapd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One client who takes all the connections he gets leaves places for others; who idles or lasts too long is let go. ATT-30.
func TestCrowd(t *testing.T) {
	_, server := serve(t, Options{Directory: practice(), MaxConns: 8, Idle: 2 * time.Second})
	from := func(ip string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 10 * time.Second}
		c, err := d.Dial("tcp", server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
	bind := request(encode(bindRequest, integer(tagInteger, 3), octets(""), encode(0x80)))
	served := func(c net.Conn) bool {
		c.Write(bind)
		_, err := io.ReadFull(c, make([]byte, 7))
		return err == nil
	}
	var open []net.Conn
	for range 6 {
		if c := from("127.0.0.1"); served(c) {
			open = append(open, c)
		}
	}
	if len(open) != 2 {
		t.Errorf("%d connections of one client", len(open))
	}
	if !served(from("127.0.0.2")) {
		t.Error("another client is not served")
	}
	for _, c := range open {
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("an idle connection: %v", err)
		}
	}
	if !served(from("127.0.0.1")) {
		t.Error("not served again")
	}
}

// More operations than the rate wait, each client by himself; what is remembered of clients is bounded. ATT-30.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(Options{PerClient: 2, Rate: 10})
		at := func(ip string) net.Addr {
			return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 1))
		}
		who, _ := c.enter(at("2001:db8::1"))
		same, _ := c.enter(at("2001:db8::2"))
		other, _ := c.enter(at("2001:db8:1::1"))
		if _, ok := c.enter(at("2001:db8::3")); ok || same != who || other == who {
			t.Errorf("%v, %v, %v", who, same, other)
		}
		start := time.Now()
		for range 30 {
			c.wait(t.Context(), who, 1)
		}
		if took := time.Since(start); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("30 operations took %v", took)
		}
		c.wait(t.Context(), other, 1)
		if took := time.Since(start); took > 2100*time.Millisecond {
			t.Error("another client waits")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		c.wait(gone, who, 1)
		for i := range 3 * maxClients {
			if who, ok := c.enter(at(fmt.Sprintf("10.%d.%d.1", i>>8, i&255))); ok {
				c.wait(t.Context(), who, 1)
				c.leave(who)
			}
		}
		if n := len(c.from); n > maxClients || c.from[who] == nil {
			t.Errorf("%d clients are remembered", n)
		}
	})
}

// A search that names many addresses is as many guesses: it is paid for like them, and has an end. ATT-29.
func TestGuesses(t *testing.T) {
	s, err := New(Options{Directory: practice()})
	if err != nil {
		t.Fatal(err)
	}
	naming := func(n int) (code, paid int) {
		parts := [][]byte{eq("mail", "lab@h.example"), eq("cn", "LAB@h.example")} // one address
		for i := range n - 1 {
			parts = append(parts, encode(filterNot, eq("sn", fmt.Sprintf("p%d@h.example", i))))
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		b := body(ask("dc=h,dc=example", scopeTree, encode(filterOr, parts...)))
		op, content, _ := b.next()
		if err := s.answer(message{id: 7, op: op, content: content}, w, func(n int) { paid += n }); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		var last message
		for all := body(out.Bytes()); len(all) > 0; {
			m, err := all.want(tagSequence)
			if err != nil {
				t.Fatal(err)
			}
			if last, err = parseMessage(m); err != nil {
				t.Fatal(err)
			}
		}
		code, err := last.content.number(tagEnum)
		if err != nil {
			t.Fatal(err)
		}
		return code, paid
	}
	for n, want := range map[int][2]int{1: {success, 0}, 2: {sizeLimitExceeded, 1}, maxNamed: {sizeLimitExceeded, maxNamed - 1}, maxNamed + 1: {adminLimitExceeded, 0}, 100: {adminLimitExceeded, 0}} {
		if code, paid := naming(n); code != want[0] || paid != want[1] {
			t.Errorf("%d addresses: %d, %d paid; want %d", n, code, paid, want)
		}
	}
}

// Who sends a request octet by octet, or asks and asks and reads no answer, is let go like one who idles, and others get his place. ATT-30.
func TestSlow(t *testing.T) {
	_, server := serve(t, Options{Directory: practice(), MaxConns: 1, PerClient: 1, Idle: 500 * time.Millisecond, Rate: 1 << 20})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", server)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		return c
	}
	bind := request(encode(bindRequest, integer(tagInteger, 3), octets(""), encode(0x80)))
	served := func(c net.Conn) bool {
		c.Write(bind)
		_, err := io.ReadFull(c, make([]byte, 7))
		return err == nil
	}
	large := request(ask("dc=h,dc=example", scopeTree, eq("mail", "lab@h.example"), "*", strings.Repeat("a", 4000)))
	all := bytes.Repeat(request(ask("dc=h,dc=example", scopeTree, has("mail"))), 100)
	for name, push := range map[string]func(c net.Conn, i int) error{
		"octet by octet": func(c net.Conn, i int) error {
			time.Sleep(20 * time.Millisecond)
			_, err := c.Write(large[i%4000:][:1])
			return err
		},
		"reads nothing": func(c net.Conn, _ int) error { _, err := c.Write(all); return err },
	} {
		var slow net.Conn
		for slow = dial(); !served(slow); slow = dial() { // the one before leaves
			slow.Close()
		}
		pushing := make(chan struct{})
		go func() {
			defer close(pushing)
			for i := 0; push(slow, i) == nil; i++ {
			}
		}()
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			c := dial()
			ok := served(c)
			c.Close()
			if ok {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: nobody else gets the place", name)
			}
		}
		slow.Close()
		<-pushing
	}
}
