package gateway_test

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/gateway"
	"carepost/trust"
	"carepost/trust/certtest"
)

// What was in use before a restart is taken up again, fetched anew before it ends, and kept; what nobody used for a month is forgotten.
// DIR-33.
func TestStatusesAreTended(t *testing.T) {
	day := 24 * time.Hour
	start := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	clock := start
	server, root := certtest.NewServer(t), certtest.NewCA(t, "R")
	root.Publish(t, server)
	list := func(at time.Time) []byte {
		return root.EditedCRL(t, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = at, at.Add(day) }).Raw
	}
	l, err := gateway.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://")).Port()
	g, err := gateway.Open(t.Context(), gateway.Options{Dir: filepath.Join(t.TempDir(), "north"), Domain: "north.example", Pilot: true, Listeners: l,
		Clock:   func() time.Time { return clock },
		Network: gateway.Network{Trial: gateway.Trial{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ports: []uint16{port}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	shelf := g.Shelf()
	if _, err := shelf.Load(t.Context(), [32]byte{1}); !errors.Is(err, trust.ErrAbsent) {
		t.Errorf("nothing was kept: %v", err)
	}

	// The process before fetched a list, through a shelf like this one, and used it.
	before := trust.NewJudge(server)
	before.Shelf = shelf
	server.Put("/r.crl", list(start))
	v := before.Judge(t.Context(), trust.Question{Certificate: root.Issue(t, "lab@h.example").Certificate, Address: addr.Address{Endpoint: "lab", Domain: "h.example"}, Now: start,
		Anchors: []*x509.Certificate{root.Certificate}})
	if v.Status != trust.Trusted {
		t.Fatal(v.Reason)
	}
	kept := func() trust.Stored {
		t.Helper()
		all, err := shelf.Recent(t.Context(), time.Time{}, 10)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d kept, %v", len(all), err)
		}
		return all[0]
	}
	if at := kept().Fetched; !at.Equal(start) {
		t.Errorf("fetched at %v", at)
	}

	clock = start.Add(2 * time.Hour)
	g.RestoreStatuses(t.Context())
	swept := g.TendStatuses(t.Context(), time.Time{})
	if !swept.Equal(clock) || server.Hits("/r.crl") != 1 {
		t.Errorf("swept at %v, %d requests", swept, server.Hits("/r.crl"))
	}
	clock = start.Add(23*time.Hour + 30*time.Minute)
	server.Put("/r.crl", list(clock))
	swept = g.TendStatuses(t.Context(), swept)
	if at := kept(); !at.Fetched.Equal(clock) || server.Hits("/r.crl") != 2 || !at.Used.Equal(start) {
		t.Errorf("fetched at %v, used at %v, %d requests", at.Fetched, at.Used, server.Hits("/r.crl"))
	}
	clock = start.Add(30 * day)
	if swept = g.TendStatuses(t.Context(), swept); kept().URL == "" {
		t.Error("forgotten too early")
	}
	clock = clock.Add(30 * time.Minute)
	if was := swept; !g.TendStatuses(t.Context(), was).Equal(was) {
		t.Error("swept twice within an hour")
	}
	clock = clock.Add(time.Hour)
	g.TendStatuses(t.Context(), swept)
	if all, err := shelf.Recent(t.Context(), time.Time{}, 10); err != nil || len(all) != 0 {
		t.Errorf("%d kept, %v", len(all), err)
	}
}
