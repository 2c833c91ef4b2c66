package relay

import (
	"bufio"
	"context"
	"io"
	"strconv"
	"time"

	"carepost/internal/transit"
	"carepost/smtp"
)

const (
	maxRecipients = 100      // of one transaction: what every server must take (RFC 5321 §4.5.3.1.8)
	blockSize     = 64 << 10 // of content, between two calls of Progress
)

// transaction is MAIL, RCPT and DATA for some recipients. It notes what concerns one of them; a fault concerns all and means
// that the session cannot go on.
func (s *session) transaction(ctx context.Context, batch []int) *fault {
	_, pipelining := s.ext["PIPELINING"]
	t := &s.v.c.opts.Timeouts
	s.mailLine()
	if pipelining { // RFC 2920 §3.1: DATA ends the group
		for _, i := range batch {
			s.rcptLine(i)
		}
		s.line("DATA")
	}
	if err := s.flush(t.Mail); err != nil {
		return s.v.broken("sending MAIL", err)
	}
	r, f := s.reply(ctx, t.Mail, "MAIL")
	if f != nil {
		return f
	}
	if !r.Positive() {
		return s.v.said(r)
	}
	taken, f := s.recipients(ctx, batch, pipelining)
	if f != nil {
		return f
	}
	if !pipelining {
		if len(taken) == 0 {
			_, f := s.ask(ctx, t.Mail, "RSET")
			return f
		}
		s.line("DATA")
		if err := s.flush(t.DataStart); err != nil {
			return s.v.broken("sending DATA", err)
		}
	}
	r, f = s.reply(ctx, t.DataStart, "DATA")
	switch {
	case f != nil:
		return f
	case len(taken) == 0 && r.Code == 354: // an empty message to nobody; hanging up is what all servers understand
		s.hangUp()
		return nil
	case len(taken) == 0:
		return nil
	case r.Code != 354:
		s.note(taken, s.v.said(r))
		s.hangUp()
		return nil
	}
	return s.content(ctx, taken)
}

func (s *session) mailLine() {
	s.w.WriteString("MAIL FROM:" + s.v.d.From.String()) // quoted again by package addr
	if _, ok := s.ext["SIZE"]; ok {
		s.w.WriteString(" SIZE=" + strconv.FormatInt(s.v.d.Body.Size(), 10))
	}
	if s.v.eightBit {
		s.w.WriteString(" BODY=8BITMIME")
	}
	s.line()
}

func (s *session) rcptLine(i int) { s.line("RCPT TO:<", s.v.d.To[i].String(), ">") }

// recipients reads the replies to RCPT, and sends the commands where they have not been sent.
func (s *session) recipients(ctx context.Context, batch []int, sent bool) (taken []int, f *fault) {
	for _, i := range batch {
		if !sent {
			s.rcptLine(i)
			if err := s.flush(s.v.c.opts.Timeouts.Rcpt); err != nil {
				return nil, s.v.broken("sending RCPT", err)
			}
		}
		r, f := s.reply(ctx, s.v.c.opts.Timeouts.Rcpt, "RCPT")
		if f != nil {
			return nil, f
		}
		if r.Positive() {
			taken = append(taken, i)
			continue
		}
		f = s.v.said(r)
		if r.Code == 552 { // RFC 5321 §4.5.3.1.10: too many recipients, in the words of old servers
			f.result, f.another, f.enhanced = transit.Deferred, true, "4.5.3"
		}
		s.note([]int{i}, f)
	}
	return taken, nil
}

// content sends the message and notes its fate for the recipients taken.
func (s *session) content(ctx context.Context, taken []int) *fault {
	t := &s.v.c.opts.Timeouts
	s.pace = &smtp.Pace{Idle: t.DataBlock, Grace: t.DataGrace, Rate: t.DataRate}
	s.w = bufio.NewWriterSize(s, blockSize)
	dots := smtp.NewDotWriter(s.w)
	switch f := s.send(ctx, dots); {
	case f != nil && f.code != 0: // the server's word, on these recipients
		s.note(taken, f)
		s.hangUp()
		return nil
	case f != nil:
		return f
	}
	s.mu.Lock()
	s.sent = true
	s.mu.Unlock()
	err := dots.Close()
	if err == nil {
		err = s.w.Flush()
	}
	s.pace = nil
	var r smtp.Reply
	var f *fault
	if err == nil {
		r, f = s.await(t.DataEnd, "the end of data")
	} else {
		f = s.v.broken("sending the end of data", err)
	}
	s.mu.Lock()
	s.sent = false
	s.mu.Unlock()
	switch {
	case f != nil && r.Code != 421: // it may have arrived: no other server is asked now
		f.another, f.text = false, f.text+"; the message may have arrived"
	case f != nil: // not taken
	case r.Positive():
		f = &fault{result: transit.Delivered, code: r.Code, enhanced: r.Enhanced, text: s.v.hidden.words(r)}
		s.named(true)
	default:
		f = s.v.said(r)
	}
	s.note(taken, f)
	if r.Code == 421 || !r.Positive() && !r.Temporary() && !r.Permanent() { // gone, or no telling what it answers next
		s.hangUp()
	}
	return nil
}

func (s *session) note(some []int, f *fault) {
	for _, i := range some {
		s.v.answer(i, f)
	}
}

// hangUp ends the session without QUIT.
func (s *session) hangUp() {
	s.closed = true
	s.close()
}

// send copies the body. Whoever stops here leaves a message without end, which the server throws away.
func (s *session) send(ctx context.Context, w io.Writer) *fault {
	if s.r.Buffered() > 0 {
		return s.cutShort(ctx, errAhead)
	}
	body := s.v.d.Body
	buf := make([]byte, min(body.Size(), blockSize))
	for at := int64(0); at < body.Size(); {
		n, err := body.ReadAt(buf[:min(int64(len(buf)), body.Size()-at)], at)
		if n == 0 && err != nil {
			return bodyFault(err)
		}
		at += int64(n)
		if _, err := w.Write(buf[:n]); err != nil {
			return s.cutShort(ctx, err)
		}
		if f := s.v.tick(ctx, at); f != nil {
			return f
		}
	}
	return nil
}

// cutShort explains why content is not sent on: a server that had enough may have said why.
func (s *session) cutShort(ctx context.Context, err error) *fault {
	if ctx.Err() == nil {
		s.pace = nil
		s.deadline(2 * time.Second)
		if r, bad := smtp.ReadReply(s.r); bad == nil && (r.Temporary() || r.Permanent()) {
			return s.v.said(r)
		}
	}
	return s.v.broken("sending the message", err)
}
