package smtpd

import (
	"context"
	"crypto/tls"
	"strconv"
	"strings"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/smtp"
)

// do carries one command out. An error ends the session.
func (c *session) do(ctx context.Context, cmd smtp.Command) error {
	switch cmd.Verb {
	case "EHLO", "HELO":
		return c.hello(cmd)
	case "MAIL":
		return c.mailFrom(ctx, cmd)
	case "RCPT":
		return c.rcptTo(ctx, cmd)
	case "DATA":
		return c.data(ctx, cmd)
	case "BDAT":
		return c.bdat(ctx, cmd)
	case "STARTTLS":
		return c.startTLS(ctx, cmd)
	case "AUTH":
		return c.auth(ctx, cmd)
	case "RSET":
		if cmd.Args != "" {
			return c.refuse(smtp.NewReply(501, "5.5.4", "RSET takes no argument"))
		}
		c.mail = nil
		return c.say(250, "2.0.0", "Forgotten")
	case "NOOP":
		return c.say(250, "2.0.0", "Here")
	case "VRFY": // RFC 5321 §3.5.3, §7.3
		return c.say(252, "2.1.5", "Send a message and see")
	case "HELP":
		return c.say(214, "2.0.0", "See RFC 5321")
	case "QUIT":
		c.say(221, "2.0.0", c.opts.Hostname+" closes")
		return errBye
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI":
		return c.hangUp(smtp.NewReply(521, "5.5.1", "HTTP is not spoken here"))
	}
	return c.refuse(smtp.NewReply(502, "5.5.1", "Command not known"))
}

// hello is EHLO and HELO (RFC 5321 §4.1.1.1).
func (c *session) hello(cmd smtp.Command) error {
	if c.r.Buffered() > 0 { // RFC 2920 §3.1: EHLO ends a group
		return c.hangUp(smtp.NewReply(503, "5.5.0", "Text ahead of our reply: closing"))
	}
	if !hostname(cmd.Args) {
		return c.refuse(smtp.NewReply(501, "5.5.4", "Syntax: "+cmd.Verb+" domain"))
	}
	c.helo, c.esmtp, c.mail = cmd.Args, cmd.Verb == "EHLO", nil
	if !c.esmtp {
		return c.say(250, "", c.opts.Hostname)
	}
	lines := []string{c.opts.Hostname, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING",
		"SIZE " + strconv.FormatInt(c.opts.MaxSize, 10)}
	if c.opts.TLS != nil && c.tls == nil {
		lines = append(lines, "STARTTLS")
	}
	if c.opts.Auth != nil && c.tls != nil { // RFC 4954 §4: never in clear
		lines = append(lines, "AUTH PLAIN")
	}
	if c.opts.Auth != nil { // an MX owes strangers no report in clear (Direct 3): what RFC 3461 adds is for our own senders
		lines = append(lines, "DSN")
	}
	return c.say(250, "", lines...)
}

// hostname says whether s may stand as the client's name in our Received field: a domain, loosely, or an address literal
// (RFC 5321 §4.1.3). Nothing in it wants escaping.
func hostname(s string) bool {
	extra := ".-_"
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s, extra = s[1:len(s)-1], ".-:"
	}
	for i := range len(s) {
		b := s[i] | 0x20
		if !(b >= 'a' && b <= 'z' || s[i] >= '0' && s[i] <= '9' || strings.IndexByte(extra, s[i]) >= 0) {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// mailFrom is MAIL (RFC 5321 §4.1.1.2).
func (c *session) mailFrom(ctx context.Context, cmd smtp.Command) error {
	switch {
	case c.helo == "":
		return c.refuse(smtp.NewReply(503, "5.5.1", "EHLO first"))
	case c.mail != nil:
		return c.refuse(smtp.NewReply(503, "5.5.1", "A transaction runs already"))
	case (c.opts.RequireTLS || c.opts.Auth != nil) && c.tls == nil: // RFC 3207 §4
		return c.refuse(smtp.NewReply(530, "5.7.0", "STARTTLS first"))
	case c.opts.Auth != nil && c.account.IsZero() && !c.host(): // RFC 6409 §4.3
		return c.refuse(smtp.NewReply(530, "5.7.0", "AUTH first: turn on authentication (password, over TLS) for this server"))
	}
	m, refused := smtp.ParseMail(cmd.Args)
	if refused != nil {
		return c.refuse(refused)
	}
	if m.Size > c.opts.MaxSize { // RFC 1870 §6.1
		return c.refuse(smtp.NewReply(552, "5.3.4", "Message too big"))
	}
	if m.Auth != "" && c.opts.Auth == nil { // RFC 4954 §5: it belongs to an extension that is not offered
		return c.refuse(smtp.NewReply(555, "5.5.4", "Parameter not known"))
	}
	if no := c.sender(ctx, m.From); no != nil {
		return c.no(no)
	}
	c.mail = &transaction{Mail: m, seen: map[string]bool{}}
	c.mail.env = transit.Envelope{From: m.From, ID: m.EnvID, Peer: c.peer, Helo: c.helo, TLS: c.tlsName(),
		Full: m.Return == "FULL" && c.opts.Auth != nil, SignedIn: !c.account.IsZero()}
	return c.say(250, "2.1.0", "Sender taken")
}

// host says that the client need not sign in.
func (c *session) host() bool { return c.opts.Host != nil && c.opts.Host(c.facts(addr.Path{})) }

// facts are what is known of the client.
func (c *session) facts(from addr.Path) Session {
	return Session{Peer: c.peer, Helo: c.helo, TLS: c.tlsName(), Account: c.account, From: from}
}

// no says why a sender or recipient is not taken; a permanent no counts.
func (c *session) no(r *smtp.Reply) error {
	if r.Permanent() {
		return c.refuse(r)
	}
	c.reply(r)
	return nil
}

func (c *session) tlsName() string {
	if c.tls == nil {
		return ""
	}
	return tls.VersionName(c.tls.Version)
}

// rcptTo is RCPT (RFC 5321 §4.1.1.3).
func (c *session) rcptTo(ctx context.Context, cmd smtp.Command) error {
	if c.mail == nil {
		return c.refuse(smtp.NewReply(503, "5.5.1", "MAIL first"))
	}
	r, refused := smtp.ParseRcpt(cmd.Args)
	if refused != nil {
		return c.refuse(refused)
	}
	if r.Postmaster { // RFC 5321 §4.1.1.3: without a domain, it is ours
		d, err := addr.ParseDomain(c.opts.Hostname)
		if err != nil {
			return c.refuse(smtp.NewReply(550, "5.1.1", "No postmaster here"))
		}
		r.To.Address.Domain = d
	}
	m := c.mail
	if len(m.env.To) >= c.opts.Limits.Recipients { // RFC 5321 §4.5.3.1.10
		return c.say(452, "4.5.3", "Too many recipients, send to the others next")
	}
	if c.opts.Rcpt != nil {
		if no := c.opts.Rcpt(ctx, c.facts(m.From), r.To); no != nil && !no.Positive() {
			return c.no(no)
		}
	}
	if k := r.To.Address.Key(); !m.seen[k] {
		m.seen[k] = true
		m.env.To = append(m.env.To, r.To.Address)
		m.wish(k, r, c.opts.Auth != nil)
	}
	return c.say(250, "2.1.5", "Recipient taken")
}
