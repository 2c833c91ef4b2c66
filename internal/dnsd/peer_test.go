package dnsd

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/resolver"
	"carepost/resolver/resolvertest"
	"carepost/trust/certtest"
)

// practice is a zone with all that a health domain publishes, and its certificates.
type practice struct {
	zone            Zone
	lab, org, large certtest.Pair
}

func newPractice(t *testing.T) practice {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		t.Fatal(err)
	}
	ca := certtest.NewCA(t, "Trial CA", certtest.Key(key)) // its signatures alone fill 512 octets
	p := practice{
		lab: ca.Issue(t, "lab@h.example"), org: ca.Issue(t, "h.example"),
		large: ca.Issue(t, "o'neil+x@h.example", certtest.Key(key)),
	}
	p.zone = Zone{
		Origin: "h.example",
		MX:     []MX{{Pref: 10, Host: "mail.h.example"}, {Pref: 20, Host: "mx.backup.example"}},
		Hosts: []Host{
			{"ns.h.example", netip.MustParseAddr("192.0.2.1")}, {"mail.h.example", netip.MustParseAddr("192.0.2.2")},
			{"mail.h.example", netip.MustParseAddr("2001:db8::2")},
		},
		CERT: []CERT{
			{For: address(t, "lab@h.example"), Certificate: p.lab.Certificate.Raw},
			{For: addr.Address{Domain: "h.example"}, Certificate: p.org.Certificate.Raw},
			{For: address(t, "o'neil+x@h.example"), Certificate: p.large.Certificate.Raw},
			{For: address(t, "web@h.example"), URL: "http://h.example/web.cer"},
		},
	}
	return p
}

func address(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve starts a server on loopback and returns its host:port. It stops with the test.
func serve(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, p := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, p, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

func listen(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if p, err := net.ListenPacket("udp", l.Addr().String()); err == nil {
			return l, p
		}
		l.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name)
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is missing: make peers installs it", name)
		}
	}
	return path
}

func dig(t *testing.T, server string, args ...string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(server)
	args = append([]string{"-r", "@" + host, "-p", port, "+tries=1", "+time=5", "+nocookie"}, args...)
	out, err := exec.CommandContext(t.Context(), peer(t, "dig"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("dig %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// DIR-43, DIR-42: what BIND's dig reads of us, over UDP, truncated, and over TCP.
func TestDig(t *testing.T) {
	p := newPractice(t)
	_, server := serve(t, Options{Zones: []Zone{p.zone}})
	cert := func(pair certtest.Pair) string { return der64(pair) }
	for _, tc := range []struct {
		name string
		args []string
		want []string
		not  string
	}{
		{"MX", []string{"h.example", "MX"}, []string{"status: NOERROR", "flags: qr aa rd;", "10 mail.h.example.", "20 mx.backup.example.", "192.0.2.2", "2001:db8::2"}, "tc"},
		{"NS", []string{"h.example", "NS"}, []string{"ns.h.example.", "192.0.2.1"}, ""},
		{"SOA", []string{"h.example", "SOA"}, []string{"ns.h.example. hostmaster.h.example. 1 "}, ""},
		{"A", []string{"MAIL.h.example", "A"}, []string{"192.0.2.2"}, ""},
		{"AAAA", []string{"mail.h.example", "AAAA"}, []string{"2001:db8::2"}, ""},
		{"DIR-43 CERT type 1", []string{"lab.h.example", "CERT", "+nosplit"}, []string{"PKIX 0 0 " + cert(p.lab)}, "retrying"},
		{"DIR-43 CERT of the organisation", []string{"h.example", "CERT", "+nosplit"}, []string{"PKIX 0 0 " + cert(p.org)}, ""},
		{"DIR-43 CERT type 4", []string{"web.h.example", "CERT", "+nosplit"}, []string{"IPKIX 0 0 "}, ""},
		{"DIR-42 512 octets, cut", []string{"lab.h.example", "CERT", "+noedns", "+ignore"}, []string{"flags: qr aa tc rd;", "ANSWER: 0"}, ""},
		{"DIR-42 bufsize 512, cut", []string{"lab.h.example", "CERT", "+bufsize=512", "+ignore"}, []string{"flags: qr aa tc rd;", "ANSWER: 0"}, ""},
		{"DIR-42 then TCP", []string{"lab.h.example", "CERT", "+noedns", "+nosplit"}, []string{"Truncated, retrying in TCP mode", "PKIX 0 0 " + cert(p.lab)}, ""},
		{"DIR-42 4096 bits", []string{`o\039neil\043x.h.example`, "CERT", "+bufsize=4096", "+nosplit"}, []string{"Truncated, retrying in TCP mode", "PKIX 0 0 " + cert(p.large)}, ""},
		{"TCP", []string{"h.example", "MX", "+tcp"}, []string{"10 mail.h.example."}, ""},
		{"no name", []string{"nobody.h.example", "CERT"}, []string{"status: NXDOMAIN", "flags: qr aa rd;", "60\tIN\tSOA"}, ""},
		{"no data", []string{"lab.h.example", "MX"}, []string{"status: NOERROR", "ANSWER: 0", "60\tIN\tSOA"}, ""},
		{"out of zone", []string{"other.example", "MX"}, []string{"status: REFUSED"}, "SOA\tns"},
		{"above the zone", []string{"example", "MX"}, []string{"status: REFUSED"}, ""},
		{"root", []string{".", "NS"}, []string{"status: REFUSED"}, ""},
		{"class", []string{"-c", "CH", "version.bind", "TXT"}, []string{"status: REFUSED"}, ""},
		{"ANY", []string{"h.example", "ANY", "+notcp"}, []string{"RFC8482"}, ""},
		{"EDNS 1", []string{"h.example", "MX", "+edns=1", "+noednsneg"}, []string{"status: BADVERS", "ANSWER: 0"}, ""},
		{"opcode", []string{"h.example", "SOA", "+opcode=NOTIFY"}, []string{"status: NOTIMP"}, ""},
		{"no recursion", []string{"h.example", "MX", "+norecurse"}, []string{"flags: qr aa;"}, ""},
		{"transfer", []string{"h.example", "AXFR"}, []string{"Transfer failed"}, "mail"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := dig(t, server, tc.args...)
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if tc.not != "" && strings.Contains(out, tc.not) {
				t.Errorf("%q in\n%s", tc.not, out)
			}
		})
	}
}

// DIR-42, DIR-43, DIR-54: BIND serves the zone as we print it, and our discovery finds there what it finds with us, the 4096-bit
// certificate by TCP.
func TestNamed(t *testing.T) {
	p := newPractice(t)
	p.zone.Hosts = append(p.zone.Hosts, Host{"www.h.example", netip.MustParseAddr("192.0.2.3")})
	text, err := p.zone.Text()
	if err != nil {
		t.Fatal(err)
	}
	named := resolvertest.Named(t, map[string]string{"h.example": text + "alias.h.example. 60 IN CNAME lab.h.example.\n"})
	_, ours := serve(t, Options{Zones: []Zone{p.zone}})
	for _, server := range []string{named, ours} {
		c := &resolver.Client{Servers: []string{server}}
		mx, err := c.MX(t.Context(), "h.example")
		if err != nil || len(mx) != 2 || mx[0] != (resolver.MX{Pref: 10, Host: "mail.h.example", TTL: time.Hour}) {
			t.Errorf("MX: %v, %v", mx, err)
		}
		if ips, err := c.Addrs(t.Context(), "mail.h.example"); err != nil || fmt.Sprint(ips) != "[192.0.2.2 2001:db8::2]" {
			t.Errorf("Addrs: %v, %v", ips, err)
		}
		for _, name := range []string{"nobody.h.example", "www.h.example"} {
			if got, err := c.CERT(t.Context(), name); err != resolver.ErrNotFound {
				t.Errorf("CERT %s: %v, %v", name, got, err)
			}
		}
		if _, err := c.CERT(t.Context(), "other.example"); err == nil || err == resolver.ErrNotFound {
			t.Errorf("a refusal is no denial: %v", err)
		}
		f := &discovery.Finder{Resolver: c}
		for who, want := range map[string]certtest.Pair{"lab@h.example": p.lab, "O'Neil+x@h.example": p.large, "desk@h.example": p.org} {
			found, steps, err := f.Lookup(t.Context(), address(t, who))
			if err != nil || len(found) != 1 || !found[0].Certificate.Equal(want.Certificate) {
				t.Errorf("%s: %d found, %v, %v", who, len(found), steps, err)
			}
		}
	}
	if got, err := (&resolver.Client{Servers: []string{named}}).CERT(t.Context(), "alias.h.example"); err != nil || len(got) != 1 {
		t.Errorf("alias: %v, %v", got, err)
	}
}
