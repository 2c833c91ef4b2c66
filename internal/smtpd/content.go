package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"carepost/internal/crash"
	"carepost/smtp"
)

// content is a message's bytes on their way to Accept: our trace field, then what the client sends, which is counted, its header
// looked at, its first error kept.
type content struct {
	top  string    // what is left of our trace field
	src  io.Reader // smtp.DataReader or chunks
	head header
	n    int64
	max  int64
	err  error // io.EOF when all of it has been read
}

func (b *content) Read(p []byte) (int, error) {
	if b.top != "" {
		n := copy(p, b.top)
		b.top = b.top[n:]
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	if b.n > b.max {
		err = tooBig()
	} else if bad := b.head.scan(p[:n]); bad != nil {
		err = bad
	} else if err == io.EOF && b.n == 0 {
		err = &Refusal{Text: "Empty message"}
	}
	if b.err = err; err != nil && err != io.EOF {
		return 0, err
	}
	return n, err
}

func tooBig() *Refusal { return &Refusal{Code: 552, Enhanced: "5.3.4", Text: "Message too big"} }

// data is DATA (RFC 5321 §4.1.1.4).
func (c *session) data(ctx context.Context, cmd smtp.Command) error {
	switch {
	case cmd.Args != "":
		return c.refuse(smtp.NewReply(501, "5.5.4", "DATA takes no argument"))
	case c.mail == nil:
		return c.refuse(smtp.NewReply(503, "5.5.1", "MAIL first"))
	case len(c.mail.env.To) == 0:
		return c.refuse(smtp.NewReply(554, "5.5.1", "No valid recipients"))
	case c.r.Buffered() > 0: // RFC 2920 §3.1: DATA ends a group
		return c.hangUp(smtp.NewReply(503, "5.5.0", "Text ahead of our reply: closing"))
	}
	c.say(354, "", "Go ahead, end with a line of one dot")
	src := c.r.Data()
	return c.take(ctx, src, func() io.Reader { return src })
}

// take gives content to Accept and says what became of it. rest is what must be read before a refusal may be said.
func (c *session) take(ctx context.Context, src io.Reader, rest func() io.Reader) error {
	m := c.mail
	c.mail = nil
	defer c.patience()()
	body := &content{top: c.received(time.Now()), src: src, max: c.opts.MaxSize, head: header{limits: c.opts.Limits}}
	id, err := c.opts.Accept(ctx, m.env, body)
	if body.err == io.EOF && err == nil {
		c.log.Info("message taken", "id", id, "bytes", body.n, "recipients", len(m.env.To), "tls", m.env.TLS)
		c.say(250, "2.0.0", "Taken as "+id)
		err := c.flush() // RFC 1047: at once, whatever waits behind it. Lost or not, nothing is undone from here on
		crash.Point("accept.answered")
		return err
	}
	var over *sessionError
	var refusal *Refusal
	switch bad := body.err; {
	case errors.As(bad, &over):
		return over.err
	case errors.Is(bad, errAborted):
		return nil // the command that came instead has its own reply
	case errors.As(bad, &refusal):
		err = bad // whatever Accept made of it
	case bad != nil && bad != io.EOF:
		return c.inputError(bad)
	case err == nil:
		err = errors.New("smtpd: Accept did not read its message")
	}
	return c.void(err, rest())
}

// void says that a message was not taken, after reading what is left of it.
func (c *session) void(err error, rest io.Reader) error {
	r := replyTo(err)
	c.log.Info("message not taken", "code", r.Code, "error", err)
	if chunk, ok := rest.(*smtp.ChunkReader); ok && chunk.Left() > c.opts.Limits.Drain {
		return c.hangUp(r)
	}
	n, bad := io.Copy(io.Discard, io.LimitReader(rest, c.opts.Limits.Drain))
	if bad != nil { // nobody knows what would be read next
		return c.inputError(bad)
	}
	if n == c.opts.Limits.Drain {
		return c.hangUp(r)
	}
	c.reply(r)
	return nil
}

// patience paces all reading until the function returned is called.
func (c *session) patience() func() {
	t := c.opts.Timeouts
	c.pace = &smtp.Pace{Idle: t.Data, Grace: t.DataGrace, Rate: t.DataRate}
	return func() { c.pace = nil }
}

// received is the trace field that goes on top (RFC 5321 §4.4). All of the client's that is in it is its name, see hostname.
func (c *session) received(now time.Time) string {
	with := "SMTP"
	if c.esmtp {
		with = "ESMTP"
	}
	if c.tls != nil { // RFC 3848
		with += "S"
		if !c.account.IsZero() {
			with += "A"
		}
		with += fmt.Sprintf(" (%s, %s)", tls.VersionName(c.tls.Version), tls.CipherSuiteName(c.tls.CipherSuite))
	}
	return fmt.Sprintf("Received: from %s (%s)\r\n\tby %s with %s\r\n\tid %s; %s\r\n",
		c.helo, literal(c.peer.Addr()), c.opts.Hostname, with, c.id, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// literal is an address as RFC 5321 §4.1.3 writes it.
func literal(a netip.Addr) string {
	switch {
	case a.Is4():
		return "[" + a.String() + "]"
	case a.Is6():
		return "[IPv6:" + a.WithZone("").String() + "]"
	}
	return "unknown"
}
