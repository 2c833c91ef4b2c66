package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"time"

	"carepost/smtp"
)

// startTLS is RFC 3207.
func (c *session) startTLS(ctx context.Context, cmd smtp.Command) error {
	switch {
	case c.opts.TLS == nil:
		return c.refuse(smtp.NewReply(502, "5.5.1", "STARTTLS is not offered"))
	case c.tls != nil:
		return c.refuse(smtp.NewReply(503, "5.5.1", "TLS runs already"))
	case cmd.Args != "":
		return c.refuse(smtp.NewReply(501, "5.5.4", "STARTTLS takes no argument"))
	case c.r.Buffered() > 0: // what was sent in clear must never be taken for something sent under TLS
		return c.hangUp(smtp.NewReply(503, "5.5.0", "Text after STARTTLS: closing"))
	}
	c.say(220, "2.0.0", "Go ahead")
	if err := c.flush(); err != nil {
		return err
	}
	return c.handshake(ctx)
}

// handshake begins TLS. Its error ends the session.
func (c *session) handshake(ctx context.Context) error {
	conn := tls.Server(c.conn, c.opts.TLS)
	conn.SetDeadline(time.Now().Add(c.opts.Timeouts.TLS))
	if err := conn.HandshakeContext(ctx); err != nil {
		c.log.Info("TLS handshake", "error", err)
		return io.EOF // nobody there to be told
	}
	conn.SetDeadline(time.Time{})
	state := conn.ConnectionState()
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	// RFC 3207 §4.2: everything learned before is forgotten.
	c.tls, c.helo, c.esmtp, c.mail = &state, "", false, nil
	c.r = smtp.NewReader(c)
	return nil
}
