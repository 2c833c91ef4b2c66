package dcdt

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"carepost/ldap/ldaptest"
	"carepost/resolver/resolvertest"
)

// deadPort is one where nobody listens: it stays bound, without listening, so that nobody else gets it.
func deadPort(t testing.TB) int {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	port := p.LocalAddr().(*net.UDPAddr).Port
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		c.Close()
		return deadPort(t)
	}
	return port
}

// startNamed runs BIND with one zone and returns its host:port.
func startNamed(t testing.TB, origin, zone string) string {
	t.Helper()
	return resolvertest.Named(t, map[string]string{origin: zone})
}

// startSlapd runs OpenLDAP with the entries of an LDIF text below ou=dcdt and returns its port.
func startSlapd(t testing.TB, ldif string) int {
	t.Helper()
	at := netip.MustParseAddrPort(ldaptest.Start(t, []string{"ou=dcdt"}, ldif).Address)
	return int(at.Port())
}

// certs is a slice of its arguments.
func certs(c ...*x509.Certificate) []*x509.Certificate { return c }
