package smtpd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/smtp"
)

// session is one connection. Its fields belong to the goroutine of run, but for those that mu guards.
type session struct {
	srv  *Server
	opts *Options
	log  *slog.Logger
	id   string
	peer netip.AddrPort
	end  time.Time // no command after it

	r     *smtp.Reader // over session.Read
	out   []byte       // replies not yet written
	pace  *smtp.Pace   // while content is read
	first *smtp.Command
	bad   int // commands and recipients refused
	tries int // to sign in, failed

	helo  string // "" before HELO or EHLO
	esmtp bool
	raw   net.Conn // conn, or what is under its TLS
	tls   *tls.ConnectionState
	mail  *transaction

	wrapped bool         // the session begins with TLS
	account addr.Address // who has signed in

	mu      sync.Mutex
	conn    net.Conn
	waiting bool // for a command outside of content
	closing bool
}

// transaction is what MAIL began.
type transaction struct {
	smtp.Mail
	env  transit.Envelope
	seen map[string]bool // keys of env.To
}

// What ends a session after everything has been said.
var (
	errQuit = errors.New("smtpd: hung up")
	errBye  = errors.New("smtpd: client said QUIT")
)

func newSession(s *Server, conn net.Conn, wrapped bool) *session {
	c := &session{srv: s, opts: &s.opts, conn: conn, raw: conn, wrapped: wrapped, id: strings.ToLower(rand.Text()[:16])}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	c.log = s.opts.Log.With("session", c.id, "peer", c.peer.Addr())
	c.r = smtp.NewReader(c)
	return c
}

// run is the whole session.
func (c *session) run(ctx context.Context) {
	defer c.survive()
	err := c.begin(ctx)
	for err == nil {
		var cmd smtp.Command
		if cmd, err = c.command(true); err == nil {
			err = c.do(ctx, cmd)
		}
	}
	c.flush()
	c.log.Debug("session over", "because", err.Error()) // ours or the network's words, never the client's
	if errors.Is(err, errQuit) || errors.Is(err, smtp.ErrBareByte) || errors.Is(err, smtp.ErrFlood) {
		c.linger()
	}
	c.conn.Close()
}

// begin is all that comes before the first command.
func (c *session) begin(ctx context.Context) error {
	c.end = time.Now().Add(c.opts.Timeouts.Session)
	if c.opts.Auth != nil && !c.host() {
		c.end = time.Now().Add(c.opts.Timeouts.SignIn)
	}
	if c.wrapped {
		if err := c.handshake(ctx); err != nil {
			return err
		}
	}
	return c.greet()
}

// survive keeps a bug that one message meets from ending everybody's sessions, and the process with them.
func (c *session) survive() {
	if p := recover(); p != nil {
		// Not the value: it may hold content.
		c.log.Error("panic in a session", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	}
	c.kill()
}

// Read is where all input comes from: it sends what there is to say before it waits, so replies to a group of commands go
// out together (RFC 2920 §3.2).
func (c *session) Read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	if c.pace == nil {
		return c.conn.Read(p)
	}
	start := time.Now()
	left := c.pace.Left()
	if left <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	c.conn.SetReadDeadline(start.Add(left))
	n, err := c.conn.Read(p)
	c.pace.Count(n, time.Since(start))
	return n, err
}

// reply says r, at the latest before the next wait.
func (c *session) reply(r *smtp.Reply) { c.out = r.AppendTo(c.out) }

func (c *session) say(code int, enhanced string, text ...string) error {
	c.reply(smtp.NewReply(code, enhanced, text...))
	return nil
}

// hangUp says r and ends the session.
func (c *session) hangUp(r *smtp.Reply) error {
	c.reply(r)
	return errQuit
}

// refuse says r and counts it; too many end the session.
func (c *session) refuse(r *smtp.Reply) error {
	c.reply(r)
	if c.bad++; c.bad >= c.opts.Limits.Errors {
		return c.hangUp(smtp.NewReply(421, "4.7.0", c.opts.Hostname+" has had enough errors"))
	}
	return nil
}

const keptReplies = 4 << 10 // of the buffer of replies, between two waits

func (c *session) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.conn.SetWriteDeadline(time.Now().Add(c.opts.Timeouts.Write))
	_, err := c.conn.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > keptReplies {
		c.out = nil
	}
	return err
}

// greet sends the greeting. RFC 5321 §4.3.1: the client waits for it; who does not is no mail server.
func (c *session) greet() error {
	early, err := spoken(c.raw), error(nil)
	if !early && c.opts.Timeouts.Greet > 0 {
		c.conn.SetReadDeadline(time.Now().Add(c.opts.Timeouts.Greet))
		var n int
		n, err = c.conn.Read(make([]byte, 1))
		early = n > 0
	}
	switch {
	case early:
		return c.hangUp(smtp.NewReply(521, "5.5.1", "The server speaks first"))
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	return c.say(220, "", c.opts.Hostname+" ESMTP Carepost")
}

// spoken says whether something waits to be read. It does not wait.
func spoken(conn net.Conn) bool {
	t, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err == nil && n > 0
}

// command waits for one command and takes it apart. An idle wait is one that shutting down may cut short.
func (c *session) command(idle bool) (smtp.Command, error) {
	if f := c.first; f != nil {
		c.first = nil
		return *f, nil
	}
	for {
		line, err := c.line(idle)
		if err != nil && !errors.Is(err, smtp.ErrLineTooLong) {
			return smtp.Command{}, c.inputError(err)
		}
		refused := smtp.NewReply(500, "5.5.2", "Line too long")
		if err == nil {
			var cmd smtp.Command
			if cmd, refused = smtp.ParseCommand(line); refused == nil {
				return cmd, nil
			}
		}
		if err := c.refuse(refused); err != nil {
			return smtp.Command{}, err
		}
	}
}

func (c *session) line(idle bool) ([]byte, error) {
	now := time.Now()
	until := now.Add(c.opts.Timeouts.Command)
	if c.end.Before(until) {
		until = c.end
	}
	c.mu.Lock()
	if c.closing && idle {
		c.mu.Unlock()
		return nil, errClosing
	}
	c.waiting = idle
	c.conn.SetReadDeadline(until)
	c.mu.Unlock()
	if idle && c.r.Buffered() > 0 && !now.Before(until) {
		return nil, os.ErrDeadlineExceeded // a client that never lets us wait
	}

	line, err := c.r.ReadLine(smtp.MaxCommand)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	if err != nil && c.closing && idle {
		err = errClosing
	}
	return line, err
}

var errClosing = errors.New("smtpd: shutting down")

// inputError says what there is to say when nothing more can be read, and returns err.
func (c *session) inputError(err error) error {
	switch {
	case errors.Is(err, errClosing):
		c.say(421, "4.3.2", c.opts.Hostname+" is shutting down")
	case errors.Is(err, smtp.ErrBareByte): // RFC 5321 §2.3.8
		c.say(521, "5.5.2", "CR or LF alone, or NUL: closing")
	case errors.Is(err, smtp.ErrFlood):
		c.say(521, "5.5.2", "Line without end: closing")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.say(421, "4.4.2", c.opts.Hostname+" waited too long")
	}
	return err
}

// linger lets the last reply arrive: closing with unread input would reset the connection, and the reply might be lost with it.
func (c *session) linger() {
	if t, ok := c.conn.(*tls.Conn); ok {
		t.CloseWrite()
	}
	t, ok := c.raw.(*net.TCPConn)
	if !ok || t.CloseWrite() != nil {
		return
	}
	t.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, t, 1<<20)
}

// close asks the session to end before its next command.
func (c *session) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	if c.waiting {
		c.conn.SetReadDeadline(time.Now())
	}
}

// kill ends the session at once, without a farewell of TLS, for which a client that reads nothing would have us wait.
func (c *session) kill() { c.raw.Close() }
