package gateway_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// What the domain publishes lies ready to paste, follows what is issued and revoked, and is never half written: DIR-02, DIR-05, DIR-43.
func TestRecordsToPaste(t *testing.T) {
	w := gatewaytest.New(t, "north.example")
	p := w.All[0]
	first := records(t, p)
	if len(first) != 1 || !bytes.Equal(first[0], organisational(t, p.Gateway)) {
		t.Fatalf("%d certificates are published, want the organisation's", len(first))
	}
	if err := p.Revoke(t.Context(), gatewaytest.Actor); err != nil {
		t.Fatal(err)
	}
	if published := records(t, p); len(published) != 0 {
		t.Errorf("%d certificates are published after the revocation", len(published))
	}
	left, err := filepath.Glob(filepath.Join(p.Dir, "dns", ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}

	p.Reopen(t) // which replaces what was revoked
	again := records(t, p)
	if len(again) != 1 || bytes.Equal(again[0], first[0]) || !bytes.Equal(again[0], organisational(t, p.Gateway)) {
		t.Errorf("%d certificates are published after the next start, want a new one", len(again))
	}
}

// Mail sealed for a certificate that is replaced before it arrives is opened with the old key, and answered under the new
// certificate: DIR-06, DIR-60.
func TestReplacedWhileUnderWay(t *testing.T) {
	_, a, b := two(t)
	b.Valve.Shut()
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Sealed)
	old := organisational(t, b.Gateway)
	if err := b.Revoke(t.Context(), gatewaytest.Actor); err != nil {
		t.Fatal(err)
	}
	b.Reopen(t)
	if bytes.Equal(organisational(t, b.Gateway), old) {
		t.Fatal("what was revoked is not replaced")
	}
	b.Start(t)
	b.Valve.Open()
	a.Await(t, id, b.Address, transit.Processed)
	b.Inbox(t, 1)
}

// records reads the file, checks all but the certificates, and returns these.
func records(t *testing.T, p *gatewaytest.Practice) (certs [][]byte) {
	t.Helper()
	path := filepath.Join(p.Dir, "dns", "north.example.zone")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var others []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 8 || f[3] != "CERT" {
			others = append(others, strings.Join(f, " "))
			continue
		}
		der, err := base64.StdEncoding.DecodeString(f[7])
		if err != nil || f[0] != "north.example." || f[4] != "1" {
			t.Errorf("record %.60q: %v", line, err)
		}
		if _, err := x509.ParseCertificate(der); err != nil {
			t.Error(err)
		}
		certs = append(certs, der)
	}
	if want := "north.example. 3600 IN MX 10 mx.north.example.|mx.north.example. 3600 IN A 127.0.0.1"; strings.Join(others, "|") != want {
		t.Errorf("records %q, want %s", others, want)
	}
	return certs
}

func organisational(t *testing.T, g *gateway.Gateway) []byte {
	t.Helper()
	_, cert, err := g.ExportIdentity(t.Context(), gatewaytest.Actor)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	return block.Bytes
}
