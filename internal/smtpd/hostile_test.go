package smtpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"carepost/addr"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/smtp"
)

// The reply to a message leaves at once, whatever the client has sent after it: a crash in between would have it sent twice (RFC 1047).
func TestReplyDoesNotWait(t *testing.T) {
	told := make(chan struct{})
	o := smtpd.Options{Rcpt: func(_ context.Context, s smtpd.Session, _ addr.Path) *smtp.Reply {
		if s.From.Address.Endpoint == "second" {
			<-told
		}
		return nil
	}}
	inBubble(t, o, func(t *testing.T, dial func() *client, stop context.CancelFunc, _ <-chan error, s *sink) {
		c := dial()
		c.untilData()
		c.send("a: b\r\n\r\n.\r\nMAIL FROM:<second@x.example>\r\nRCPT TO:<b@y.example>\r\n")
		c.SetReadDeadline(time.Now().Add(time.Hour))
		c.want("250 2.0.0 Taken as id-1")
		close(told)
		c.want("250 2.1.0")
		c.want("250 2.1.5")
	})
}

// exhausted is a listener that has no descriptors left for a while.
type exhausted struct {
	pipes
	left int
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.pipes.Accept()
}

// EMFILE and the like pass: the listener lives on, and does not spin meanwhile.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &exhausted{pipes{conns: make(chan net.Conn), done: make(chan struct{})}, 20}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- smtpd.New(smtpd.Options{Hostname: "mx.example"}).Serve(ctx, l) }()
		begin := time.Now()
		us, them := net.Pipe()
		l.conns <- them
		c := &client{t, us, bufio.NewReader(us)}
		c.want("220")
		if d := time.Since(begin); d < 10*time.Second || d > 20*time.Second {
			t.Errorf("20 failures took %v", d)
		}
		us.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// A bug of ours that one message meets costs that session alone.
func TestPanic(t *testing.T) {
	s := &sink{}
	o := smtpd.Options{Accept: func(ctx context.Context, env transit.Envelope, body io.Reader) (string, error) {
		if env.Helo == "bad.example" {
			panic("content")
		}
		return s.accept(ctx, env, body)
	}}
	inBubble(t, o, func(t *testing.T, dial func() *client, stop context.CancelFunc, _ <-chan error, _ *sink) {
		bad, good := dial(), dial()
		bad.want("220")
		bad.send("EHLO bad.example\r\n")
		bad.want("250")
		bad.send("MAIL FROM:<a@x.example>\r\n")
		bad.want("250")
		bad.send("RCPT TO:<b@y.example>\r\n")
		bad.want("250")
		bad.send("DATA\r\n")
		bad.gone()
		good.untilData()
		good.send("a: b\r\n\r\n.\r\n")
		good.want("250 2.0.0 Taken")
	})
}

// Clients that read nothing do not delay the end of the server by their TLS farewells, one after the other.
func TestShutdownOverTLS(t *testing.T) {
	inBubble(t, withTLS(t, smtpd.Options{}), func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, s *sink) {
		for range 10 {
			c := dial()
			c.want("220")
			c.send("EHLO c.example\r\n")
			c.want("250")
			c.send("STARTTLS\r\n")
			c.want("220")
			over := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
			(&client{t, over, bufio.NewReader(over)}).afterGreeting()
		}
		begin := time.Now()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d > 36*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

// A session that waits keeps little, also after a long message and a flood of small commands.
func TestIdleMemory(t *testing.T) {
	const sessions = 25
	at := serve(t, smtpd.Options{Accept: func(_ context.Context, _ transit.Envelope, body io.Reader) (string, error) {
		_, err := io.Copy(io.Discard, body)
		return "id", err
	}})
	before := inUse()
	flood := "a: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 300) + ".\r\n" + strings.Repeat("NOOP\r\n", 9000)
	for range sessions {
		conn, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{t, conn, bufio.NewReaderSize(conn, 16)}
		c.untilData()
		go io.WriteString(conn, flood)
		c.want("250 2.0.0 Taken")
		for range 9000 {
			c.want("250 2.0.0 Here")
		}
	}
	if each := (inUse() - before) / sessions; each > 40<<10 {
		t.Errorf("an idle session keeps %d KiB", each>>10)
	} else {
		t.Logf("an idle session keeps %d KiB", each>>10)
	}
}

// inUse is the memory of live objects and of stacks.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
