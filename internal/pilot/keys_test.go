package pilot_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"carepost/cms"
	"carepost/internal/pilot"
)

// openers are all keys of the domain.
func (p *place) openers(t *testing.T) (keys []cms.Recipient) {
	t.Helper()
	for _, row := range p.rows(t) {
		key, err := p.keys.Decrypter(t.Context(), row.Key)
		check(t, err)
		keys = append(keys, cms.Recipient{Certificate: parse(t, row.DER), Key: key})
	}
	return keys
}

func sealFor(t *testing.T, text string, to *x509.Certificate) []byte {
	t.Helper()
	var sealed bytes.Buffer
	w, err := cms.NewEnvelopedWriter(&sealed, cms.Encryption{Cipher: cms.AES256CBC}, to)
	check(t, err)
	_, err = io.WriteString(w, text)
	check(t, err)
	check(t, w.Close())
	return sealed.Bytes()
}

func (p *place) opens(t *testing.T, sealed []byte) string {
	t.Helper()
	_, r, err := cms.ReadEnveloped(bytes.NewReader(sealed), p.openers(t), cms.ReadOptions{})
	check(t, err)
	text, err := io.ReadAll(r)
	check(t, err)
	return string(text)
}

// DIR-06: old keys still decrypt, whether their certificate was replaced or revoked; only the newest signs.
func TestOldKeysDecrypt(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	var certs []*x509.Certificate
	var sealed [][]byte
	add := func() {
		c := p.organisation(t, now)
		if slices.ContainsFunc(certs, c.Equal) {
			t.Fatal("an old certificate is in use")
		}
		certs, sealed = append(certs, c), append(sealed, sealFor(t, c.SerialNumber.String(), c))
	}
	add()
	now = now.Add(300 * day)
	p.establish(t, options(now))
	add()
	check(t, p.Revoke(t.Context(), "test", certs[1].SerialNumber, pilot.KeyCompromise, now))
	if n := len(p.usable(t, now)); n != 0 {
		t.Errorf("%d certificates are in use at the moment of the revocation", n)
	}
	p.establish(t, options(now))
	add()
	for i, m := range sealed {
		if got := p.opens(t, m); got != certs[i].SerialNumber.String() {
			t.Errorf("message %d opens as %q", i, got)
		}
	}
	for i, c := range certs[1:] {
		if bytes.Equal(c.RawSubjectPublicKeyInfo, certs[i].RawSubjectPublicKeyInfo) {
			t.Error("a new certificate has an old key")
		}
	}
	if got := p.issues(t); !slices.Equal(got, []string{"organisation: it ends soon", "organisation: there is none", "server: it ends soon"}) {
		t.Errorf("issued %q", got)
	}
}

// What is revoked already stays revoked, with its first date; the rest goes on. A server certificate that was revoked is replaced.
func TestRevoke(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	org, server := p.organisation(t, now), p.server(t)
	check(t, p.Revoke(t.Context(), "test", org.SerialNumber, pilot.KeyCompromise, now))
	if err := p.Revoke(t.Context(), "test", org.SerialNumber, pilot.KeyCompromise, now.Add(time.Hour)); !errors.Is(err, pilot.ErrRevoked) {
		t.Errorf("revoked twice: %v", err)
	}
	check(t, p.Revoke(t.Context(), "test", server.SerialNumber, pilot.KeyCompromise, now.Add(time.Minute)))
	if n := len(p.audit(t, "certificate.revoke")); n != 2 {
		t.Errorf("%d revocations in the audit, want 2", n)
	}
	list := p.crl(t, now.Add(time.Hour))
	if n := len(list.RevokedCertificateEntries); n != 2 {
		t.Fatalf("%d entries, want 2", n)
	}
	for i, want := range []*x509.Certificate{org, server} {
		e := list.RevokedCertificateEntries[i]
		if e.SerialNumber.Cmp(want.SerialNumber) != 0 || !e.RevocationTime.Equal(now.Add(time.Duration(i)*time.Minute).Truncate(time.Second)) {
			t.Errorf("entry %d: %x at %v", i, e.SerialNumber, e.RevocationTime)
		}
	}
	p.establish(t, options(now.Add(time.Hour)))
	if got := p.issues(t); !slices.Equal(got, []string{"organisation: there is none", "server: it is revoked"}) {
		t.Errorf("issued %q", got)
	}
}
