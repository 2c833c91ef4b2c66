package dicom

import (
	"bytes"
	"errors"
	"io"
)

// maxSearched is how long a sequence may be, in bytes, that is searched for digital signatures of its items.
const maxSearched = 16 << 20

// search passes over a value of known length that nobody wants, and looks on the way for digital signatures of items (PS3.15 C, PS3.3 C.12.1.1.3):
// by octets, the tag with what must follow it. What is in it is not judged.
func (p *parser) search(h head, enc coding) error {
	enc.implicit = enc.implicit || h.vr == vrUN // PS3.5 §6.2.2 note
	first, err := p.src.peek(int(min(4, h.length)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	begin := []byte("\xfe\xff\x00\xe0")
	if enc.big && h.vr != vrUN {
		begin = []byte("\xff\xfe\xe0\x00")
	}
	if p.f.Signed || !p.s.o.Walk || h.length > maxSearched || !bytes.Equal(first, begin) || p.src.left() >= 0 && int64(h.length) > p.src.left() {
		return p.skip(h)
	}
	tag := []byte("\xfa\xff\xfa\xff")
	if enc.big && h.vr != vrUN {
		tag = []byte("\xff\xfa\xff\xfa")
	}
	signed := func(b []byte) bool {
		for {
			i := bytes.Index(b, tag)
			switch {
			case i < 0 || len(b) < i+12:
				return false
			case enc.implicit && bytes.Equal(b[i+8:i+12], begin), !enc.implicit && string(b[i+4:i+8]) == "SQ\x00\x00" && string(b[i+8:i+12]) != "\x00\x00\x00\x00":
				return true
			}
			b = b[i+1:]
		}
	}
	const across = 11 // octets of a match that may lie in the next buffer
	for n := int64(h.length); n > 0; {
		b, err := p.src.peek(int(min(n, int64(len(p.src.buf)))))
		if signed(b) {
			p.f.Signed = true
		}
		pass := len(b)
		if int64(pass) < n && err == nil {
			pass -= across
		}
		p.src.pass(pass)
		n -= int64(pass)
		if p.f.Signed || err != nil && n > 0 {
			h.length = uint32(n)
			return p.skip(h)
		}
	}
	return nil
}
