package gateway_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

// record keeps what is logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// opensslFor signs and encrypts as OpenSSL does, with what a practice signs with.
func opensslFor(t *testing.T, p *gatewaytest.Practice, in string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	key, cert, err := p.ExportIdentity(t.Context(), gatewaytest.Actor)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"key": key, "cert": cert} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("openssl", append([]string{"cms"}, args...)...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v", args, err)
	}
	return string(out)
}

// Not one plaintext byte of a message that is refused, for whatever reason, is found in the installation or in its log. DCM-21: forms beside
// Direct's are refused under its policies, and shown under the policy lenient.
func TestCanary(t *testing.T) {
	const canary = "CANARY-c07f3e"
	logs := map[addr.Domain]*record{"strict.example": {}, "lenient.example": {}, "north.example": {}}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Log = slog.New(slog.NewTextHandler(logs[o.Domain], &slog.HandlerOptions{Level: slog.LevelDebug}))
		if o.Domain == "lenient.example" {
			o.Policy = trust.Lenient
		}
	}, "north.example", "strict.example", "lenient.example")
	w.Trust()
	w.Run()
	north := w.All[0]
	stranger := certtest.NewCA(t, "Stranger").Issue(t, "north.example")
	for _, b := range w.All[1:] {
		letter := north.Letter(canary, strings.Repeat(canary+" in every line\r\n", 20_000), b.Address)
		_, own := identity(t, b)
		seal := func(s cms.Signer, c cms.Algorithm, letter string) string {
			var out bytes.Buffer
			err := smime.Seal(&out, strings.NewReader(letter), smime.SealOptions{Signers: []cms.Signer{s}, Recipients: []*x509.Certificate{own}, Cipher: c})
			if err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		outside := func(entity string) string {
			return "From: " + north.Address.String() + "\r\nTo: " + b.Address.String() + "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" +
				b.Address.Domain.String() + "@north.example>\r\n" + crlf(entity)
		}
		gcm := seal(signerOf(t, north), cms.AES256GCM, letter)
		cut := strings.LastIndex(strings.TrimRight(gcm, "\r\n"), "\r\n")
		part := "Content-Type: message/rfc822\r\n\r\n" + letter
		opaque := opensslFor(t, north, part, "-sign", "-binary", "-nodetach", "-signer", "cert", "-inkey", "key")
		around := opensslFor(t, north, crlf(opensslFor(t, b, part, "-encrypt", "-binary", "-aes256", "cert")), "-sign", "-binary", "-crlfeol", "-signer", "cert", "-inkey", "key")
		for _, c := range []struct {
			name, text string
			shown      bool // under the policy lenient
		}{
			{"a stranger's", seal(cms.Signer{Key: stranger.Key, Certificate: stranger.Certificate, Time: time.Now()}, cms.AES256CBC, letter), false},
			{"in another's name", seal(signerOf(t, north), cms.AES128CBC, strings.ReplaceAll(letter, "desk@north.example", "desk@other.example")), false},
			{"signed next week", seal(cms.Signer{Key: signerOf(t, north).Key, Certificate: signerOf(t, north).Certificate, Time: time.Now().AddDate(0, 0, 7)}, cms.AES256CBC, letter), false},
			{"the tag", gcm[:cut] + "\r\n" + strings.Map(rot, gcm[cut+2:]), false},
			{"a block under the tag", gcm[:len(gcm)/2] + strings.Map(rot, gcm[len(gcm)/2:len(gcm)/2+9]) + gcm[len(gcm)/2+9:], false},
			{"changed after signing", enveloped(t, north, b, strings.Replace(signedBy(t, north, part), canary+" in", canary+" on", 1)), false},
			{"an opaque signature", enveloped(t, north, b, opaque), true},
			{"a signature around the ciphertext", outside(around), true},
		} {
			action := "recipient.set-aside"
			if c.shown && b.Address.Domain == "lenient.example" {
				action = "recipient.open"
			}
			before := actions(t, b, action)
			deliver(t, north, b, c.text)
			gatewaytest.Until(t, func() bool { return actions(t, b, action) == before+1 }, func() string {
				return c.name + ": " + action + " at " + b.Address.Domain.String()
			})
		}
		b.Quiet(t)
		noCanary(t, filepath.Join(b.Dir, "data"), canary, base64.StdEncoding.EncodeToString([]byte(canary))[:12])
	}
	for d, log := range logs {
		if strings.Contains(log.String(), canary) {
			t.Errorf("the log of %s:\n%s", d, log)
		}
	}
	if text := logs["strict.example"].String(); !strings.Contains(text, "Direct 2.5.1") || !strings.Contains(text, "RFC 5652 §11.3") {
		t.Errorf("the log names no clauses:\n%s", text)
	}
}

// crlf ends every line as mail does.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// rot gives other letters and digits of base64.
func rot(r rune) rune {
	switch {
	case r >= 'A' && r < 'Z', r >= '0' && r < '9':
		return r + 1
	}
	return r
}

// signedBy is an entity as multipart/signed.
func signedBy(t *testing.T, p *gatewaytest.Practice, part string) string {
	return opensslFor(t, p, part, "-sign", "-binary", "-crlfeol", "-signer", "cert", "-inkey", "key")
}
