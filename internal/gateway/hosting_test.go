package gateway_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
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
	"carepost/internal/fetch"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/pilot"
	"carepost/internal/store"
	"carepost/ldap/ldaptest"
	"carepost/resolver"
	"carepost/resolver/resolvertest"
	"carepost/trust"
)

// host is an installation that publishes: lab@DOMAIN has a certificate of its own, front@DOMAIN has not, desk@DOMAIN has one for signing.
type host struct {
	*gatewaytest.Practice
	lab, org *x509.Certificate
	ldap     string
}

func newHosts(t *testing.T, set func(*gateway.Options), domains ...addr.Domain) []host {
	t.Helper()
	listeners := map[addr.Domain]net.Listener{}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[o.Domain], o.Listeners.LDAP = l, l
		set(o)
	}, domains...)
	var out []host
	for i, p := range w.All {
		h := host{Practice: p, ldap: listeners[domains[i]].Addr().String()}
		issue := func(endpoint string, use pilot.Use) *x509.Certificate {
			a := addr.Address{Endpoint: endpoint, Domain: domains[i]}
			if err := p.AddAccount(t.Context(), gatewaytest.Actor, a); err != nil {
				t.Fatal(err)
			}
			c, err := p.Authority().Issue(t.Context(), gatewaytest.Actor, pilot.Order{Owner: store.Owner{Address: a}, Kind: pilot.RSA2048, Use: use}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return c.Certificate
		}
		h.lab = issue("lab", pilot.Both)
		issue("desk", pilot.Sign)
		var err error
		if h.org, err = x509.ParseCertificate(organisational(t, p.Gateway)); err != nil {
			t.Fatal(err)
		}
		if err := p.PublishNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Start(t)
		out = append(out, h)
	}
	return out
}

// place is somewhere that a certificate is hosted.
type place struct {
	dns, ldap string // host:port
	source    string
	h         host
}

// The hosting cases of the certificate discovery tests (DCDT H1 to H4), by our own listeners, and by BIND and OpenLDAP with what we
// write for them: dig or ldapsearch find what we publish, our own finder does, it is bound to whom it is looked for, of good size, in
// date, and trusted under our anchor. DIR-05, DIR-43.
func TestHosting(t *testing.T) {
	hosts := newHosts(t, func(o *gateway.Options) { o.Publish.NoDNS = o.Domain == "south.example" }, "north.example", "south.example")
	north, south := hosts[0], hosts[1]
	ours := func(h host) string { return h.Hears.DNSTCP.Addr().String() }
	read := func(h host, kind string) string {
		text, err := os.ReadFile(filepath.Join(h.Dir, "dns", h.Address.Domain.String()+kind))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var entries []string
	for e := range strings.SplitSeq(read(south, ".ldif"), "\n\n") {
		entries = append(entries, e+"\n")
	}
	slapd := ldaptest.Start(t, []string{"dc=south,dc=example"}, entries...).Address
	_, port, _ := net.SplitHostPort(slapd)
	const head = "$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n"
	bind := resolvertest.Named(t, map[string]string{
		"north.example": head + read(north, ".zone"),
		"south.example": head + fmt.Sprintf("_ldap._tcp IN SRV 0 0 %s ns\n", port), // an operator who runs his own directory
	})
	for name, at := range map[string]place{
		"our own":  {dns: ours(north), source: discovery.SourceCERT, h: north},
		"BIND":     {dns: bind, source: discovery.SourceCERT, h: north},
		"our LDAP": {dns: ours(south), ldap: south.ldap, source: discovery.SourceLDAP, h: south},
		"OpenLDAP": {dns: bind, ldap: slapd, source: discovery.SourceLDAP, h: south},
	} {
		address, domain := "H1 DNS address-bound", "H2 DNS domain-bound"
		if at.ldap != "" {
			address, domain = "H3 LDAP address-bound", "H4 LDAP domain-bound"
		}
		t.Run(address+", "+name, func(t *testing.T) { at.holds(t, "lab", "lab", at.h.lab, trust.AddressBound) })
		t.Run(domain+", "+name, func(t *testing.T) {
			at.holds(t, "", "front", at.h.org, trust.OrgBound)
			at.holds(t, "", "desk", at.h.org, trust.OrgBound) // whose own certificate is for signing only
		})
	}
}

// holds asks for what is published of an owner, and then for the certificate of an address.
func (at place) holds(t *testing.T, owner, endpoint string, want *x509.Certificate, binding trust.Binding) {
	t.Helper()
	d := at.h.Address.Domain
	if at.ldap == "" {
		name := d.String()
		if owner != "" {
			name = owner + "." + name
		}
		if got := digCERT(t, at.dns, name); len(got) != 1 || !bytes.Equal(got[0], want.Raw) {
			t.Errorf("dig finds %d certificates at %s", len(got), name)
		}
	} else {
		mail := d.String()
		if owner != "" {
			mail = owner + "@" + mail
		}
		if got := searchCertificates(t, at.ldap, mail); len(got) != 1 || !bytes.Equal(got[0], want.Raw) {
			t.Errorf("ldapsearch finds %d certificates of %s", len(got), mail)
		}
	}
	fetcher := fetch.New(fetch.Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: []uint16{uint16(gateway.Port(at.h.Hears.HTTP))}})
	finder := discovery.Finder{
		Resolver: &resolver.Client{Stub: map[addr.Domain][]string{d: {at.dns}}}, Fetcher: fetcher, Dial: (&net.Dialer{}).DialContext,
	}
	a := addr.Address{Endpoint: endpoint, Domain: d}
	found, steps, err := finder.Lookup(t.Context(), a)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found, %v, %+v", len(found), err, steps)
	}
	f := found[0]
	if !f.Certificate.Equal(want) || f.Binding != binding || f.Source != at.source {
		t.Errorf("found %v by %s at %s", f.Binding, f.Source, f.Name)
	}
	if key, ok := f.Certificate.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < 2048 || time.Now().After(f.Certificate.NotAfter) || time.Now().Before(f.Certificate.NotBefore) {
		t.Error("its size or time is not good")
	}
	v := trust.NewJudge(fetcher).Judge(t.Context(), trust.Question{
		Certificate: f.Certificate, Address: a, Anchors: []*x509.Certificate{at.h.Anchor()}, Use: trust.Encryption, Now: time.Now(), Policy: trust.V12,
	})
	if v.Status != trust.Trusted {
		t.Errorf("%v: %s: %s", v.Status, v.Clause, v.Reason)
	}
}

// digCERT is what dig finds of type 1.
func digCERT(t *testing.T, server, name string) (out [][]byte) {
	t.Helper()
	ip, port, _ := net.SplitHostPort(server)
	text, err := exec.CommandContext(t.Context(), "dig", "-r", "@"+ip, "-p", port, "+short", "+nosplit", "+tries=3", name, "CERT").Output()
	if err != nil {
		t.Fatalf("dig: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if data, found := strings.CutPrefix(strings.TrimSpace(line), "PKIX 0 0 "); found {
			der, err := base64.StdEncoding.DecodeString(data)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, der)
		}
	}
	return out
}

// searchCertificates is what ldapsearch finds below what the server says to hold.
func searchCertificates(t *testing.T, server, mail string) (out [][]byte) {
	t.Helper()
	search := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "ldapsearch", append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", "ldap://" + server}, args...)...)
		cmd.Env = append(os.Environ(), "LDAPNOINIT=1")
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("ldapsearch: %v", err)
		}
		return string(text)
	}
	_, base, _ := strings.Cut(search("-b", "", "-s", "base", "namingContexts"), "namingContexts: ")
	base, _, _ = strings.Cut(base, "\n")
	filter := fmt.Sprintf("(&(mail=%[1]s)(|(userCertificate;binary=*)(userCertificate=*)))", mail)
	for line := range strings.Lines(search("-b", base, filter, "userCertificate")) {
		if data, found := strings.CutPrefix(strings.TrimSpace(line), "userCertificate;binary:: "); found {
			der, err := base64.StdEncoding.DecodeString(data)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, der)
		}
	}
	return out
}

// CERT records of type 4 lead to our own HTTP listener, where the certificate is fetched: DIR-43.
func TestHostingByURL(t *testing.T) {
	h := newHosts(t, func(o *gateway.Options) {
		o.Publish = gateway.Publish{URL: true, NoLDAP: true, Records: []string{`@ CAA 0 issuemail "ca.example"`, "_LDAP._tcp SRV 0 0 389 ldap.provider.example."}}
	}, "north.example")[0]
	at := place{dns: h.Hears.DNSTCP.Addr().String(), source: discovery.SourceCERT, h: h}
	ip, port, _ := net.SplitHostPort(at.dns)
	text, err := exec.CommandContext(t.Context(), "dig", "-r", "@"+ip, "-p", port, "+short", "lab.north.example", "CERT", "north.example", "CAA", "_ldap._tcp.north.example", "SRV").Output()
	if err != nil || !strings.Contains(string(text), "IPKIX 0 0 ") || !strings.Contains(string(text), `0 issuemail "ca.example"`) ||
		!strings.Contains(string(text), "0 0 389 ldap.provider.example.") || strings.Count(string(text), " 389 ") != 1 {
		t.Errorf("dig: %v\n%s", err, text)
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "dns", "north.example.ldif")); !os.IsNotExist(err) {
		t.Errorf("entries of no directory are written: %v", err)
	}
	fetcher := fetch.New(fetch.Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: []uint16{uint16(gateway.Port(h.Hears.HTTP))}})
	finder := discovery.Finder{Resolver: &resolver.Client{Servers: []string{at.dns}}, Fetcher: fetcher}
	found, steps, err := finder.Lookup(t.Context(), addr.Address{Endpoint: "lab", Domain: "north.example"})
	if err != nil || len(found) != 1 || !found[0].Certificate.Equal(h.lab) || found[0].URL == "" || strings.Contains(found[0].URL, "lab") {
		t.Errorf("%+v, %v, %+v", found, err, steps)
	}
}

// What the operator is told of what he publishes: two who share a name, and what DNS lacks of it; nothing where all is well. DIR-02, DIR-54.
func TestPublicationWarnings(t *testing.T) {
	h := newHosts(t, func(o *gateway.Options) { o.Network.Stub[o.Domain] = []string{o.Listeners.DNSTCP.Addr().String()} }, "north.example")[0]
	told := func(check bool) string {
		p, err := h.Told(t.Context(), check)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(p.Warnings, "\n")
	}
	if w := told(true); w != "" {
		t.Errorf("all is well, and: %s", w)
	}
	mx := addr.Address{Endpoint: "mx", Domain: "north.example"}
	if err := h.AddAccount(t.Context(), gatewaytest.Actor, mx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authority().Issue(t.Context(), gatewaytest.Actor, pilot.Order{Owner: store.Owner{Address: mx}, Kind: pilot.P256, Use: pilot.Both}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if w := told(false); !strings.Contains(w, "mx@north.example shares the name mx.north.example with a host") {
		t.Errorf("warnings: %s", w)
	}
	bind := resolvertest.Named(t, map[string]string{"north.example": "$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n" +
		"@ IN MX 10 mail.provider.example.\nlab IN CERT 1 0 0 AAAA\n"})
	h.Reach(gateway.Network{Stub: map[addr.Domain][]string{"north.example": {bind}}})
	w := told(true)
	for _, want := range []string{"lead to others than mx.north.example", "such as direct.north.example", "another certificate at lab.north.example", "no certificate at north.example", "does not lead to our directory"} {
		if !strings.Contains(w, want) {
			t.Errorf("no %q in\n%s", want, w)
		}
	}
}
