package imap_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"carepost/imap"
	"carepost/sasl"
	"carepost/sasl/dovecottest"
	"carepost/smtp/smtptest"
)

// DCM-30. Dovecot keeps mails: they are listed, read whole whatever their length, and removed; others stay. RFC 9051.
func TestDovecot(t *testing.T) {
	box := dovecottest.Start(t, map[string]string{"u": "p"})
	long := "Subject: long\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\r\n", 40_000) // 2.6 MB
	exact := "Subject: x\r\n\r\n" + strings.Repeat("aa\r\n", 1<<18-50)
	exact += strings.Repeat("b", 1<<20-len(exact)-2) + "\r\n" // one piece, to the octet
	for _, m := range []string{long, exact, "Subject: short\r\n\r\nx\r\n"} {
		box.Put(t, "u", m)
	}
	for _, implicit := range []bool{true, false} {
		at := box.IMAP
		if implicit {
			at = box.IMAPS
		}
		o := imap.Options{Address: at, Implicit: implicit, TLS: &tls.Config{RootCAs: box.Roots}, Credentials: sasl.Credentials{User: "u", Password: "p"}, Dial: (&net.Dialer{}).DialContext}
		s, err := imap.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		all, err := s.List()
		if want := map[bool]int{true: 3, false: 2}[implicit]; err != nil || len(all) != want || s.Validity() == 0 || s.TLS() != "TLS 1.3" {
			t.Fatalf("%v %v %s", all, err, s.TLS())
		}
		for _, m := range all {
			text, err := io.ReadAll(s.Fetch(m.UID))
			if err != nil || int64(len(text)) != m.Size || string(text) != long && string(text) != exact && !strings.HasPrefix(string(text), "Subject: short") {
				t.Errorf("%d octets of %d, %v", len(text), m.Size, err)
			}
		}
		if _, err := io.ReadAll(s.Fetch(4711)); !errors.Is(err, imap.ErrNo) {
			t.Errorf("a mail that is not there: %v", err)
		}
		if err := s.Remove([]uint32{all[0].UID}); err != nil {
			t.Fatal(err)
		}
		if err := s.Quit(); err != nil {
			t.Error(err)
		}
	}
	if n := box.Count(t, "u"); n != 1 {
		t.Errorf("%d mails are left", n)
	}
	o := imap.Options{Address: box.IMAPS, Implicit: true, Credentials: sasl.Credentials{User: "u", Password: "q"}, Dial: (&net.Dialer{}).DialContext}
	if _, err := imap.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a stranger's certificate: %v", err)
	}
	o.TLS = &tls.Config{RootCAs: box.Roots}
	if _, err := imap.Open(t.Context(), o); !errors.Is(err, imap.ErrCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
	o.Credentials.Password, o.Folder = "p", "Nowhere"
	if _, err := imap.Open(t.Context(), o); !errors.Is(err, imap.ErrFolder) {
		t.Errorf("no such folder: %v", err)
	}
}

const hello = "TLS\nS: * OK [CAPABILITY IMAP4rev1 UIDPLUS AUTH=PLAIN SASL-IR] hello\nC: T1 AUTHENTICATE PLAIN AHUAcA==\nS: T1 OK [CAPABILITY IMAP4rev1 UIDPLUS] in\n" +
	"C: T2 SELECT INBOX\nS: * 1 EXISTS\nS: * OK [UIDVALIDITY 7] x\nS: T2 OK done\n"

// ATT-44: what a server may do to us ends in an error, in bounded memory and time.
func TestHostile(t *testing.T) {
	flood := strings.Repeat("x", 400<<10)
	for _, c := range []struct {
		name, script string
		plain        bool
		want         error
	}{
		{"no TLS", "S: * OK [CAPABILITY IMAP4rev1] hello\nC: T1 STARTTLS\nS: T1 NO what\nC: EOF\n", true, nil},
		{"PREAUTH in clear", "S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\nC: T1 STARTTLS\nS: T1 OK go\nTLS\n", true, nil},
		{"another protocol", "TLS\nS: +OK POP3\n", false, nil},
		{"a flood as greeting", "TLS\nS~ * OK " + flood + "\n", false, imap.ErrServer},
		{"no way in", "TLS\nS: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\n", false, imap.ErrServer},
		{"wrong password", "TLS\nS: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\nC: T1 AUTHENTICATE PLAIN AHUAcA==\nS: T1 NO no u\n", false, imap.ErrCredentials},
		{"no UIDVALIDITY", strings.Replace(hello, "UIDVALIDITY 7", "UIDNEXT 7", 1), false, imap.ErrServer},
		{"a mail without UID", hello + "C: T3 UID FETCH 1:* (UID RFC822.SIZE)\nS: * 1 FETCH (RFC822.SIZE 7)\nS: T3 OK done\n", false, nil},
		{"a list without end", hello + "C: T3 UID FETCH 1:* (UID RFC822.SIZE)\nS*60000: * %d FETCH (UID 1%d RFC822.SIZE 7)\nS: T3 OK done\n", false, nil},
		{"too many", strings.Replace(hello, "* 1 EXISTS", "* 4000000000 EXISTS", 1), false, imap.ErrServer},
	} {
		if err := hostile(t, c.script, !c.plain); c.want != nil && !errors.Is(err, c.want) || err == nil && c.name != "a mail without UID" && c.name != "a list without end" {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// hostile runs a client against a script: as far as a list.
func hostile(t *testing.T, script string, implicit bool) error {
	t.Helper()
	steps, err := smtptest.Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	cert, roots, err := smtptest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			smtptest.Play(smtptest.Server, conn, &tls.Config{Certificates: []tls.Certificate{cert}}, steps, 10*time.Second)
			conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := imap.Open(ctx, imap.Options{Address: l.Addr().String(), Implicit: implicit, TLS: &tls.Config{RootCAs: roots},
		Credentials: sasl.Credentials{User: "u", Password: "p"}, Dial: (&net.Dialer{}).DialContext})
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.List()
	if err == nil && len(all) > 1 {
		t.Errorf("%d mails", len(all))
	}
	return err
}
