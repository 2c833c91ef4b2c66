package smtpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	netsmtp "net/smtp"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/smtpd"
	"carepost/smtp"
	"carepost/smtp/smtptest"
)

// desk has one account.
func desk(_ context.Context, s smtpd.Session, user, password string) (addr.Address, error) {
	a, err := addr.Parse(user)
	switch {
	case s.TLS == "" || s.Helo == "" || !s.Account.IsZero():
		panic("asked too early")
	case err != nil || a.Domain != "x.example" || password != "right password":
		return addr.Address{}, fmt.Errorf("admin: %w", smtpd.ErrCredentials)
	case a.Endpoint == "busy":
		return addr.Address{}, errors.New("too many sign-ins")
	case a.Endpoint == "zero":
		return addr.Address{}, nil
	}
	return a, nil
}

// submission starts a server for mail programs, by STARTTLS or with TLS from the first byte.
func submission(t testing.TB, s *sink, wrapped bool, o smtpd.Options) (net.Addr, *x509.CertPool) {
	t.Helper()
	cert, pool, err := smtptest.Certificate("mx.example")
	if err != nil {
		t.Fatal(err)
	}
	o.TLS, o.Accept = &tls.Config{Certificates: []tls.Certificate{cert}}, s.accept
	if o.Auth == nil {
		o.Auth = desk
	}
	o.Timeouts.Denied = time.Millisecond
	if !wrapped {
		return serve(t, o), pool
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Hostname = "mx.example"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- smtpd.New(o).ServeTLS(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr(), pool
}

// RFC 4954, RFC 4616, RFC 6409; facts §5 "TLS": injection, AUTH before TLS.
func TestSubmission(t *testing.T) {
	for _, f := range archive(t, "submission.txtar") {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			steps, err := smtptest.Parse(f.Script)
			if err != nil {
				t.Fatal(err)
			}
			s := &sink{}
			at, pool := submission(t, s, false, smtpd.Options{})
			conn, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			if err := smtptest.Play(smtptest.Client, conn, &tls.Config{RootCAs: pool, ServerName: "mx.example"}, steps, time.Minute); err != nil {
				t.Error(err)
			}
			check(t, s, smtptest.Notes(steps))
			if len(s.taken) > 0 && !strings.Contains(s.taken[0].body, " with ESMTPSA (TLS 1.3, TLS_AES_128_GCM_SHA256)\r\n") { // RFC 3848
				t.Errorf("trace: %q", s.taken[0].body)
			}
		})
	}
}

// swaks signs in by both ways, and is refused in clear and with a wrong password.
func TestSubmissionSwaks(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		wrapped bool
		want    string
	}{
		"starttls":    {[]string{"--tls", "--auth", "PLAIN"}, false, "250 2.0.0 Taken as id-1"},
		"wrapped":     {[]string{"--tls-on-connect", "--auth", "PLAIN"}, true, "250 2.0.0 Taken as id-1"},
		"wrapped 1.2": {[]string{"--tls-on-connect", "--tls-protocol", "tlsv1_2", "--auth", "PLAIN"}, true, "250 2.0.0 Taken as id-1"},
		"wrong":       {[]string{"--tls", "--auth", "PLAIN", "--auth-password", "wrong"}, false, "535 5.7.8"},
		"mechanism":   {[]string{"--tls", "--auth", "LOGIN"}, false, "requested type not available"},
		"clear":       {[]string{"--auth", "PLAIN"}, false, "Host did not advertise authentication"},
		"no auth":     {[]string{"--tls"}, false, "530 5.7.0"},
		"other":       {[]string{"--tls", "--auth", "PLAIN", "--from", "desk@x.example"}, false, "553 5.7.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sink{}
			at, _ := submission(t, s, c.wrapped, smtpd.Options{})
			_, port, _ := net.SplitHostPort(at.String())
			args := []string{"--server", "127.0.0.1", "--port", port, "--ehlo", "c.example", "--from", "lab@x.example", "--to", "b@y.example"}
			if len(c.args) > 1 {
				args = append(args, "--auth-user", "lab@x.example", "--auth-password", "right password")
			}
			out, err := exec.Command("swaks", append(args, c.args...)...).CombinedOutput()
			taken := strings.HasPrefix(c.want, "250")
			if !strings.Contains(string(out), c.want) || (err == nil) != taken || (len(s.taken) == 1) != taken {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The client of Go's library, which nobody here has written.
func TestSubmissionNetSMTP(t *testing.T) {
	auth := netsmtp.PlainAuth("", "lab@x.example", "right password", "mx.example")
	for _, wrapped := range []bool{false, true} {
		s := &sink{}
		at, pool := submission(t, s, wrapped, smtpd.Options{})
		conn, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{RootCAs: pool, ServerName: "mx.example"}
		if wrapped {
			conn = tls.Client(conn, config)
		}
		c, err := netsmtp.NewClient(conn, "mx.example")
		if err != nil {
			t.Fatal(err)
		}
		if !wrapped {
			if ok, _ := c.Extension("AUTH"); ok {
				t.Error("AUTH is offered in clear")
			}
			must(t, c.StartTLS(config))
		}
		must(t, c.Auth(auth))
		must(t, c.Mail("lab@x.example"))
		must(t, c.Rcpt("b@y.example"))
		w, err := c.Data()
		must(t, err)
		io.WriteString(w, "From: lab@x.example\r\n\r\n.\r\n")
		must(t, w.Close())
		must(t, c.Quit())
		if len(s.taken) != 1 || !strings.HasSuffix(s.taken[0].body, "\r\n\r\n.\r\n") {
			t.Errorf("taken: %+v", s.taken)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// DIR-46: what callbacks are told, and that Sender has the last word.
func TestSender(t *testing.T) {
	var seen []smtpd.Session
	o := smtpd.Options{
		Sender: func(_ context.Context, s smtpd.Session, from addr.Path) *smtp.Reply {
			seen = append(seen, s)
			if from.Address.Endpoint == "alias" {
				return nil
			}
			return smtp.NewReply(451, "4.3.0", "Not now")
		},
		Rcpt: func(_ context.Context, s smtpd.Session, _ addr.Path) *smtp.Reply { seen = append(seen, s); return nil },
	}
	at, pool := submission(t, &sink{}, true, o)
	conn, err := tls.Dial("tcp", at.String(), &tls.Config{RootCAs: pool, ServerName: "mx.example"})
	must(t, err)
	defer conn.Close()
	c := &client{t, conn, bufio.NewReader(conn)}
	c.want("220")
	c.send("EHLO c.example\r\n")
	c.want("250")
	c.send("AUTH PLAIN AGxhYkB4LmV4YW1wbGUAcmlnaHQgcGFzc3dvcmQ=\r\n")
	c.want("235")
	c.send("MAIL FROM:<lab@x.example>\r\n")
	c.want("451 4.3.0")
	c.send("MAIL FROM:<alias@x.example>\r\n")
	c.want("250")
	c.send("RCPT TO:<b@y.example>\r\n")
	c.want("250")
	if len(seen) != 3 {
		t.Fatalf("asked %d times", len(seen))
	}
	for _, s := range seen {
		if s.Account.String() != "lab@x.example" || s.TLS != "TLS 1.3" || s.Helo != "c.example" || s.From.IsNull() {
			t.Errorf("told %+v", s)
		}
	}
}

// underTLS brings a client to where it may sign in.
func underTLS(t *testing.T, c *client) *client {
	t.Helper()
	c.want("220")
	c.send("EHLO c.example\r\n")
	c.want("250")
	c.send("STARTTLS\r\n")
	c.want("220")
	conn := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c = &client{t, conn, bufio.NewReader(conn)}
	c.send("EHLO c.example\r\n")
	c.want("250")
	return c
}

// Failures cost time, more each time; an exchange that stands still ends, and so does a session that never signs in.
func TestSignInTakesTime(t *testing.T) {
	for name, c := range map[string]struct {
		act   func(*client)
		err   string
		after time.Duration
	}{
		"three tries": {func(c *client) {
			for range 3 {
				c.send("AUTH PLAIN AGxhYkB4LmV4YW1wbGUAd3Jvbmc=\r\n")
				c.want("535 5.7.8")
			}
		}, "421 4.7.0", 6 * time.Second},
		"no response": {func(c *client) { c.send("AUTH PLAIN\r\n"); c.want("334") }, "421 4.4.2", 5 * time.Minute},
		"NOOP for ever": {func(c *client) {
			for range 4 {
				time.Sleep(time.Minute)
				c.send("NOOP\r\n")
				c.want("250")
			}
		}, "421 4.4.2", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, withTLS(t, smtpd.Options{Auth: desk}), func(t *testing.T, dial func() *client, stop context.CancelFunc, _ <-chan error, _ *sink) {
				begin := time.Now()
				x := underTLS(t, dial())
				c.act(x)
				x.want(c.err)
				x.gone()
				if d := time.Since(begin); d < c.after || d > c.after+time.Second {
					t.Errorf("after %v, want %v", d, c.after)
				}
			})
		})
	}
}

// Stopping does not wait for a client that leaves a challenge unanswered.
func TestShutdownInExchange(t *testing.T) {
	inBubble(t, withTLS(t, smtpd.Options{Auth: desk}), func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, _ *sink) {
		c := underTLS(t, dial())
		c.send("AUTH PLAIN\r\n")
		c.want("334")
		begin := time.Now()
		stop()
		c.want("421 4.3.2")
		c.gone()
		if err := <-served; err != nil || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// With TLS from the first byte, a client that speaks in clear gets nothing, and one that says nothing is not waited for long.
func TestWrappedWantsTLS(t *testing.T) {
	s := &sink{}
	at, _ := submission(t, s, true, smtpd.Options{Timeouts: smtpd.Timeouts{TLS: 50 * time.Millisecond}})
	for _, text := range []string{"EHLO c.example\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""} {
		conn, err := net.Dial("tcp", at.String())
		must(t, err)
		io.WriteString(conn, text)
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if got, err := io.ReadAll(conn); strings.Contains(string(got), "220") || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q is answered %q, %v", text, got, err)
		}
		conn.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	if err := smtpd.New(smtpd.Options{Hostname: "mx.example", Auth: desk}).ServeTLS(t.Context(), l); err == nil {
		t.Error("serves TLS without a certificate")
	}
}
