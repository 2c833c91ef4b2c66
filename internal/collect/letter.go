package collect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/pop3"
	"carepost/smtp"
)

// unfit says that a mail cannot be taken as it is.
type unfit struct{ reason string }

func (u *unfit) Error() string { return "collect: " + u.reason }

// letter is a mail as it goes on: our trace field on top (RFC 5321 §4.4), then its own bytes; and the envelope that the provider took it with, as
// far as that is to be seen.
func (s *Service) letter(x *source, b box, r io.Reader, peer netip.AddrPort) (io.Reader, transit.Envelope, error) {
	env := transit.Envelope{To: []addr.Address{x.For}, Peer: peer, TLS: b.wire()}
	all := &checked{r: r, left: x.Largest}
	var read bytes.Buffer // of it, until the header has ended: package message bounds that
	h, err := message.ReadHeader(bufio.NewReader(io.TeeReader(all, &read)), message.Limits{})
	switch {
	case errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrAmbiguous), errors.Is(err, message.ErrLimit):
		return nil, env, &unfit{"RFC 5322 §2.2: it has no header that can be read"}
	case err != nil:
		return nil, env, err
	}
	env.From = sender(h)
	host, _, _ := net.SplitHostPort(x.Address)
	trace := fmt.Sprintf("Received: from %s\r\n\tby %s with %s;\r\n\t%s\r\n", host, s.o.Hostname, b.wire(), stamp(s.o.Clock()))
	return io.MultiReader(strings.NewReader(trace), &read, all), env, nil
}

// sender is the reverse-path: what the provider's Return-Path says (RFC 5321 §4.4), the topmost where others stand below; where there is none,
// who is said to have written it.
func sender(h message.Header) addr.Path {
	if path := h.Get("Return-Path"); path != "" {
		path = strings.TrimSpace(path)
		inner, ok := strings.CutPrefix(path, "<")
		if ok {
			inner, ok = strings.CutSuffix(inner, ">")
		}
		if !ok {
			inner = path
		}
		a, err := addr.Parse(strings.TrimSpace(inner))
		if err != nil {
			return addr.Path{}
		}
		return addr.Path{Address: a}
	}
	if from, err := h.Mailboxes("From"); err == nil && len(from) == 1 {
		return addr.Path{Address: from[0].Address}
	}
	return addr.Path{}
}

const bareByte = "RFC 5322 §2.3: it has CR or LF alone, or NUL"

// checked passes on a mail of lines that end in CR LF, as SMTP would have brought it, and ends the last one.
type checked struct {
	r     io.Reader
	left  int64
	lines smtp.Lines
	end   string
	err   error
}

func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		n := copy(p, c.end)
		if c.end = c.end[n:]; n > 0 {
			return n, nil
		}
		return 0, c.err
	}
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		c.err = &unfit{"it is larger than is taken, and than the provider said"}
		return 0, c.err
	}
	if c.lines.Check(p[:n]) != nil || errors.Is(err, pop3.ErrContent) {
		c.err = &unfit{bareByte}
		return 0, c.err
	}
	if err != nil {
		c.err = err
		if err == io.EOF && !c.lines.Whole() {
			if c.lines.Check([]byte{'\n'}) == nil { // a CR was the last of it: no line end of ours makes that good
				c.err = &unfit{bareByte}
				return n, nil
			}
			c.end = "\r\n"
		}
		return n, nil
	}
	return n, nil
}
