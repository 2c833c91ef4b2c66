package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/config"
)

func card(t *testing.T, isCA bool) config.Card {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A"}, NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return config.Card{Domain: "south.example", Also: []addr.Domain{"eye.south.example", "west.example"},
		SMTP: "192.0.2.1:25", DNS: "[2001:db8::1]:53", HTTP: "192.0.2.1:80", Anchor: c}
}

func TestCardIsReadAsItWasWritten(t *testing.T) {
	dir, want := t.TempDir(), card(t, true)
	if err := config.SaveCard(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := config.LoadCard(filepath.Join(dir, config.Partners, "south.example.toml"))
	if err != nil || !got.Anchor.Equal(want.Anchor) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Anchor = want.Anchor; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for range 2 {
		if err := config.RemoveCard(dir, want.Domain); err != nil {
			t.Error(err)
		}
	}
}

// A card comes from a stranger: what cannot be, or would lead to ourselves, is none.
func TestHostileCards(t *testing.T) {
	good := card(t, true).Text()
	for name, c := range map[string]struct{ from, to, says string }{
		"no host":           {"192.0.2.1:25", ":25", "which host"},
		"every host":        {"192.0.2.1:25", "0.0.0.0:25", "which host"},
		"every IPv6 host":   {"[2001:db8::1]:53", "[::]:53", "which host"},
		"mapped":            {"192.0.2.1:80", "[::ffff:0.0.0.0]:80", "which host"},
		"port 0":            {"192.0.2.1:25", "192.0.2.1:0", "which host"},
		"a path":            {"south.example\"", "../../etc/passwd\"", "no domain"},
		"unknown key":       {"http = ", "htpp = ", "not known"},
		"two anchors":       {"-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----\n-----BEGIN X-----\n", "not one certificate"},
		"no authority":      {card(t, true).Text(), card(t, false).Text(), "no authority"},
		"line end in value": {"192.0.2.1:25", "192.0.2.1:25\\ndomain = 1", "not host:port"},
		"too long":          {"# What", "#" + strings.Repeat("x", 1<<20), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.from, c.to, 1)
			if name == "no authority" {
				text = c.to
			}
			path := filepath.Join(t.TempDir(), "card.toml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.LoadCard(path)
			var e *config.Error
			if !errors.As(err, &e) || !strings.Contains(e.Reason, c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// A card that lies under the name of another partner would be removed with the wrong one.
func TestCardUnderAnotherName(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, config.Partners), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, config.Name), []byte("domain = \"north.example\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, config.Partners, "east.example.toml"), []byte(card(t, true).Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(filepath.Join(dir, config.Name)); err == nil || !strings.Contains(err.Error(), "under another name") {
		t.Errorf("%v", err)
	}
}

// Nobody's card takes the mail of another partner, or ours, to itself.
func TestClaimedDomains(t *testing.T) {
	c, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\ndomains = [\"lab.north.example\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	c.Partners = []config.Card{card(t, true)}
	for _, x := range []struct {
		domain addr.Domain
		also   []addr.Domain
		want   string
	}{
		{"south.example", []addr.Domain{"sea.example"}, ""}, // the same partner's next card
		{"east.example", nil, ""},
		{"east.example", []addr.Domain{"west.example"}, "south.example"},
		{"west.example", nil, "south.example"},
		{"east.example", []addr.Domain{"lab.north.example"}, "this installation"},
		{"north.example", nil, "this installation"},
	} {
		if _, by := c.Claimed(config.Card{Domain: x.domain, Also: x.also}); by != x.want {
			t.Errorf("%s with %v: %q, want %q", x.domain, x.also, by, x.want)
		}
	}
}

func TestDomains(t *testing.T) {
	c, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\ndomains = [\"West.example\", \"lab.north.example\"]\n")
	if err != nil || !reflect.DeepEqual(c.Domains, []addr.Domain{"lab.north.example", "west.example"}) {
		t.Errorf("%v, %v", c, err)
	}
	for _, line := range []string{`["north.example"]`, `["a.example", "A.example"]`, `["a b"]`, `"a.example"`} {
		if _, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\ndomains = "+line+"\n"); err == nil || !strings.Contains(err.Error(), ":2: ") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
