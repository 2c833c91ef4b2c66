package smime

import (
	"bufio"
	"bytes"
	"io"

	"carepost/message"
)

// watched remembers why its source failed, since what lies above must not tell: a disk error is no answer, and the message is
// to be tried again.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// draft counts what is written and remembers why writing failed.
type draft struct {
	w   io.Writer
	n   int64
	err error
}

func (d *draft) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.n += int64(n)
	if err != nil {
		d.err = err
	}
	return n, err
}

// section is a reader that writes what is left of it without a copy in between.
type section interface {
	io.Reader
	io.WriterTo
}

// passage hands on what it reads, and errors as as says.
type passage struct {
	r  io.Reader
	as func(error) error
}

func (p passage) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		err = p.as(err)
	}
	return n, err
}

// WriteTo implements io.WriterTo. Errors of w come out as those of the reader do; whoever writes to a draft asks the draft.
func (p passage) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, p.r)
	if err != nil {
		err = p.as(err)
	}
	return n, err
}

// hashed reads a section and hashes exactly what it reads.
type hashed struct {
	s section
	d *digester
}

func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.s.Read(p)
	h.d.Write(p[:n])
	return n, err
}

// WriteTo hashes and writes the rest of the section, by the splitter's window.
func (h *hashed) WriteTo(w io.Writer) (int64, error) {
	return h.s.WriteTo(tee{w, h.d})
}

type tee struct {
	w io.Writer
	d *digester
}

func (t tee) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.d.Write(p[:n])
	return n, err
}

// counted is a buffered reader that knows how far it was read, so that not even the form of a blank line is lost.
type counted struct {
	br *bufio.Reader
	r  io.Reader
	n  int64 // octets that br took
}

func newCounted(r io.Reader) *counted {
	c := &counted{r: r}
	c.br = bufio.NewReader(c)
	return c
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// WriteTo is used by br once its buffer is empty.
func (c *counted) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, c.r) }

// header reads a header and returns the blank line after it as it stands: CRLF, LF, or nothing where the entity ended.
func (c *counted) header(lim message.Limits) (h message.Header, blank string, err error) {
	before := c.n - int64(c.br.Buffered())
	h, err = message.ReadHeader(c.br, lim)
	after := c.n - int64(c.br.Buffered())
	switch after - before - int64(len(h.Bytes())) {
	case 1:
		blank = "\n"
	case 2:
		blank = "\r\n"
	}
	return h, blank, err
}

// equalFold compares ASCII without regard to case: names of types and parameters are ASCII.
func equalFold(a, b string) bool {
	return len(a) == len(b) && bytes.EqualFold([]byte(a), []byte(b))
}

// content says whether a field describes a body, and so moves with it (RFC 2045 §9).
func contentField(name string) bool {
	const prefix = "content-"
	return len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix)
}
