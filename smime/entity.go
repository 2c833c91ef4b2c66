package smime

import (
	"errors"
	"io"

	"carepost/message"
)

// write writes the message that e is or holds to dst.
func (x *opening) write(e *entity) error {
	if x.sig != nil && e.at == signed {
		x.sig.epilogue = e.ct.Type == "multipart"
	}
	switch rfc822 := e.ct.Is("message", "rfc822") || e.ct.Is("message", "global"); {
	case protectsHeader(e.ct):
		x.opened.HeaderProtected = true
		return x.joined(e, protectedHeader)
	case rfc822 && !forwards(e.ct):
		return x.wrapped(e)
	}
	return x.joined(e, joinedHeader)
}

// wrapped writes the message that the body of e consists of (RFC 8551 §3.1; DIR-14).
func (x *opening) wrapped(e *entity) error {
	r, err := decoded(e.header, e.body.br)
	if err != nil {
		return classify(err, e.whose())
	}
	br := e.body
	if r != io.Reader(br.br) {
		br = newCounted(r)
	}
	x.opened.Wrapped = true
	var blank string
	x.opened.Header, blank, err = br.header(x.lim.Message)
	if err != nil {
		return x.unvouched(classify(err, "the header of the wrapped message"))
	}
	if err := x.writeHeader(blank); err != nil {
		return err
	}
	if _, err := br.br.WriteTo(x.dst); err != nil {
		return x.unvouched(classify(err, "the wrapped message"))
	}
	return nil
}

// unvouched applies damaged where no signature stands between the content and its encryption.
func (x *opening) unvouched(err error) error {
	if x.inner {
		return err
	}
	return damaged(err)
}

// joined writes one message of the outer fields and e, by the header that join makes of both.
func (x *opening) joined(e *entity, join joiner) error {
	var err error
	if x.opened.Header, err = join(x.opened.Outer, e.header, x.lim.Message); err != nil {
		return classify(err, "the joined header")
	}
	if err := x.writeHeader(e.blank); err != nil {
		return err
	}
	_, err = e.body.br.WriteTo(x.dst)
	return err
}

// writeHeader writes the header of the message inside with its blank line, and refuses one that can be read in two ways.
func (x *opening) writeHeader(blank string) error {
	h := x.opened.Header
	if _, err := h.ContentType(); errors.Is(err, message.ErrAmbiguous) {
		return classify(err, "the message")
	}
	if err := single(h); err != nil {
		return err
	}
	if _, err := x.dst.Write(h.Bytes()); err != nil {
		return err
	}
	_, err := io.WriteString(x.dst, blank)
	return err
}
