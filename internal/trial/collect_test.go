package trial_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/crash"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/sasl/dovecottest"
)

// A practice fetches its mail from Dovecot, by IMAP and by POP3, and dies between what is durable here and what is removed there: each letter is in
// the mailbox once and answered once, and nothing is left at the provider. DCM-30.
func TestFetchedOnce(t *testing.T) {
	t.Parallel()
	box := dovecottest.Start(t, map[string]string{"imap": "secret", "pop": "secret"})
	a, b := pair(t, binary(t, "crashpoints"))
	at, ca := deliveryAgent(t, box)
	a.configure(t, fmt.Sprintf("\n[[relay]]\nhost = %q\ntls = \"starttls\"\nca = %q\nfor = [%q]\n", at, ca, b.domain))
	secret := filepath.Join(b.dir, "provider")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const table = "\n[[collect]]\nname = %q\nfor = %q\nprotocol = %q\nhost = %q\ntls = \"implicit\"\nca = %q\nuser = %[1]q\npassword_file = \"provider\"\ninterval = \"10s\"\n"
	b.configure(t, fmt.Sprintf(table, "imap", b.desk, "imap", box.IMAPS, box.CA)+fmt.Sprintf(table, "pop", b.desk, "pop3", box.POP3S, box.CA))
	a.start(t)
	b.start(t)
	m := a.mailer(t, a.desk)
	letters := 0
	for _, p := range crash.All() {
		if room, _, _ := strings.Cut(p.Name, "."); room != "collect" {
			continue
		}
		b.stop(t)
		run := b.launch(t, p.Name)
		select {
		case <-run.ready:
		case <-run.ended:
			t.Fatalf("%s at its start\n%s", p.Name, b.lastWords())
		}
		for range 2 { // one for each mailbox
			letters++
			text := fmt.Sprintf("From: %s\r\nTo: %s\r\nDate: Mon, 02 Nov 2026 15:04:05 +0000\r\nMessage-ID: <fetched.%d@%s>\r\nSubject: s\r\n\r\ntext\r\n", a.desk, b.desk, letters, a.domain)
			if _, err := m.submit([]addr.Address{b.desk}, strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-run.ended:
		case <-time.After(patience):
			t.Fatalf("%s was not passed\n%s", p.Name, b.lastWords())
		}
		if !run.killed() {
			t.Fatalf("%s: it ended by itself: %v\n%s", p.Name, run.err, b.lastWords())
		}
		b.start(t)
		until(t, func() bool { return len(b.mails(b.desk)) >= letters && box.Count(t, "imap")+box.Count(t, "pop") == 0 }, func() string {
			return fmt.Sprintf("%d letters in the mailbox, and none at the provider; there are %d, and %d there\n%s", letters, len(b.mails(b.desk)), box.Count(t, "imap")+box.Count(t, "pop"), b.lastWords())
		})
	}
	rest(t, a, b)
	if n := len(b.mails(b.desk)); n != letters {
		t.Errorf("%d letters in the mailbox, of %d", n, letters)
	}
}

// deliveryAgent takes mail for a provider and lays it into his mailboxes in turn.
func deliveryAgent(t *testing.T, box *dovecottest.Server) (at, ca string) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(box.CA, filepath.Join(filepath.Dir(box.CA), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	turn := 0
	s := smtpd.New(smtpd.Options{Hostname: "mail.provider.example", TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Accept: func(_ context.Context, env transit.Envelope, body io.Reader) (string, error) {
			text, err := io.ReadAll(body)
			if err == nil {
				turn++
				box.Put(t, []string{"imap", "pop"}[turn%2], "Return-Path: "+env.From.String()+"\r\n"+string(text))
			}
			return fmt.Sprint(turn), err
		}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String(), box.CA
}
