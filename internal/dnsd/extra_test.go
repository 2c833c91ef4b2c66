package dnsd

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/resolver"
	"carepost/resolver/resolvertest"
)

const tlsa = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"

// furnished is a zone with every type of record.
func furnished() Zone {
	z := small()
	z.SOA.Primary, z.NS = "ns1.h.example", []string{"ns1.h.example", "ns.provider.example"}
	z.Hosts = append(z.Hosts, Host{"ns1.h.example", netip.MustParseAddr("192.0.2.1")})
	z.SRV = []SRV{{Service: "_ldap._tcp", Priority: 0, Weight: 5, Port: 389, Host: "mail.h.example"}}
	z.CERT = append(z.CERT, CERT{For: addr.Address{Endpoint: "web", Domain: "h.example"}, URL: "http://mail.h.example/web.cer"})
	z.Extra = []string{
		`@ TXT "v=spf1 mx -all"`, "_25._tcp.mail TLSA 3 1 1 " + tlsa, `@ CAA 0 issuemail "ca.example"`, `h.example. 300 IN CAA 128 issue ";"`,
		"_ldap._tcp SRV 1 0 389 ldap.provider.example.", "ns1 AAAA 2001:db8::1", `long TXT "` + strings.Repeat("a", 255) + `" "second; \"quoted\""`,
	}
	return z
}

// DIR-43: what stands beside certificates, as dig reads it: SRV, TXT, CAA, TLSA, NS with glue.
func TestDigFurther(t *testing.T) {
	_, server := serve(t, Options{Zones: []Zone{furnished()}})
	for _, tc := range []struct {
		args, want []string
	}{
		{[]string{"_ldap._tcp.h.example", "SRV"}, []string{"0 5 389 mail.h.example.", "1 0 389 ldap.provider.example.", "192.0.2.2"}},
		{[]string{"h.example", "TXT"}, []string{`"v=spf1 mx -all"`}},
		{[]string{"long.h.example", "TXT"}, []string{`" "second; \"quoted\""`}},
		{[]string{"_25._tcp.mail.h.example", "TLSA", "+nosplit"}, []string{"3 1 1 " + strings.ToUpper(tlsa)}},
		{[]string{"h.example", "CAA"}, []string{`0 issuemail "ca.example"`, `128 issue ";"`, "3600\tIN"}},
		{[]string{"h.example", "NS"}, []string{"ns1.h.example.", "ns.provider.example.", "192.0.2.1", "2001:db8::1"}},
		{[]string{"_tcp.h.example", "SRV"}, []string{"status: NOERROR", "ANSWER: 0"}},
		{[]string{"web.h.example", "CERT"}, []string{"IPKIX 0 0 "}},
	} {
		out := dig(t, server, tc.args...)
		for _, want := range tc.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", tc.args, want, out)
			}
		}
	}
}

// The whole zone as we print it is accepted by named-checkzone, and what it reads is what we serve.
func TestCheckzone(t *testing.T) {
	z := furnished()
	text, err := z.Text()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), peer(t, "named-checkzone"), "-D", "-i", "local", "h.example", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"OK", "TLSA", "CAA", "SRV", "CERT", "TXT", "NS", "AAAA"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if w := z.Warnings(); len(w) != 0 {
		t.Errorf("warnings %v", w)
	}
	named := resolvertest.Named(t, map[string]string{"h.example": text})
	_, ours := serve(t, Options{Zones: []Zone{z}})
	for _, server := range []string{named, ours} {
		srv, err := (&resolver.Client{Servers: []string{server}}).SRV(t.Context(), "_ldap._tcp.h.example")
		if err != nil || len(srv) != 2 || srv[0].Host != "mail.h.example" || srv[1].Host != "ldap.provider.example" {
			t.Errorf("%s: %v, %v", server, srv, err)
		}
	}
}

// What an operator may not add.
func TestWrongRecords(t *testing.T) {
	for _, line := range []string{
		"", "@", "@ TXT", "@ A", "_a._tcp TLSA", "_a._tcp SRV", "@ MX", "@ CAA", "_a SMIMEA", "@ HTTPS", "; nothing", "$INCLUDE /etc/passwd", "$GENERATE 1-9 a$ A 192.0.2.$", "$TTL 5", "@ CNAME other.example.", "x DNAME other.example.",
		"@ SOA a. b. 1 2 3 4 5", "@ NS ns.example.", "sub NS ns.example.", "@ CERT 1 0 0 AAAA", "@ DNSKEY 257 3 8 AwEAAQ==", "@ CH TXT a", "other.example. TXT a",
		"*.x TXT a", "* A 192.0.2.1", "@ A 192.0.2", "@ TLSA 3 1 1 xx", "@ TXT a\n@ TXT b", "@ TXT (a", "@ TYPE65280 \\# 1 00", "@ TXT " + strings.Repeat("a ", 8<<10),
	} {
		if err := CheckRecord("h.example", line); err == nil {
			t.Errorf("%.40q is taken", line)
		}
		z := small()
		z.Extra = []string{line}
		if _, err := z.Text(); err == nil {
			t.Errorf("%.40q is published", line)
		}
	}
	for _, v := range []SRV{{}, {Service: "ldap._tcp", Host: "a.example"}, {Service: "_ldap._tcp"}, {Service: "_ldap..tcp", Host: "a.example"}} {
		z := small()
		z.SRV = []SRV{v}
		if _, err := z.Text(); err == nil {
			t.Errorf("%+v is published", v)
		}
	}
}

// DIR-54: a person's name that a host has too, and hosts that nobody finds.
func TestFurtherWarnings(t *testing.T) {
	z := furnished()
	z.CERT = append(z.CERT, CERT{For: addr.Address{Endpoint: "mail", Domain: "h.example"}, Certificate: []byte("one")},
		CERT{For: addr.Address{Endpoint: "long", Domain: "h.example"}, Certificate: []byte("two")}, CERT{For: addr.Address{Domain: "h.example"}, Certificate: []byte("three")})
	z.SRV[0].Host = "ldap.h.example"
	z.NS = []string{"ns2.h.example"}
	w := strings.Join(z.Warnings(), "\n")
	for _, want := range []string{"mail@h.example shares the name mail.h.example with a host", "long@h.example shares", "ldap.h.example, which the SRV record names", "ns2.h.example, which the NS"} {
		if !strings.Contains(w, want) {
			t.Errorf("no %q in\n%s", want, w)
		}
	}
	if strings.Count(w, "\n") != 3 {
		t.Errorf("warnings:\n%s", w)
	}
}

// Any line that is taken can be printed, and is then read by the same rules as the same record.
func FuzzRecord(f *testing.F) {
	for _, line := range furnished().Extra {
		f.Add(line)
	}
	f.Add("@ SVCB 1 . alpn=h2")
	f.Fuzz(func(t *testing.T, line string) {
		rr, err := parseRecord("h.example", line)
		if err != nil {
			return
		}
		again, err := parseRecord("h.example", rr.String())
		if err != nil {
			t.Fatalf("%q: %v", rr.String(), err)
		}
		var one, two [2 * maxLine]byte
		n, _ := dns.PackRR(rr, one[:], 0, nil, false)
		if m, _ := dns.PackRR(again, two[:], 0, nil, false); !bytes.Equal(one[:n], two[:m]) {
			t.Fatalf("%q: %x, %x", rr.String(), one[:n], two[:m])
		}
	})
}
