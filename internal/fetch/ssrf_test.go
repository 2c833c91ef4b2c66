package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"carepost/internal/fetch"
	"carepost/trust"
)

// system is a resolver that asks the test's DNS server alone.
func (k *kinds) system() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, k.dns.Addr)
	}}
}

// inside are URLs that lead inside the house, or nowhere that HTTP goes. PORT is one at which somebody listens on loopback.
func inside() (urls []string) {
	for _, host := range []string{
		"127.0.0.1", "127.255.255.254", "localhost", "LOCALHOST", "[::1]", "0.0.0.0", "[::]", "0", "255.255.255.255", // this machine
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[::ffff:10.0.0.1]", // in disguise
		"2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "0x7f.1", "127.1", "127.0.1", "127.0.0.1.", // as inet_aton reads them
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "192.0.0.8", "224.0.0.1", "240.0.0.1", // private, link-local
		"[fe80::1]", "[fe80::1%25lo]", "[fd00::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]",
		"loop.inside.example", "loop6.inside.example", "private.inside.example", "local.inside.example", "mapped.inside.example",
		"unique.inside.example", "alias.inside.example", "many.inside.example", "none.inside.example",
	} {
		urls = append(urls, "http://"+host+":PORT/x", "https://"+host+":PORT/x")
	}
	return append(urls, "http://127.0.0.1/x", "http://10.0.0.1/x", "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:22/x",
		"file:///etc/passwd", "file://127.0.0.1:PORT/x", "ldap://127.0.0.1:PORT/cn=x?cACertificate;binary", "ldaps://127.0.0.1:PORT/x",
		"gopher://127.0.0.1:PORT/_GET%20/x", "ftp://127.0.0.1:PORT/x", "dict://127.0.0.1:PORT/x", "jar:http://127.0.0.1:PORT/x!/y",
		"data:application/pkix-cert;base64,MA==", "javascript:1", "//127.0.0.1:PORT/x", "http:127.0.0.1:PORT/x", "http:///127.0.0.1:PORT/x",
		"HTTP://127.0.0.1:PORT/x", "http://h.example@127.0.0.1:PORT/x", "http://127.0.0.1:PORT#@h.example/", "http://127.0.0.1:PORT\\@h.example/x",
		"http://127.0.0.1:PORT%20/x", "http://127.0.0.1:0/x", "http://127.0.0.1:65616/x", "unix:/run/x", "", " ", "x")
}

// Whatever a stranger's certificate or record points to: nothing inside is connected with, by no way of writing it and by no name, and
// the answer is that there is nothing to be had. ATT-23.
func TestInside(t *testing.T) {
	k := &kinds{}
	all := k.all(t)
	k.dns.Add(t, "loop.inside.example. 60 IN A 127.0.0.1", "loop6.inside.example. 60 IN AAAA ::1", "private.inside.example. 60 IN A 10.0.0.1",
		"local.inside.example. 60 IN A 169.254.169.254", "mapped.inside.example. 60 IN AAAA ::ffff:127.0.0.1", "unique.inside.example. 60 IN AAAA fd00::1",
		"alias.inside.example. 60 IN CNAME loop.inside.example.", "many.inside.example. 60 IN A 192.168.0.1", "many.inside.example. 60 IN A 127.0.0.1",
		"0177.0.0.1. 60 IN A 127.0.0.1", "0x7f.0.0.1. 60 IN A 127.0.0.1", "0x7f.1. 60 IN A 127.0.0.1", "0x7f000001. 60 IN A 127.0.0.1")
	victim := listen(t, "127.0.0.1")
	o := fetch.Options{AllowPorts: []uint16{victim.at.Port()}, Resolver: k.system()} // a port that is allowed somewhere is not allowed here
	port := fmt.Sprint(victim.at.Port())
	for _, kind := range all {
		asked := 0
		for _, u := range inside() {
			w := &witness{Client: fetch.New(o)}
			u = strings.ReplaceAll(u, "PORT", port)
			start := time.Now()
			if kind.ask(t, w, u) {
				t.Errorf("%s %s: believed", kind.name, u)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s %s: it took %v", kind.name, u, d)
			}
			for _, err := range w.errs {
				if asked++; !errors.Is(err, trust.ErrAbsent) {
					t.Errorf("%s %s: %v", kind.name, u, err)
				}
			}
		}
		if asked < 80 {
			t.Errorf("%s: %d URLs came to the guard", kind.name, asked)
		}
		if n := victim.conns.Load(); n != 0 {
			t.Errorf("%s: %d connections", kind.name, n)
		}
		o := o // where it is allowed, the same listener is reached
		o.AllowPrefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		kind.ask(t, fetch.New(o), "http://loop.inside.example:"+port+"/control")
		if victim.conns.Swap(0) == 0 {
			t.Errorf("%s: the listener is not even reached where it is allowed", kind.name)
		}
	}
}

// tricks are what a hostile server does. The first kind is stopped by its size, the second by the time, the third by neither.
func tricks(victim netip.AddrPort) map[string]struct {
	slow bool
	trick
} {
	type entry = struct {
		slow bool
		trick
	}
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = 'x'
	}
	chunk := append(append([]byte("10000\r\n"), block...), "\r\n"...)
	forever := func(head string, what []byte, pause time.Duration) trick {
		return func(w io.Writer) {
			_, err := io.WriteString(w, head)
			for err == nil {
				_, err = w.Write(what)
				time.Sleep(pause)
			}
		}
	}
	say := func(s string) trick { return func(w io.Writer) { io.WriteString(w, s) } }
	to := func(code int, location string) trick {
		return say(fmt.Sprintf("HTTP/1.1 %d Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", code, location))
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 512 {
		z.Write(make([]byte, 64<<10))
	}
	z.Close()
	const ok, drip = "HTTP/1.1 200 OK\r\n", 5 * time.Millisecond
	return map[string]entry{
		"huge":                   {false, forever(ok+"Content-Length: 1099511627776\r\n\r\n", block, 0)},
		"endless":                {false, forever(ok+"Transfer-Encoding: chunked\r\n\r\n", chunk, 0)},
		"until-it-closes":        {false, forever("HTTP/1.0 200 OK\r\n\r\n", block, 0)},
		"endless-header":         {false, forever(ok+"X: ", block, 0)},
		"endless-headers":        {false, forever(ok, []byte("X: y\r\n"), 0)},
		"endless-status":         {false, forever("HTTP/1.1 200 ", block, 0)},
		"endless-continue":       {false, forever("", []byte("HTTP/1.1 100 Continue\r\n\r\n"), 0)},
		"endless-chunk-size":     {false, forever(ok+"Transfer-Encoding: chunked\r\n\r\n1;", block, 0)},
		"endless-trailer":        {false, forever(ok+"Transfer-Encoding: chunked\r\n\r\n0\r\n", []byte("X: y\r\n"), 0)},
		"gzip-bomb":              {false, say(fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", ok, bomb.Len(), bomb.Bytes()))},
		"silent":                 {true, forever("", nil, drip)},
		"drips-header":           {true, forever(ok+"X: ", []byte("x"), drip)},
		"drips":                  {true, forever(ok+"Content-Length: 60000\r\n\r\n", []byte("x"), drip)},
		"drips-chunks":           {true, forever(ok+"Transfer-Encoding: chunked\r\n\r\n", []byte("1\r\nx\r\n"), drip)},
		"to-the-inside":          {false, to(302, "http://"+victim.String()+"/x")},
		"to-the-inside-307":      {false, to(307, "http://"+victim.String()+"/x")},
		"to-a-name-inside":       {false, to(301, fmt.Sprintf("http://loop.inside.example:%d/x", victim.Port()))},
		"to-another-port-inside": {false, to(302, "http://127.0.0.1:22/x")},
		"to-a-private-address":   {false, to(308, "http://10.0.0.1/x")},
		"to-a-file":              {false, to(302, "file:///etc/passwd")},
		"to-gopher":              {false, to(302, fmt.Sprintf("gopher://%s/_x", victim))},
		"in-a-loop":              {false, to(302, "/in-a-loop")},
		"in-a-loop-307":          {false, to(307, "/in-a-loop-307")},
		"in-a-longer-loop":       {false, to(302, "/in-a-loop")},
		"breaks-off":             {false, say(ok + "Content-Length: 1000\r\n\r\nx")},
		"no-HTTP":                {false, say("220 mail.h.example ESMTP\r\n")},
		"nothing":                {false, say("")},
	}
}

// What a hostile server costs: time, bytes, connections and memory have bounds, whatever it does and whatever made us ask it. ATT-23.
func TestHostileServer(t *testing.T) {
	k := &kinds{}
	all := k.all(t)
	victim, e := listen(t, "127.0.0.2"), listen(t, "127.0.0.1")
	k.dns.Add(t, "loop.inside.example. 60 IN A 127.0.0.2")
	const (
		quick, patient = 150 * time.Millisecond, 5 * time.Second
		buffers        = 24 << 20 // what the sockets of four connections hold
		spare          = 16 << 20 // of memory: certificates, HTTP, the servers themselves
	)
	o := fetch.Options{AllowPrefixes: []netip.Prefix{netip.PrefixFrom(e.at.Addr(), 32)}, AllowPorts: []uint16{e.at.Port(), victim.at.Port()}, Resolver: k.system()}
	for name, trick := range tricks(victim.at) {
		e.mu.Lock()
		e.tricks[name] = trick.trick
		e.mu.Unlock()
		for _, kind := range all {
			o := o
			if o.Timeout = patient; trick.slow {
				o.Timeout = quick
			}
			w := &witness{Client: fetch.New(o)}
			e.conns.Store(0)
			e.bytes.Store(0)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			if kind.ask(t, w, fmt.Sprintf("http://%s/%s", e.at, name)) {
				t.Errorf("%s %s: believed", kind.name, name)
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			conns, sent, taken := e.conns.Load(), e.bytes.Load(), int64(after.TotalAlloc-before.TotalAlloc)
			requests := int64(len(w.errs)) // OCSP asks by POST, then by GET
			switch {
			case requests == 0 || requests > 2 || conns < requests || conns > 4*requests || !strings.Contains(name, "loop") && conns > requests:
				t.Errorf("%s %s: %d requests, %d connections", kind.name, name, requests, conns)
			case sent > requests*kind.limit+buffers:
				t.Errorf("%s %s: %d bytes were sent", kind.name, name, sent)
			case taken > 6*requests*kind.limit+spare:
				t.Errorf("%s %s: %d bytes allocated", kind.name, name, taken)
			case took > time.Duration(requests)*o.Timeout+10*time.Second:
				t.Errorf("%s %s: it took %v", kind.name, name, took)
			}
			for _, err := range w.errs {
				if err == nil && name != "gzip-bomb" {
					t.Errorf("%s %s: an answer was taken", kind.name, name)
				}
			}
			t.Logf("%s %s: %v, %d connections, %d bytes, %d allocated, %v", kind.name, name, took.Round(time.Millisecond), conns, sent, taken, w.errs)
		}
	}
	if n := victim.conns.Load(); n != 0 {
		t.Errorf("%d connections to the inside", n)
	}
}
