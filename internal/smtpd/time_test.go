package smtpd_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carepost/internal/smtpd"
	"carepost/internal/transit"
)

// pipes is a listener of net.Pipe connections, so that time can be synctest's.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// client is the other end of a session.
type client struct {
	t *testing.T
	net.Conn
	br *bufio.Reader
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Error(err)
	}
}

func (c *client) want(prefix string) {
	c.t.Helper()
	for {
		l, err := c.br.ReadString('\n')
		if err != nil || !strings.HasPrefix(l, prefix[:min(3, len(prefix))]) {
			c.t.Errorf("want %q, got %q, %v", prefix, l, err)
			return
		}
		if l[3] == ' ' {
			if !strings.HasPrefix(l, prefix) {
				c.t.Errorf("want %q, got %q", prefix, l)
			}
			return
		}
	}
}

func (c *client) gone() {
	c.t.Helper()
	if b, err := c.br.ReadByte(); err != io.EOF {
		c.t.Errorf("still there: %q, %v", b, err)
	}
}

// untilData says all that comes before content.
func (c *client) untilData() {
	c.t.Helper()
	c.want("220")
	c.afterGreeting()
}

func (c *client) afterGreeting() {
	c.t.Helper()
	c.send("EHLO c.example\r\n")
	c.want("250")
	c.send("MAIL FROM:<a@x.example>\r\n")
	c.want("250 2.1.0")
	c.send("RCPT TO:<b@y.example>\r\n")
	c.want("250 2.1.5")
	c.send("DATA\r\n")
	c.want("354")
}

// inBubble runs f with a server and its sink; dial opens a session, stop ends the server.
func inBubble(t *testing.T, o smtpd.Options, f func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, s *sink)) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		if o.Accept == nil {
			o.Accept = s.accept
		}
		o.Hostname = "mx.example"
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		served := make(chan error, 1)
		go func() {
			defer close(served)
			served <- smtpd.New(o).Serve(ctx, l)
		}()
		var all []net.Conn
		f(t, func() *client {
			us, them := net.Pipe()
			l.conns <- them
			all = append(all, us)
			return &client{t, us, bufio.NewReader(us)}
		}, cancel, served, s)
		for _, c := range all {
			c.Close()
		}
		cancel()
		for range served { // whatever f left there
		}
	})
}

// RFC 5321 §4.5.3.2.7, and facts §2.2 row 5: patience has limits, and a steady sender is not cut.
func TestPatience(t *testing.T) {
	for name, c := range map[string]struct {
		act   func(*client)
		after time.Duration
		err   string // "" : the message is taken
	}{
		"silence": {func(c *client) { c.want("220") }, 5 * time.Minute, "421 4.4.2"},
		"a letter a minute": {func(c *client) {
			c.want("220")
			for range 5 {
				c.send("E")
				time.Sleep(59 * time.Second)
			}
		}, 5 * time.Minute, "421 4.4.2"},
		"NOOP for ever": {func(c *client) {
			c.want("220")
			for range 15 {
				c.send("NOOP\r\n")
				c.want("250")
				time.Sleep(4 * time.Minute)
			}
		}, time.Hour, "421 4.4.2"},
		"silence in content": {func(c *client) { c.untilData(); c.send("a: b\r\n") }, 3 * time.Minute, "421 4.4.2"},
		"trickle of content": {func(c *client) {
			c.untilData()
			for range 10 {
				c.send("a")
				time.Sleep(30 * time.Second)
			}
		}, 5 * time.Minute, "421 4.4.2"},
		"slow but steady": {func(c *client) {
			c.untilData()
			c.send("a: b\r\n\r\n")
			for range 1800 {
				c.send(strings.Repeat(strings.Repeat("x", 254)+"\r\n", 16))
				time.Sleep(2 * time.Second)
			}
			c.send(".\r\n")
		}, time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, smtpd.Options{}, func(t *testing.T, dial func() *client, stop context.CancelFunc, _ <-chan error, s *sink) {
				begin := time.Now()
				cl := dial()
				c.act(cl)
				if c.err == "" {
					cl.want("250 2.0.0 Taken as id-1")
					cl.Close()
				} else {
					cl.want(c.err)
					cl.gone()
				}
				// The listening for early talkers comes on top, a millisecond.
				if d := time.Since(begin); d < c.after || d > c.after+time.Second {
					t.Errorf("after %v, want %v", d, c.after)
				}
				if (len(s.taken) == 1) != (c.err == "") {
					t.Errorf("%d stored", len(s.taken))
				}
			})
		})
	}
}

// What our own side needs is not the client's fault.
func TestSlowAccept(t *testing.T) {
	o := smtpd.Options{Accept: func(_ context.Context, _ transit.Envelope, body io.Reader) (string, error) {
		buf := make([]byte, 1<<10)
		for {
			if _, err := body.Read(buf); err == io.EOF {
				return "slow", nil
			} else if err != nil {
				return "", err
			}
			time.Sleep(10 * time.Minute)
		}
	}}
	inBubble(t, o, func(t *testing.T, dial func() *client, stop context.CancelFunc, _ <-chan error, _ *sink) {
		c := dial()
		c.untilData()
		c.send("a: b\r\n\r\n" + strings.Repeat("0123456789\r\n", 1000) + ".\r\n")
		c.want("250 2.0.0 Taken as slow")
		c.Close()
	})
}

// Shutting down: sessions between messages are told, running messages end, others have a limit.
func TestShutdown(t *testing.T) {
	inBubble(t, smtpd.Options{}, func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, s *sink) {
		idle, busy, stuck := dial(), dial(), dial()
		idle.want("220")
		idle.send("EHLO c.example\r\n")
		idle.want("250")
		busy.untilData()
		stuck.untilData()
		begin := time.Now()
		stop()
		idle.want("421 4.3.2")
		idle.gone()
		time.Sleep(10 * time.Second)
		busy.send("a: b\r\n\r\n.\r\n")
		busy.want("250 2.0.0 Taken")
		busy.want("421 4.3.2")
		busy.gone()
		stuck.gone()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d != 30*time.Second || len(s.taken) != 1 {
			t.Errorf("ended after %v with %d stored", d, len(s.taken))
		}
	})
}

// After Accept has succeeded nothing is undone, reply or no reply (RFC 5321 §6.1).
func TestReplyLost(t *testing.T) {
	s := &sink{}
	var c *client
	o := smtpd.Options{Accept: func(ctx context.Context, env transit.Envelope, body io.Reader) (string, error) {
		id, err := s.accept(ctx, env, body)
		c.Close()
		return id, err
	}}
	inBubble(t, o, func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, _ *sink) {
		c = dial()
		c.untilData()
		c.send("a: b\r\n\r\n.\r\n")
		stop()
		<-served
	})
	if len(s.taken) != 1 {
		t.Error("not stored")
	}
}

// Limits on connections: 421, and room again when one leaves.
func TestConnections(t *testing.T) {
	inBubble(t, smtpd.Options{Limits: smtpd.Limits{Connections: 2}}, func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, s *sink) {
		one, two, three := dial(), dial(), dial()
		one.want("220")
		two.want("220")
		three.want("421 4.3.2")
		three.gone()
		one.Close()
		synctest.Wait()
		four := dial()
		four.want("220")
	})
	inBubble(t, smtpd.Options{Limits: smtpd.Limits{PerPeer: 1}}, func(t *testing.T, dial func() *client, stop context.CancelFunc, served <-chan error, s *sink) {
		dial().want("220")
		dial().want("421 4.7.0")
	})
}

// failing is a listener that is broken for good.
type failing struct{ pipes }

func (*failing) Accept() (net.Conn, error) { return nil, net.ErrClosed }

func TestListenerFails(t *testing.T) {
	l := &failing{}
	l.done = make(chan struct{})
	if err := smtpd.New(smtpd.Options{}).Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
