package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/trust"
)

var _ trust.Fetcher = (*Client)(nil)

func loopback(t *testing.T, h http.HandlerFunc) (*httptest.Server, Options) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, _ := url.Parse(s.URL)
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	return s, Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		AllowPorts: []uint16{uint16(port)}}
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }
}

func TestFetch(t *testing.T) {
	s, o := loopback(t, answer("a list"))
	body, err := New(o).Fetch(t.Context(), s.URL+"/x.crl", 6)
	if err != nil || string(body) != "a list" {
		t.Errorf("%q, %v", body, err)
	}
}

// Without leave, nothing inside the house is reached: by number, by name, or by another way to write it. ATT-23.
func TestNothingInside(t *testing.T) {
	var hits atomic.Int32
	s, o := loopback(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	port := strconv.Itoa(int(o.AllowPorts[0]))
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1", "2130706433"} {
		// The port is allowed, the address is not: allowed ports are for allowed addresses.
		_, err := New(Options{AllowPorts: o.AllowPorts}).Fetch(t.Context(), "http://"+host+":"+port+"/", 10)
		if err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if _, err := New(Options{AllowPrefixes: o.AllowPrefixes}).Fetch(t.Context(), s.URL, 10); !errors.Is(err, trust.ErrAbsent) {
		t.Errorf("the address is allowed, the port is not: %v", err)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestURLs(t *testing.T) {
	c := New(Options{})
	for _, u := range []string{"", "x", "/etc/passwd", "file:///etc/passwd", "ftp://h.example/x", "gopher://h.example/", "ldap://h.example/cn=x",
		"http://", "http:///x", "http://:80/", "http://user:secret@h.example/", "http://h.example:25/", "http://h.example:8080/",
		"http://h.example:99999/", "http://h.example/\r\nX: y", "http://h.example/" + strings.Repeat("x", 3000), "http://[::1%25lo]/"} {
		if _, err := c.Fetch(t.Context(), u, 10); !errors.Is(err, trust.ErrAbsent) {
			t.Errorf("%.40q: %v", u, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}

func TestPublic(t *testing.T) {
	for _, s := range []string{"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3",
		"255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.0.0.8",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "64:ff9b::7f00:1",
		"64:ff9b:1::1", "::127.0.0.1", "2001::1", "100::1", "3fff::1"} {
		if public(netip.MustParseAddr(s).Unmap()) {
			t.Errorf("%s passes for public", s)
		}
	}
	for _, s := range []string{"1.1.1.1", "9.9.9.9", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"} {
		if !public(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
}

// The guard sees addresses, however they were come by: a name that first told another address, or an address in disguise. ATT-23.
func TestGuard(t *testing.T) {
	open := New(Options{AllowPorts: []uint16{8080}})
	trial := New(Options{AllowPorts: []uint16{8080}, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	place := New(Options{AllowPlaces: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8080"), netip.MustParseAddrPort("10.0.0.2:389")}})
	for _, tc := range []struct {
		c       *Client
		network string
		to      string
		want    bool
	}{
		{open, "tcp4", "9.9.9.9:80", true}, {open, "tcp4", "9.9.9.9:443", true}, {open, "tcp6", "[2606:4700::1111]:443", true},
		{open, "tcp6", "[::ffff:9.9.9.9]:80", true},
		{open, "tcp4", "9.9.9.9:25", false}, {open, "tcp4", "9.9.9.9:8080", false}, {open, "udp4", "9.9.9.9:443", false},
		{open, "unix", "/run/x", false}, {open, "tcp4", "10.0.0.1:80", false}, {open, "tcp6", "[::ffff:10.0.0.1]:80", false},
		{open, "tcp6", "[64:ff9b::a00:1]:80", false}, {open, "tcp6", "[2002:a00:1::1]:80", false}, {open, "tcp6", "[::10.0.0.1]:80", false},
		{open, "tcp4", "169.254.169.254:80", false}, {open, "tcp6", "[fe80::1%lo]:80", false}, {open, "tcp4", "0.0.0.0:80", false},
		{open, "tcp6", "[::]:80", false}, {open, "tcp4", "255.255.255.255:80", false}, {open, "tcp4", "239.0.0.1:80", false},
		{trial, "tcp4", "10.0.0.1:80", true}, {trial, "tcp4", "10.0.0.1:8080", true}, {trial, "tcp6", "[::ffff:10.0.0.1]:8080", true},
		{place, "tcp4", "10.0.0.1:8080", true}, {place, "tcp6", "[::ffff:10.0.0.1]:8080", true}, {place, "tcp4", "10.0.0.2:389", true},
		{place, "tcp4", "10.0.0.1:80", false}, {place, "tcp4", "10.0.0.1:443", false}, {place, "tcp4", "10.0.0.1:389", false},
		{place, "tcp4", "10.0.0.2:80", false}, {place, "tcp4", "10.0.0.2:8080", false}, {place, "tcp4", "9.9.9.9:8080", false},
		{trial, "tcp4", "10.0.0.1:22", false}, {trial, "tcp4", "9.9.9.9:8080", false}, {trial, "tcp4", "192.168.0.1:80", false},
	} {
		if err := tc.c.guard(t.Context(), tc.network, tc.to, nil); (err == nil) != tc.want {
			t.Errorf("%s %s: %v", tc.network, tc.to, err)
		}
	}
}

// ATT-23.
func TestCaps(t *testing.T) {
	s, o := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unknown-length" {
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, strings.Repeat("x", 1001))
	})
	c := New(o)
	for _, path := range []string{"/", "/unknown-length"} {
		if _, err := c.Fetch(t.Context(), s.URL+path, 1000); !errors.Is(err, trust.ErrAbsent) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := c.Fetch(t.Context(), s.URL+path, 1001); err != nil {
			t.Errorf("%s, as large as allowed: %v", path, err)
		}
	}
}

// ATT-23.
func TestTime(t *testing.T) {
	done := make(chan struct{})
	s, o := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drip" {
			w.(http.Flusher).Flush()
		}
		<-done
	})
	defer close(done)
	o.Timeout = 50 * time.Millisecond
	for _, path := range []string{"/silent", "/drip"} {
		start := time.Now()
		_, err := New(o).Fetch(t.Context(), s.URL+path, 10)
		if err == nil || errors.Is(err, trust.ErrAbsent) || time.Since(start) > 5*time.Second {
			t.Errorf("%s: %v after %v", path, err, time.Since(start))
		}
	}
	o.Timeout = 400 * time.Millisecond // a caller with less time than that: what he learns is good for others too
	c := New(o)
	short, end := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer end()
	if _, err := c.Fetch(short, s.URL+"/silent", 10); err == nil || c.failed.get(s.URL+"/silent", time.Now()) == nil {
		t.Errorf("a silent server is not remembered: %v", err)
	}
	short, end = context.WithTimeout(t.Context(), time.Millisecond)
	defer end()
	if c.Fetch(short, s.URL+"/never-asked", 10); c.fair(short, time.Millisecond) {
		t.Error("a caller without time blames the server")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(o).Fetch(ctx, s.URL, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// ATT-23.
func TestRedirects(t *testing.T) {
	s, o := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		switch {
		case r.URL.Path == "/away":
			http.Redirect(w, r, strings.Replace("http://"+r.Host, "127.0.0.1", "localhost", 1)+"/0", http.StatusFound)
		case r.URL.Path == "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/port":
			http.Redirect(w, r, "http://127.0.0.1:25/", http.StatusFound)
		case n > 0:
			http.Redirect(w, r, "/"+strconv.Itoa(n-1), http.StatusFound)
		}
	})
	c := New(o)
	if _, err := c.Fetch(t.Context(), s.URL+"/3", 10); err != nil {
		t.Errorf("three redirects: %v", err)
	}
	for _, path := range []string{"/4", "/away", "/file", "/port"} {
		if _, err := c.Fetch(t.Context(), s.URL+path, 10); !errors.Is(err, trust.ErrAbsent) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A proxy would look names up and connect where the guard cannot see it.
func TestNoProxyFromTheEnvironment(t *testing.T) {
	if New(Options{}).http.Transport.(*http.Transport).Proxy != nil {
		t.Error("the environment has a say in where we connect")
	}
}

// What failed is not asked again at once; whether it may be asked later is told.
func TestFailures(t *testing.T) {
	var hits atomic.Int32
	s, o := loopback(t, func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		n, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(n)
	})
	c := New(o)
	for status, absent := range map[string]bool{"404": true, "410": true, "403": true, "429": false, "408": false, "500": false, "503": false, "204": false} {
		hits.Store(0)
		for range 3 {
			if _, err := c.Fetch(t.Context(), s.URL+"/"+status, 10); err == nil || errors.Is(err, trust.ErrAbsent) != absent {
				t.Errorf("%s: %v", status, err)
			}
		}
		if n := hits.Load(); n != 1 {
			t.Errorf("%s: %d requests", status, n)
		}
	}
	c.failed.put("u", errGuard, time.Now())
	if c.failed.get("u", time.Now()) != nil {
		t.Error("a failure is remembered for ever")
	}
}

// Who is being started again is asked sooner than who fails.
func TestRefusedConnectionIsForgottenSoon(t *testing.T) {
	s, o := loopback(t, func(http.ResponseWriter, *http.Request) {})
	s.Close()
	c := New(o)
	if _, err := c.Fetch(t.Context(), s.URL+"/", 10); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if c.failed.get(s.URL+"/", time.Now()) == nil || c.failed.get(s.URL+"/", time.Now().Add(shortly)) != nil {
		t.Error("it is not remembered for just a moment")
	}
	if remembered(errRefused, time.Second) != failedFor || remembered(errGuard, 0) != failedFor {
		t.Error("what is slow or answered is asked again soon")
	}
}
