package smtpd

import (
	"context"
	"errors"
	"io"

	"carepost/smtp"
)

// errAborted says that another command came between two chunks; it is in session.first.
var errAborted = errors.New("smtpd: message given up by the client")

// bdat is the first BDAT of a message (RFC 3030 §2); chunks reads the others.
func (c *session) bdat(ctx context.Context, cmd smtp.Command) error {
	size, last, refused := smtp.ParseBDAT(cmd.Args)
	if refused != nil { // the chunk's end is unknown
		return c.hangUp(refused)
	}
	src := &chunks{c: c, cur: c.r.Chunk(size), last: last, left: c.opts.MaxSize - size}
	if c.mail == nil || len(c.mail.env.To) == 0 {
		return c.skip(src.cur, smtp.NewReply(503, "5.5.1", "MAIL and RCPT first"))
	}
	if src.left < 0 {
		c.mail = nil
		defer c.patience()()
		return c.void(tooBig(), src.cur)
	}
	return c.take(ctx, src, func() io.Reader { return src.cur })
}

// skip reads a chunk that belongs to no message and says r.
func (c *session) skip(chunk *smtp.ChunkReader, r *smtp.Reply) error {
	if chunk.Left() > c.opts.Limits.Drain {
		return c.hangUp(r)
	}
	defer c.patience()()
	if _, err := io.Copy(io.Discard, chunk); err != nil {
		return c.inputError(err)
	}
	return c.refuse(r)
}

// chunks is the content of one message over its BDAT commands, of which it reads and answers all but the first and the last.
type chunks struct {
	c     *session
	cur   *smtp.ChunkReader
	last  bool
	left  int64 // of MaxSize
	lines smtp.Lines
	err   error
}

func (b *chunks) Read(p []byte) (int, error) {
	for b.err == nil {
		n, err := b.cur.Read(p)
		if n > 0 {
			if b.err = b.lines.Check(p[:n]); b.err != nil {
				return 0, b.err
			}
			return n, nil
		}
		switch {
		case err == nil:
			return 0, nil
		case err != io.EOF:
			b.err = err
		case b.last && !b.lines.Whole(): // it could not be sent on as it is
			b.err = &Refusal{Text: "The message does not end with CR LF"}
		case b.last:
			b.err = io.EOF
		default:
			b.c.say(250, "2.0.0", "Chunk taken")
			b.err = b.next()
		}
	}
	return 0, b.err
}

// next reads commands up to the next BDAT.
func (b *chunks) next() error {
	for {
		cmd, err := b.c.command(false)
		if err != nil {
			return &sessionError{err}
		}
		switch cmd.Verb {
		case "BDAT":
			size, last, refused := smtp.ParseBDAT(cmd.Args)
			if refused != nil {
				return &sessionError{b.c.hangUp(refused)}
			}
			b.cur, b.last = b.c.r.Chunk(size), last
			if size > b.left {
				return tooBig()
			}
			b.left -= size
			return nil
		case "NOOP":
			b.c.say(250, "2.0.0", "Here")
		case "RSET", "QUIT", "EHLO", "HELO":
			b.c.first = &cmd
			return errAborted
		default: // DATA too: RFC 3030 §2
			if err := b.c.refuse(smtp.NewReply(503, "5.5.1", "BDAT or RSET")); err != nil {
				return &sessionError{err}
			}
		}
	}
}

// sessionError ends the session after the message: everything has been said.
type sessionError struct{ err error }

func (e *sessionError) Error() string { return e.err.Error() }
func (e *sessionError) Unwrap() error { return e.err }
