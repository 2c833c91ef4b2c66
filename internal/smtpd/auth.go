package smtpd

import (
	"context"
	"errors"
	"strings"
	"time"

	"carepost/addr"
	"carepost/smtp"
)

// auth is AUTH (RFC 4954). PLAIN is the one mechanism (RFC 4616).
func (c *session) auth(ctx context.Context, cmd smtp.Command) error {
	if no := c.mayAuth(); no != nil {
		return c.refuse(no)
	}
	a, refused := smtp.ParseAuth(cmd.Args)
	switch {
	case c.r.Buffered() > 0: // RFC 2920 §3.1: AUTH ends a group
		return c.hangUp(smtp.NewReply(503, "5.5.0", "Text ahead of our reply: closing"))
	case refused != nil:
		return c.refuse(refused)
	case a.Mechanism != "PLAIN": // RFC 4954 §4
		return c.refuse(smtp.NewReply(504, "5.5.4", "PLAIN is the mechanism here"))
	}
	message := a.Initial
	if !a.Given {
		var err error
		if message, refused, err = c.challenge(); err != nil {
			return err
		}
	}
	var as, user, password string
	if refused == nil {
		as, user, password, refused = smtp.ParsePlain(message)
	}
	if refused != nil {
		return c.refuse(refused)
	}
	return c.signIn(ctx, as, user, password)
}

// mayAuth says why AUTH is not taken now, if so.
func (c *session) mayAuth() *smtp.Reply {
	switch {
	case c.opts.Auth == nil:
		return smtp.NewReply(502, "5.5.1", "AUTH is not offered")
	case !c.esmtp:
		return smtp.NewReply(503, "5.5.1", "EHLO first")
	case c.tls == nil: // RFC 4954 §4; a password that came with it has been seen by others
		return smtp.NewReply(538, "5.7.11", "Never in clear: STARTTLS first, and change the password if it was sent")
	case !c.account.IsZero(): // RFC 4954 §4
		return smtp.NewReply(503, "5.5.1", "You have signed in already")
	case c.mail != nil: // RFC 4954 §4
		return smtp.NewReply(503, "5.5.1", "Not within a transaction")
	}
	return nil
}

// challenge asks for the response that did not come with AUTH, and reads it. An error ends the session.
func (c *session) challenge() (response []byte, refused *smtp.Reply, err error) {
	c.say(334, "", "")
	line, err := c.line(true)
	switch {
	case errors.Is(err, smtp.ErrLineTooLong): // RFC 4954 §4: PLAIN never comes near that
		refused = smtp.NewReply(500, "5.5.6", "Line too long")
	case err != nil:
		return nil, nil, c.inputError(err)
	default:
		response, refused = smtp.ParseAuthResponse(line)
	}
	if c.r.Buffered() > 0 {
		return nil, nil, c.hangUp(smtp.NewReply(503, "5.5.0", "Text ahead of our reply: closing"))
	}
	return response, refused, nil
}

// signIn has name and password judged. Acting as somebody else is not given to anybody (RFC 4616 §2).
func (c *session) signIn(ctx context.Context, as, user, password string) error {
	account, err := addr.Address{}, ErrCredentials
	if as == "" || strings.EqualFold(as, user) {
		account, err = c.opts.Auth(ctx, c.facts(addr.Path{}), user, password)
	}
	switch {
	case err == nil && !account.IsZero():
		c.account = account
		c.end = time.Now().Add(c.opts.Timeouts.Session)
		c.log.Info("signed in")
		return c.say(235, "2.7.0", "Welcome")
	case errors.Is(err, ErrCredentials):
		c.log.Info("not signed in", "error", err)
		return c.denied(ctx, smtp.NewReply(535, "5.7.8", "Name or password is wrong: the name is the whole address"))
	}
	c.log.Warn("not signed in", "error", err)
	return c.denied(ctx, smtp.NewReply(454, "4.7.0", "Cannot be checked at present, try again later"))
}

// denied says r, the later the more often it was said, and ends the session of a client that goes on trying.
func (c *session) denied(ctx context.Context, r *smtp.Reply) error {
	c.tries++
	pause := time.NewTimer(time.Duration(c.tries) * c.opts.Timeouts.Denied)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	c.reply(r)
	if c.tries >= c.opts.Limits.Tries {
		return c.hangUp(smtp.NewReply(421, "4.7.0", c.opts.Hostname+" has seen too many tries"))
	}
	return nil
}

// sender says why a client that has signed in may not send as from, if so. DIR-46: we vouch for who sends.
func (c *session) sender(ctx context.Context, from addr.Path) *smtp.Reply {
	switch {
	case c.opts.Auth == nil:
		return nil
	case c.opts.Sender != nil:
		if no := c.opts.Sender(ctx, c.facts(from), from); no != nil && !no.Positive() {
			return no
		}
		return nil
	case from.IsNull() || !from.Address.Equal(c.account):
		return smtp.NewReply(553, "5.7.1", "You may send as the address you signed in with, and this is another: set it as sender and From")
	}
	return nil
}
