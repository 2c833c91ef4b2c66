package smtpd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/smtp"
	"carepost/smtp/smtptest"
)

// sink keeps what Accept took.
type sink struct {
	mu     sync.Mutex
	taken  []message
	refuse string // how Accept behaves: "", fails, refuses, full, idle
}

type message struct {
	env  transit.Envelope
	body string
}

func (s *sink) accept(_ context.Context, env transit.Envelope, body io.Reader) (string, error) {
	switch s.refuse {
	case "full":
		return "", fmt.Errorf("store: %w", syscall.ENOSPC)
	case "idle":
		return "id", nil
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, body); err != nil {
		return "", err
	}
	switch s.refuse {
	case "fails":
		return "", errors.New("something about a@x.example")
	case "refuses":
		return "", fmt.Errorf("flow: %w", &smtpd.Refusal{Code: 550, Enhanced: "5.7.1", Text: "Not from you"})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, message{env, b.String()})
	return "id-" + strconv.Itoa(len(s.taken)), nil
}

func judge(_ context.Context, _ smtpd.Session, to addr.Path) *smtp.Reply {
	switch to.Address.Endpoint {
	case "later":
		return smtp.NewReply(450, "4.2.1", "Not now")
	case "never":
		return smtp.NewReply(550, "5.1.1", "Nobody")
	}
	return nil
}

// serve starts a server on loopback and ends it with the test, which fails when the server does not end well.
func serve(t testing.TB, o smtpd.Options) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Hostname = "mx.example"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- smtpd.New(o).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

func archive(t *testing.T, name string) []smtptest.Case {
	t.Helper()
	cases, err := smtptest.Cases("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// run plays a script against a new server and returns what was stored.
func run(t *testing.T, script string) *sink {
	t.Helper()
	steps, err := smtptest.Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	notes := smtptest.Notes(steps)
	cert, pool, err := smtptest.Certificate("mx.example")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{refuse: strings.Join(notes["accept"], "")}
	o := smtpd.Options{Accept: s.accept, Rcpt: judge, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	o.RequireTLS = notes["requiretls"] != nil
	if n := notes["maxsize"]; n != nil {
		o.MaxSize, _ = strconv.ParseInt(n[0], 10, 64)
	}
	if notes["early"] != nil {
		o.Timeouts.Greet = time.Minute
	}
	conn, err := net.Dial("tcp", serve(t, o).String())
	if err != nil {
		t.Fatal(err)
	}
	if err := smtptest.Play(smtptest.Client, conn, &tls.Config{RootCAs: pool, ServerName: "mx.example"}, steps, time.Minute); err != nil {
		t.Error(err)
	}
	return s
}

// Facts §5: sequence, lines, addresses, BDAT, TLS, cross-protocol, headers. DIR-57: STARTTLS.
func TestSessions(t *testing.T) {
	for _, f := range archive(t, "session.txtar") {
		t.Run(f.Name, func(t *testing.T) {
			s := run(t, f.Script)
			steps, _ := smtptest.Parse(f.Script)
			check(t, s, smtptest.Notes(steps))
		})
	}
}

func check(t *testing.T, s *sink, want map[string][]string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, err := strconv.Atoi(strings.Join(want["stored"], "")); err != nil || n != len(s.taken) {
		t.Errorf("stored %d messages, want %v", len(s.taken), want["stored"])
	}
	if len(s.taken) == 0 {
		return
	}
	last := s.taken[len(s.taken)-1]
	trace, body, ok := cutTrace(last.body)
	if !ok {
		t.Errorf("no Received field on top: %q", trace)
	}
	for key, got := range map[string]string{
		"body": body, "from": last.env.From.String(), "envid": last.env.ID, "tls": last.env.TLS, "to": fmt.Sprint(last.env.To),
	} {
		if w := want[key]; key == "to" && w != nil && got != "["+w[0]+"]" || key != "to" && w != nil && got != w[0] {
			t.Errorf("%s: got %q, want %q", key, got, w[0])
		}
	}
}

// cutTrace cuts our Received field (RFC 5321 §4.4).
func cutTrace(s string) (trace, rest string, ok bool) {
	rest = s
	for i := 0; ; i++ {
		line, after, found := strings.Cut(rest, "\r\n")
		if !found || i == 0 != strings.HasPrefix(line, "Received: from ") || i > 0 && line[:min(1, len(line))] != "\t" {
			return s[:len(s)-len(rest)], rest, i > 1
		}
		rest = after
	}
}

const opening = `S: 220
C: EHLO c.example
S: 250
C: MAIL FROM:<a@x.example>
S: 250
C: RCPT TO:<b@y.example>
S: 250
`

// Facts §5 "end of data" and "bytes", by DATA; and the bytes by BDAT as well.
func TestLineEnds(t *testing.T) {
	for _, name := range []string{"end-of-data.txtar", "bytes.txtar"} {
		for _, f := range archive(t, name) {
			t.Run(f.Name, func(t *testing.T) {
				s := run(t, opening+"C: DATA\nS: 354\n"+f.Script+"S: 521 5.5.2\nS: EOF\n")
				check(t, s, map[string][]string{"stored": {"0"}})
			})
			t.Run(f.Name+"-bdat", func(t *testing.T) {
				steps, err := smtptest.Parse(f.Script)
				if err != nil {
					t.Fatal(err)
				}
				s := run(t, fmt.Sprintf("%sC~ BDAT %d LAST\\r\\n\n%sS: 521 5.5.2\nS: EOF\n", opening, len(steps[0].Text), f.Script))
				check(t, s, map[string][]string{"stored": {"0"}})
			})
		}
	}
}

// RFC 5321 §4.4, RFC 3848: the trace field, whole.
func TestReceived(t *testing.T) {
	s := run(t, strings.Replace(opening, "c.example", "[IPv6:::1]", 1)+"C: DATA\nS: 354\nC~ a: b\\r\\n.\\r\\n\nS: 250\nC: QUIT\nS: 221\n")
	trace, _, _ := cutTrace(s.taken[0].body)
	date := trace[strings.LastIndex(trace, "; ")+2:]
	if _, err := time.Parse("Mon, 02 Jan 2006 15:04:05 -0700\r\n", date); err != nil {
		t.Error(err)
	}
	want := "Received: from [IPv6:::1] ([127.0.0.1])\r\n\tby mx.example with ESMTP\r\n\tid "
	if !strings.HasPrefix(trace, want) || strings.Contains(trace, "b@y") {
		t.Errorf("got %q", trace)
	}
}
