package flow

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/transit"
	"carepost/message"
)

// Hello sends a short letter that introduces one of our accounts to somebody with whom we have no anchor in common. It is signed, and sealed
// for whatever certificate is found that names the recipient: nothing in it is about anybody but the two, so it does no harm in the
// wrong hands, and in the clear nothing leaves this house. Where no certificate is found the sender is told. The certificate is the one
// whose fingerprint is to be compared. *Refusal.
func (f *Flow) Hello(ctx context.Context, by audit.Actor, from, to addr.Address) (id string, cert *x509.Certificate, err error) {
	ours, err := f.account(ctx, from)
	if err != nil {
		return "", nil, err
	}
	if !ours {
		return "", nil, &Refusal{"Direct 1.4", "the sender is no account of this installation"}
	}
	local, err := f.IsLocal(ctx, to.Domain)
	if err != nil {
		return "", nil, err
	}
	if local {
		return "", nil, &Refusal{"Direct 4.2", "the recipient is of our own domain: nobody needs to be introduced"}
	}
	s, err := f.signer(ctx, f.Policy, from, f.Clock())
	if errors.Is(err, errNoCertificate) {
		return "", nil, &Refusal{"Direct 2.4", "the sender has no certificate to sign with yet"}
	}
	if err != nil {
		return "", nil, err
	}
	text, err := helloText(from, to, s.Certificate, f.Clock())
	if err != nil {
		return "", nil, fmt.Errorf("flow: hello: %w", err)
	}
	env := transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{to}}
	id, err = f.submit(ctx, by, transit.Hello, env, strings.NewReader(text))
	return id, s.Certificate, err
}

func helloText(from, to addr.Address, cert *x509.Certificate, now time.Time) (string, error) {
	id, err := message.NewMessageID(rand.Reader, from.Domain)
	if err != nil {
		return "", err
	}
	lines := []string{
		"From: " + from.String(), "To: " + to.String(), "Date: " + message.FormatDate(now), "Message-ID: " + id,
		"Subject: Hello: a first letter from " + from.Domain.String(),
		"MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii", "",
		"This letter introduces", "  " + from.String(), "to", "  " + to.String(), "",
		"Our two sides have no authority in common that both believe. This letter", "is signed by the certificate whose SHA-256 fingerprint is", "",
	}
	for _, l := range groups(cert) {
		lines = append(lines, "  "+l)
	}
	lines = append(lines, "", "Please compare it with us by telephone, at a number that you know from",
		"elsewhere, before you believe it. There is nothing else in this letter.", "")
	return strings.Join(lines, "\r\n"), nil
}

// groups is a fingerprint to be read out, in lines of eight groups.
func groups(cert *x509.Certificate) (lines []string) {
	sum := sha256.Sum256(cert.Raw)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	for line := range slices.Chunk([]byte(text), 32) {
		var l []string
		for g := range slices.Chunk(line, 4) {
			l = append(l, string(g))
		}
		lines = append(lines, strings.Join(l, " "))
	}
	return lines
}
