package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/pilot"
	"carepost/internal/store"
	"carepost/ldap"
	"carepost/resolver"
)

// found is what each way of publication gives for an address, in one order.
func (h host) found(t *testing.T, a addr.Address) (byDNS, byLDAP [][]byte) {
	t.Helper()
	if name, err := discovery.Name(a); err == nil {
		c := resolver.Client{Servers: []string{h.Hears.DNSTCP.Addr().String()}}
		rrs, err := c.CERT(t.Context(), name)
		if err != nil && err != resolver.ErrNotFound {
			t.Fatal(err)
		}
		for _, rr := range rrs {
			byDNS = append(byDNS, rr.Data)
		}
	}
	conn, err := net.Dial("tcp", h.ldap)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := ldap.Open(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mail := a.Domain.String()
	if a.Endpoint != "" {
		mail = a.String()
	}
	r, err := s.Certificates(ctx, "dc="+strings.ReplaceAll(a.Domain.String(), ".", ",dc="), mail)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Entries {
		byLDAP = append(byLDAP, e.Values...)
	}
	slices.SortFunc(byDNS, bytes.Compare)
	slices.SortFunc(byLDAP, bytes.Compare)
	return byDNS, byLDAP
}

// exported are the certificates in the files for other servers.
func (h host) exported(t *testing.T) (zone, ldif map[string]bool) {
	t.Helper()
	read := func(ending string) string {
		text, err := os.ReadFile(filepath.Join(h.Dir, "dns", h.Address.Domain.String()+ending))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	zone, ldif = make(map[string]bool), make(map[string]bool)
	for line := range strings.Lines(read(".zone")) {
		if f := strings.Fields(line); f[3] == "CERT" {
			zone[f[7]] = true
		}
	}
	for line := range strings.Lines(strings.ReplaceAll(read(".ldif"), "\n ", "")) {
		if data, ok := strings.CutPrefix(line, "userCertificate;binary:: "); ok {
			ldif[strings.TrimSpace(data)] = true
		}
	}
	return zone, ldif
}

// agree fails where the listeners and the files do not all have want of the address.
func (h host) agree(t *testing.T, when string, a addr.Address, want ...[]byte) {
	t.Helper()
	slices.SortFunc(want, bytes.Compare)
	byDNS, byLDAP := h.found(t, a)
	if fmt.Sprint(byDNS) != fmt.Sprint(want) || fmt.Sprint(byLDAP) != fmt.Sprint(want) {
		t.Errorf("%s: %d certificates by DNS, %d by LDAP, want %d", when, len(byDNS), len(byLDAP), len(want))
	}
	zone, ldif := h.exported(t)
	if fmt.Sprint(zone) != fmt.Sprint(ldif) {
		t.Errorf("%s: %d certificates in the zone file, %d in the LDIF", when, len(zone), len(ldif))
	}
	for _, c := range want {
		if !zone[base64.StdEncoding.EncodeToString(c)] {
			t.Errorf("%s: a certificate is not in the files", when)
		}
	}
	if a.Endpoint == "lab" && len(want) == 0 && zone[base64.StdEncoding.EncodeToString(h.lab.Raw)] {
		t.Errorf("%s: it is still in the files", when)
	}
}

// DNS, LDAP and the files for other servers say the same after each change: an address that is closed is published no more, at once, and
// again when it is opened; so is what is revoked, and what replaces it. DIR-43, DIR-60.
func TestPublicationAgrees(t *testing.T) {
	h := newHosts(t, func(*gateway.Options) {}, "north.example")[0]
	lab, us := addr.Address{Endpoint: "lab", Domain: "north.example"}, addr.Address{Domain: "north.example"}
	h.agree(t, "issued", lab, h.lab.Raw)
	h.agree(t, "issued", us, h.org.Raw)
	h.agree(t, "for signing only", addr.Address{Endpoint: "desk", Domain: "north.example"})
	if err := h.Admin().CloseAccount(t.Context(), gatewaytest.Actor, lab); err != nil {
		t.Fatal(err)
	}
	h.agree(t, "closed", lab)
	h.agree(t, "closed", us, h.org.Raw)
	if err := h.AddAccount(t.Context(), gatewaytest.Actor, lab); err != nil {
		t.Fatal(err)
	}
	h.agree(t, "open again", lab, h.lab.Raw)
	if err := h.Gateway.Revoke(t.Context(), gatewaytest.Actor); err != nil {
		t.Fatal(err)
	}
	h.agree(t, "revoked", us)
	h.agree(t, "revoked", lab, h.lab.Raw)
}

// An address that DNS has no name for is told of, and keeps nobody else's certificates from being published or taken back. DIR-54.
func TestNoNameInDNS(t *testing.T) {
	h := newHosts(t, func(*gateway.Options) {}, "north.example")[0]
	for _, endpoint := range []string{strings.Repeat("x", 64), "a..b"} {
		a := addr.Address{Endpoint: endpoint, Domain: "north.example"}
		if err := h.AddAccount(t.Context(), gatewaytest.Actor, a); err != nil {
			t.Fatal(err)
		}
		c, err := h.Authority().Issue(t.Context(), gatewaytest.Actor, pilot.Order{Owner: store.Owner{Address: a}, Kind: pilot.P256, Use: pilot.Both}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := h.PublishNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, byLDAP := h.found(t, a); len(byLDAP) != 1 || !bytes.Equal(byLDAP[0], c.Certificate.Raw) {
			t.Errorf("%d certificates by LDAP", len(byLDAP))
		}
		if told, err := h.Told(t.Context(), false); err != nil || !strings.Contains(strings.Join(told.Warnings, "\n"), a.String()+" has no name in DNS") {
			t.Errorf("%v, %v", told.Warnings, err)
		}
	}
	if err := h.Admin().CloseAccount(t.Context(), gatewaytest.Actor, addr.Address{Endpoint: "lab", Domain: "north.example"}); err != nil {
		t.Fatal(err)
	}
	if byDNS, byLDAP := h.found(t, addr.Address{Endpoint: "lab", Domain: "north.example"}); len(byDNS)+len(byLDAP) != 0 {
		t.Error("somebody else's name keeps a certificate published")
	}
}

// What ends while the gateway runs is published no more from then on, long before the next upkeep.
func TestEndOfPublication(t *testing.T) {
	var later atomic.Int64
	h := newHosts(t, func(o *gateway.Options) {
		o.Upkeep, o.Clock = 24*time.Hour, func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}, "north.example")[0]
	lab := addr.Address{Endpoint: "lab", Domain: "north.example"}
	h.agree(t, "issued", lab, h.lab.Raw)
	later.Store(int64(time.Until(h.lab.NotAfter.Add(-2 * time.Second))))
	if err := h.PublishNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Until(t, func() bool { byDNS, byLDAP := h.found(t, lab); return len(byDNS)+len(byLDAP) == 0 },
		func() string { return "an end of publication" })
	gatewaytest.Until(t, func() bool { zone, ldif := h.exported(t); return len(zone)+len(ldif) == 0 }, func() string { return "files without it" })
}
