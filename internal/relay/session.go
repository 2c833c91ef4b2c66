package relay

import (
	"bufio"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"carepost/internal/transit"
	"carepost/smtp"
)

// session is one connection to one server.
type session struct {
	v    *delivery
	host string
	tls  string // for transit.Outcome
	r    *smtp.Reader
	w    *bufio.Writer
	ext  map[string]string // EHLO keyword → its parameters
	pace *smtp.Pace        // while content is sent

	closed bool // after an end in the middle that is no fault

	mu   sync.Mutex
	conn net.Conn
	sent bool      // the final dot is on its way: an end of ctx no longer stops at once
	over time.Time // when ctx has ended: no deadline is later
}

// session delivers what it can to t. A fault concerns everybody still open.
func (v *delivery) session(ctx context.Context, t target, sec Security, plain bool) *fault {
	o := &v.c.opts
	dial, cancel := context.WithDeadline(ctx, earlier(time.Now().Add(o.Timeouts.Connect), v.until))
	conn, err := o.Dial(dial, "tcp", t.address)
	cancel()
	if err != nil {
		return v.unreached(err)
	}
	s := &session{v: v, host: t.host, conn: conn}
	s.r, s.w = smtp.NewReader(s), bufio.NewWriterSize(s, 4<<10)
	defer s.close()
	defer context.AfterFunc(ctx, s.interrupt)()
	s.named(false)
	if f := s.meet(ctx, sec, plain); f != nil {
		return f
	}
	if f := s.fits(); f != nil {
		return f
	}
	for batch := range slices.Chunk(v.open(), maxRecipients) {
		if s.closed {
			return &fault{enhanced: "4.4.2", text: "the session ended before this recipient's turn", another: true}
		}
		if f := s.transaction(ctx, batch); f != nil {
			return f
		}
	}
	s.line("QUIT")
	s.flush(time.Second) // its reply is of no interest
	return nil
}

// Read and Write are the connection's; while content is sent, a Write has the time that the pace leaves it.
func (s *session) Read(p []byte) (int, error) { return s.conn.Read(p) }

func (s *session) Write(p []byte) (int, error) {
	if s.pace == nil {
		return s.conn.Write(p)
	}
	start := time.Now()
	s.deadline(s.pace.Left())
	n, err := s.conn.Write(p)
	s.pace.Count(n, time.Since(start))
	return n, err
}

func (s *session) deadline(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := time.Now().Add(d)
	if !s.sent { // the last reply decides whether the message will be sent twice
		t = earlier(t, s.v.until)
	}
	if !s.over.IsZero() {
		t = earlier(t, s.over)
	}
	s.conn.SetDeadline(t)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// named has the outcome name this server: the one that took the message last, or, when none did, the one that was asked last.
func (s *session) named(took bool) {
	if took || !s.v.took {
		s.v.out.Host, s.v.out.TLS, s.v.took = s.host, s.tls, took
	}
}

// interrupt ends the session when ctx has ended; after the final dot there is a little time for its reply, which decides
// whether the message will be sent twice.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = time.Now()
	if s.sent {
		s.over = s.over.Add(s.v.c.opts.Timeouts.Lost)
	}
	s.conn.SetDeadline(s.over)
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.Close()
}

func (s *session) line(parts ...string) {
	for _, p := range parts {
		s.w.WriteString(p)
	}
	s.w.WriteString("\r\n")
}

// flush sends what is written, now that every reply asked for has been read.
func (s *session) flush(d time.Duration) error {
	if s.r.Buffered() > 0 {
		return errAhead
	}
	s.deadline(d)
	return s.w.Flush()
}

// reply reads one reply, if our caller still wants it.
func (s *session) reply(ctx context.Context, d time.Duration, to string) (smtp.Reply, *fault) {
	if f := s.v.tick(ctx, 0); f != nil {
		return smtp.Reply{}, f
	}
	return s.await(d, to)
}

func (s *session) await(d time.Duration, to string) (smtp.Reply, *fault) {
	s.deadline(d)
	r, err := smtp.ReadReply(s.r)
	if err != nil {
		return r, s.v.broken("waiting for the reply to "+to, err)
	}
	if r.Code == 421 { // RFC 5321 §3.8: it may come at any time, and the server is gone after it
		return r, s.v.said(r)
	}
	return r, nil
}

// ask sends one command and reads its reply.
func (s *session) ask(ctx context.Context, d time.Duration, parts ...string) (smtp.Reply, *fault) {
	verb, _, _ := strings.Cut(parts[0], " ")
	return s.asking(ctx, d, verb, parts...)
}

// asking is ask for a line that does not begin with its verb.
func (s *session) asking(ctx context.Context, d time.Duration, verb string, parts ...string) (smtp.Reply, *fault) {
	s.line(parts...)
	if err := s.flush(d); err != nil {
		return smtp.Reply{}, s.v.broken("sending "+verb, err)
	}
	return s.reply(ctx, d, verb)
}

func (s *session) greeting(ctx context.Context) *fault {
	r, f := s.reply(ctx, s.v.c.opts.Timeouts.Greeting, "the connection")
	if f != nil {
		return f
	}
	if r.Code != 220 {
		f := s.v.said(r)
		f.another = true
		if r.Code != 521 && r.Code != 556 { // RFC 7504: these two mean never
			f.result = transit.Deferred
		}
		return f
	}
	return s.hello(ctx, true)
}

// hello is EHLO, and HELO for servers that do not know it (RFC 5321 §4.1.4).
func (s *session) hello(ctx context.Context, fallback bool) *fault {
	o := &s.v.c.opts
	s.ext = map[string]string{}
	r, f := s.ask(ctx, o.Timeouts.Hello, "EHLO ", o.Hostname)
	if f != nil {
		return f
	}
	if r.Positive() && len(r.Text) > 1 {
		for _, l := range r.Text[1:] {
			key, params, _ := strings.Cut(l, " ")
			s.ext[strings.ToUpper(key)] = strings.TrimSpace(params)
		}
	}
	if r.Permanent() && fallback {
		if r, f = s.ask(ctx, o.Timeouts.Hello, "HELO ", o.Hostname); f != nil {
			return f
		}
	}
	if !r.Positive() {
		f := s.v.said(r)
		f.result, f.another = transit.Deferred, true
		return f
	}
	if name, _, _ := strings.Cut(r.Text[0], " "); same(name, o.Hostname) {
		return loop()
	}
	return nil
}

// fits asks whether the server can take the message as it is.
func (s *session) fits() *fault {
	if limit, ok := s.ext["SIZE"]; ok { // RFC 1870 §5; no number or 0 is no limit
		n, err := strconv.ParseInt(limit, 10, 64)
		if err == nil && n > 0 && (s.v.out.Most == 0 || n < s.v.out.Most) {
			s.v.out.Most = n
		}
		if err == nil && n > 0 && s.v.d.Body.Size() > n {
			return &fault{result: transit.Rejected, enhanced: "5.3.4", text: "the message is bigger than the server takes", another: true}
		}
	}
	if _, ok := s.ext["8BITMIME"]; s.v.eightBit && !ok { // RFC 6152 §3, without the conversion
		return &fault{result: transit.Rejected, enhanced: "5.6.3", text: "the message has 8-bit content, which the server does not take", another: true}
	}
	return nil
}
