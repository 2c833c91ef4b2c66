package main

import (
	"bytes"
	"encoding/pem"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/config"
	"carepost/internal/gateway"
)

func newTestInstallation(t *testing.T, domain addr.Domain) *installation {
	t.Helper()
	s := config.Setup{Domain: domain, Address: netip.MustParseAddr("127.75.1.1"), Pilot: true,
		Ports: config.Ports{MX: 2525, Submission: 2587, Submissions: 2465, DNS: 2053, HTTP: 2080}}
	c, err := config.Create(filepath.Join(t.TempDir(), string(domain)), s)
	if err != nil {
		t.Fatal(err)
	}
	i, err := makeInstallation(t.Context(), c, gateway.Listeners{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

// Partners come and go while the configuration is read again, and each change is whole: who is left is trusted, who has gone is not.
func TestPartnersComeAndGoTogether(t *testing.T) {
	i := newTestInstallation(t, "north.example")
	south := newTestInstallation(t, "south.example")
	card := cardOf(south.conf, south.Gateway)
	wire := func(d addr.Domain) admind.Card {
		return admind.Card{Domain: d, SMTP: card.SMTP, DNS: card.DNS, HTTP: card.HTTP,
			Anchor: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: card.Anchor.Raw}))}
	}
	client, stop := admind.Pair(i.Admind())
	defer stop()
	trusted := func() bool {
		t.Helper()
		all, err := client.Anchors(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			if block, _ := pem.Decode([]byte(a.PEM)); bytes.Equal(block.Bytes, card.Anchor.Raw) {
				return true
			}
		}
		return false
	}
	domains := []addr.Domain{"south.example", "east.example", "west.example"} // of one authority
	var all sync.WaitGroup
	for _, d := range domains {
		all.Go(func() {
			for range 3 {
				if err := client.AddPartner(t.Context(), wire(d)); err != nil {
					t.Error(err)
				}
				if !trusted() {
					t.Errorf("%s has been added, and its authority is not trusted", d)
				}
				if _, err := client.Reload(t.Context()); err != nil {
					t.Error(err)
				}
				if err := client.RemovePartner(t.Context(), d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if trusted() {
		t.Error("nobody is left, and the authority is trusted")
	}
	if c, err := config.Load(filepath.Join(i.conf.Dir, config.Name)); err != nil || len(c.Partners) != 0 {
		t.Errorf("%v, %v", c, err)
	}
}

// What somebody has added himself stays when a partner with the same authority goes.
func TestAnchorsOfOthersStay(t *testing.T) {
	i := newTestInstallation(t, "north.example")
	south := newTestInstallation(t, "south.example")
	card := cardOf(south.conf, south.Gateway)
	if err := i.Trust(t.Context(), operator(), card.Anchor, "by telephone"); err != nil {
		t.Fatal(err)
	}
	if err := i.admit(t.Context(), operator(), card); err != nil {
		t.Fatal(err)
	}
	if err := i.forget(t.Context(), operator(), "south.example"); err != nil {
		t.Fatal(err)
	}
	client, stop := admind.Pair(i.Admind())
	defer stop()
	all, err := client.Anchors(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range all {
		if a.Source == "by telephone" {
			n++
		}
	}
	if n != 2 { // both directions
		t.Errorf("%d anchors are left of those that were added", n)
	}
}
