package pop3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"carepost/pop3"
	"carepost/sasl"
	"carepost/sasl/dovecottest"
	"carepost/smtp/smtptest"
)

// begin is a server as far as signed in.
const begin = "TLS\nS: +OK hello\nC: CAPA\nS: +OK\nS: UIDL\nS: .\nC: USER u\nS: +OK\nC: PASS p w\nS: +OK in\n"

// play runs a client against a script.
func play(t *testing.T, script string, implicit bool, do func(s *pop3.Session) error) error {
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
			smtptest.Play(smtptest.Server, conn, &tls.Config{Certificates: []tls.Certificate{cert}}, steps, 20*time.Second)
			conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := pop3.Open(ctx, pop3.Options{Address: l.Addr().String(), Implicit: implicit, TLS: &tls.Config{RootCAs: roots},
		Credentials: sasl.Credentials{User: "u", Password: "p w"}, Dial: (&net.Dialer{}).DialContext})
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}

func list(s *pop3.Session) error { _, err := s.List(); return err }

func fetch(s *pop3.Session) error {
	r, err := s.Fetch(1)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return err
}

// DCM-30. RFC 1939, RFC 2449, RFC 2595: a session as it is meant to be, by STLS; a dot that was stuffed; a mail deleted.
func TestSession(t *testing.T) {
	script := "S: +OK hello\nC: STLS\nS: +OK go\nTLS\nC: CAPA\nS: -ERR what\nC: USER u\nS: +OK\nC: PASS p w\nS: +OK in\n" +
		"C: UIDL\nS: +OK\nS: 1 first\nS: 3 third\nS: .\nC: LIST\nS: +OK\nS: 1 14\nS: 3 7\nS: .\nC: RETR 3\nS: +OK 7\nS: a: b\nS: \nS: ..x\nS: .\nC: DELE 3\nS: +OK\nC: QUIT\nS: +OK bye\n"
	err := play(t, script, false, func(s *pop3.Session) error {
		all, err := s.List()
		if err != nil || fmt.Sprint(all) != "[{1 first 14} {3 third 7}]" {
			t.Fatalf("%v %v", all, err)
		}
		r, err := s.Fetch(3)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != "a: b\r\n\r\n.x\r\n" {
			t.Fatalf("%q %v", text, err)
		}
		if err := s.Delete(3); err != nil || s.TLS() != "TLS 1.3" {
			t.Fatal(err, s.TLS())
		}
		return s.Quit()
	})
	if err != nil {
		t.Error(err)
	}
}

// ATT-44: what a server may do to us ends in an error, soon, and shows no password.
func TestHostile(t *testing.T) {
	for _, c := range []struct {
		name, script string
		plain        bool
		do           func(*pop3.Session) error
		want         error
	}{
		{"no TLS", "S: +OK\nC: STLS\nS: -ERR no\nC: EOF\n", true, list, nil},
		{"text behind STLS", "S: +OK\nC: STLS\nS~ +OK go\\r\\n+OK injected\\r\\n\nC: EOF\n", true, list, pop3.ErrServer},
		{"wrong password", "TLS\nS: +OK\nC: CAPA\nS: -ERR\nC: USER u\nS: +OK\nC: PASS p w\nS: -ERR no u with p w\n", false, list, pop3.ErrCredentials},
		{"not now", "TLS\nS: +OK\nC: CAPA\nS: -ERR\nC: USER u\nS: +OK\nC: PASS p w\nS: -ERR [SYS/TEMP] later\n", false, list, nil},
		{"a yes without a proof", "TLS\nS: +OK\nC: CAPA\nS: +OK\nS: SASL LOGIN\nS: .\nC: AUTH LOGIN\nS: + VXNlcg==\nC: dQ==\nS: + !!\n", false, list, pop3.ErrServer},
		{"asks for ever", "TLS\nS: +OK\nC: CAPA\nS: +OK\nS: SASL LOGIN\nS: .\nC: AUTH LOGIN\nS: + VXNlcg==\nC: dQ==\nS: + VXNlcg==\nC: cCB3\nS: + VXNlcg==\n", false, list, sasl.ErrServer},
		{"another protocol", "TLS\nS: * OK IMAP4\n", false, list, pop3.ErrServer},
		{"capabilities without end", "TLS\nS: +OK\nC: CAPA\nS: +OK\nS*200: X%d\nS: .\n", false, list, pop3.ErrServer},
		{"a line without end", "TLS\nS~ +OK " + strings.Repeat("x", 100_000) + "\nC: EOF\n", false, list, pop3.ErrServer},
		{"no UIDL", begin + "C: UIDL\nS: -ERR what\n", false, list, pop3.ErrServer},
		{"one id twice", begin + "C: UIDL\nS: +OK\nS: 1 a\nS: 2 a\nS: .\n", false, list, pop3.ErrServer},
		{"one number twice", begin + "C: UIDL\nS: +OK\nS: 1 a\nS: 1 b\nS: .\n", false, list, pop3.ErrServer},
		{"no id", begin + "C: UIDL\nS: +OK\nS: 1\nS: .\n", false, list, pop3.ErrServer},
		{"a long id", begin + "C: UIDL\nS: +OK\nS: 1 " + strings.Repeat("x", 71) + "\nS: .\n", false, list, pop3.ErrServer},
		{"an unknown mail", begin + "C: UIDL\nS: +OK\nS: 1 a\nS: .\nC: LIST\nS: +OK\nS: 2 7\nS: .\n", false, list, pop3.ErrServer},
		{"a negative size", begin + "C: UIDL\nS: +OK\nS: 1 a\nS: .\nC: LIST\nS: +OK\nS: 1 -7\nS: .\n", false, list, pop3.ErrServer},
		{"gone in the list", begin + "C: UIDL\nS: +OK\nS: 1 a\n", false, list, nil},
		{"gone in the mail", begin + "C: RETR 1\nS: +OK\nS: a: b\n", false, fetch, io.ErrUnexpectedEOF},
		{"LF alone", begin + "C: RETR 1\nS: +OK\nS~ a: b\\n.\\r\\n\nC: EOF\n", false, fetch, pop3.ErrContent},
		{"NUL", begin + "C: RETR 1\nS: +OK\nS~ a: b\\x00\\r\\n.\\r\\n\nC: EOF\n", false, fetch, pop3.ErrContent},
		{"no such mail", begin + "C: RETR 1\nS: -ERR no\n", false, fetch, nil},
		{"out of turn", begin + "C: RETR 1\nS~ +OK\\r\\n.\\r\\n+OK deleted\\r\\n\nC: EOF\n", false, func(s *pop3.Session) error {
			if err := fetch(s); err != nil {
				return err
			}
			return s.Delete(1)
		}, pop3.ErrServer},
	} {
		err := play(t, c.script, !c.plain, c.do)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.name == "not now" && errors.Is(err, pop3.ErrCredentials) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "p w") {
			t.Errorf("%s: the password shows: %v", c.name, err)
		}
	}
}

// A certificate of somebody else ends it before anything is said.
func TestStranger(t *testing.T) {
	box := dovecottest.Start(t, map[string]string{"u": "p"})
	o := pop3.Options{Address: box.POP3S, Implicit: true, Credentials: sasl.Credentials{User: "u", Password: "p"}, Dial: (&net.Dialer{}).DialContext}
	if _, err := pop3.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	o.TLS = &tls.Config{RootCAs: box.Roots}
	o.Credentials.Password = "q"
	if _, err := pop3.Open(t.Context(), o); !errors.Is(err, pop3.ErrCredentials) {
		t.Errorf("%v", err)
	}
	o.Credentials.Password, o.Address, o.Implicit = "p", box.POP3, false
	box.Put(t, "u", "Subject: x\r\n\r\n.hello\r\n")
	s, err := pop3.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if all, err := s.List(); err != nil || len(all) != 1 || all[0].UID == "" {
		t.Errorf("%v %v", all, err)
	}
}
