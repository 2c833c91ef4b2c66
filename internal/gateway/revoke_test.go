package gateway_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// operator speaks to an installation as the commands do.
func operator(t *testing.T, p *gatewaytest.Practice) *admind.Client {
	t.Helper()
	c, stop := admind.Pair(p.Admind())
	t.Cleanup(stop)
	return c
}

// DIR-60: a key is compromised: its certificate is revoked, another is in use at once, and partners are told by a letter that is signed with
// the new one and sealed; who does not trust us, and whom we do not trust, learns nothing of it.
func TestPartnersAreTold(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example", "west.example")
	north, south, west := w.All[0], w.All[1], w.All[2]
	w.Trust()
	w.Run()
	for _, p := range []*gatewaytest.Practice{south, west} {
		if err := p.AddAccount(t.Context(), gatewaytest.Actor, addr.Address{Endpoint: "postmaster", Domain: p.Address.Domain}); err != nil {
			t.Fatal(err)
		}
		id := north.Submit(t, north.Letter("s", "t", p.Address), p.Address)
		north.Await(t, id, p.Address, transit.Processed)
	}
	// West is trusted no longer: its letter is not even sealed.
	anchors, err := operator(t, north).Anchors(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range anchors {
		if strings.Contains(a.Subject, "west.example") {
			if err := operator(t, north).RemoveAnchor(t.Context(), a.ID, ""); err != nil && !strings.Contains(err.Error(), "no such anchor") {
				t.Fatal(err)
			}
		}
	}

	old := organisational(t, north.Gateway)
	revoked := revokeOrganisation(t, north, "keyCompromise")
	if revoked.Successor == nil || revoked.Reason != "keyCompromise" || len(revoked.Told) != 2 || len(revoked.Partners) != 2 {
		t.Fatalf("%+v", revoked)
	}
	if now := organisational(t, north.Gateway); string(now) == string(old) {
		t.Error("the old certificate signs on")
	}
	for _, told := range revoked.Told {
		to := addr.Address{Endpoint: "postmaster", Domain: told.Domain}
		want := transit.Processed
		if told.Domain == "west.example" {
			want = transit.Failed
		}
		north.Await(t, told.Message, to, want)
	}
	// The command given again, as after a crash, sends nobody a second letter.
	if again, err := operator(t, north).Revoke(t.Context(), admind.RevokeOrder{Which: revoked.SHA256, Tell: true}); err != nil || !again.Already ||
		len(again.Told) != 1 || again.Told[0] != revoked.Told[0] {
		t.Errorf("again: %+v, %v", again, err)
	}
	mail := postmastersLetter(t, south)
	for _, want := range []string{revoked.Serial, revoked.SHA256, "keyCompromise", revoked.Successor.Serial, revoked.Successor.SHA256} {
		if !strings.Contains(mail, want) {
			t.Errorf("the letter lacks %q:\n%s", want, mail)
		}
	}
	if strings.Contains(mail, "west.example") {
		t.Error("one partner is told of another")
	}
}

// postmastersLetter is the letter in the postmaster's mailbox.
func postmastersLetter(t *testing.T, p *gatewaytest.Practice) string {
	t.Helper()
	c, who := operator(t, p), addr.Address{Endpoint: "postmaster", Domain: p.Address.Domain}
	mails, err := c.Mails(t.Context(), who, "", 0, 0)
	if err != nil || len(mails) != 1 {
		t.Fatalf("%d mails: %v", len(mails), err)
	}
	r, _, err := c.OpenMail(t.Context(), who, "", mails[0].UID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func revokeOrganisation(t *testing.T, p *gatewaytest.Practice, reason string) admind.Revoked {
	t.Helper()
	c := operator(t, p)
	card, err := c.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Revoke(t.Context(), admind.RevokeOrder{Which: printOf(t, card.Certificate), Reason: reason, Tell: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func printOf(t *testing.T, text string) string {
	t.Helper()
	cmd := exec.Command("openssl", "x509", "-noout", "-fingerprint", "-sha256")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, print, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	return print // with colons, as people copy it
}

// DIR-52: OpenSSL asks the responder that certificates name, over HTTP, by POST and GET as its kind is; a revoked server certificate is
// replaced on the listener at once.
func TestResponderOverHTTP(t *testing.T) {
	w := gatewaytest.New(t, "north.example")
	north := w.All[0]
	w.Run()
	shown, err := x509.ParseCertificate(shownBy(t, north.Hears))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, err := operator(t, north).Authority(t.Context())
	if err != nil || len(a.Anchors) != 1 {
		t.Fatal(err)
	}
	ca, leaf := write("ca.pem", a.Anchors[0].PEM), write("server.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.Raw})))
	ask := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "openssl", "ocsp", "-issuer", ca, "-cert", leaf, "-CAfile", ca, "-url", shown.OCSPServer[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "Response verify OK") || strings.Contains(string(out), "WARNING") {
			t.Errorf("openssl ocsp, want %q: %v\n%s", want, err, out)
		}
	}
	ask("server.pem: good")
	r, err := operator(t, north).Revoke(t.Context(), admind.RevokeOrder{Which: shown.SerialNumber.Text(16), Reason: "superseded"})
	if err != nil || r.Successor == nil || r.Owner != "mx.north.example" {
		t.Fatalf("%+v, %v", r, err)
	}
	ask("server.pem: revoked")
	if again, err := x509.ParseCertificate(shownBy(t, north.Hears)); err != nil || again.SerialNumber.Text(16) != r.Successor.Serial {
		t.Errorf("the listener shows another: %v", err)
	}
}
