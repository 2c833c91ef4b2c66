package cms

import (
	"bufio"
	"io"
	"math"
)

// Identifier octets (X.690 §8.1.2) as CMS uses them, all of tags below 31.
const (
	tagEOC         = 0x00
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagOID         = 0x06
	tagSequence    = 0x30
	tagSet         = 0x31
	tagContext0    = 0x80 // [0], primitive
	tagContext1    = 0x81
	tagContext2    = 0x82
	tagContext4    = 0x84
	constructed    = 0x20

	tagNumber  = 0x1f // mask
	indefinite = -1   // a length
)

// element is the header of one encoding; its content is still to be read.
type element struct {
	tag    byte  // identifier octet
	length int64 // of the content, or indefinite
}

// frame is an open constructed encoding.
type frame struct {
	end   int64 // offset of the octet behind it, or indefinite
	bound int64 // the nearest definite end among it and those around it
}

// parser pulls BER elements from a stream (X.690 §8). Its state is an explicit stack of at most lim.Depth frames, so no input can
// make it recurse; everything it keeps is paid from a budget of lim.HeaderBytes. Each element that next returns must be
// consumed by exactly one of enter, content, raw, octets and skip.
type parser struct {
	r      *bufio.Reader
	lim    Limits
	algs   Algorithms
	off    int64 // octets taken from r
	budget int64 // octets that may still be taken; encrypted content is not paid for
	stack  []frame
	head   []byte // the last header, as it came
	taping bool   // tape collects what is taken
	tape   []byte
}

func newParser(r io.Reader, o ReadOptions) *parser {
	lim := o.Limits.defaulted()
	return &parser{
		r:      bufio.NewReaderSize(r, 8<<10),
		lim:    lim,
		algs:   o.Algorithms,
		budget: lim.HeaderBytes,
		stack:  make([]frame, 0, lim.Depth),
		head:   make([]byte, 0, 2+maxLengthOctets),
	}
}

// bound is the offset that nothing inside the open encodings may pass.
func (p *parser) bound() int64 {
	if len(p.stack) == 0 {
		return math.MaxInt64
	}
	return p.stack[len(p.stack)-1].bound
}

// cut turns the end of r, which is never expected where it is asked, into ErrSyntax. All other errors are of r, io.ErrUnexpectedEOF too.
func cut(err error) error {
	if err == io.EOF {
		return syntax("cut")
	}
	return err
}

// readFull is io.ReadFull, but for the error when r ends: that is ErrSyntax, which io.ReadFull would not tell from an r that breaks.
func (p *parser) readFull(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = p.r.Read(b[n:])
		n += m
	}
	p.off += int64(n)
	if n == len(b) {
		return n, nil
	}
	return n, cut(err)
}

func (p *parser) octet() (byte, error) {
	if p.off >= p.bound() {
		return 0, syntax("an element reaches over the end of the one around it")
	}
	if p.budget <= 0 {
		return 0, limit("octets outside the content")
	}
	b, err := p.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	p.off++
	p.budget--
	p.head = append(p.head, b)
	if p.taping {
		p.tape = append(p.tape, b)
	}
	return b, nil
}

// next reads the header of the next element in the innermost open encoding. At the end of that encoding it closes it and
// returns ok = false.
func (p *parser) next() (e element, ok bool, err error) {
	n := len(p.stack)
	if n > 0 && p.stack[n-1].end == p.off {
		p.stack = p.stack[:n-1]
		return element{}, false, nil
	}
	p.head = p.head[:0]
	if e.tag, err = p.octet(); err != nil {
		return element{}, false, err
	}
	if e.length, err = p.length(e.tag); err != nil {
		return element{}, false, err
	}
	if e.tag != tagEOC {
		return e, true, nil
	}
	// X.690 §8.1.5: end-of-contents octets, where an indefinite length began and nowhere else.
	if n == 0 || p.stack[n-1].end != indefinite || e.length != 0 || len(p.head) != 2 {
		return element{}, false, syntax("end-of-contents octets out of place")
	}
	p.stack = p.stack[:n-1]
	return element{}, false, nil
}

// length reads length octets (X.690 §8.1.3), minimal or not.
func (p *parser) length(tag byte) (int64, error) {
	if tag&tagNumber == tagNumber {
		return 0, limit("tag of more than one octet")
	}
	b, err := p.octet()
	if err != nil {
		return 0, err
	}
	if b == 0x80 {
		if tag&constructed == 0 {
			return 0, syntax("indefinite length of a primitive encoding")
		}
		return indefinite, nil
	}
	n := int64(b)
	if b > 0x80 {
		if b-0x80 > maxLengthOctets {
			return 0, limit("length octets")
		}
		var u uint64
		for range b - 0x80 {
			if b, err = p.octet(); err != nil {
				return 0, err
			}
			u = u<<8 | uint64(b)
		}
		if u >= maxLength {
			return 0, limit("length")
		}
		n = int64(u)
	}
	if n > p.bound()-p.off {
		return 0, syntax("an element reaches over the end of the one around it")
	}
	return n, nil
}

// enter opens e, which must be constructed.
func (p *parser) enter(e element) error {
	if e.tag&constructed == 0 {
		return syntax("primitive encoding of a constructed type")
	}
	if len(p.stack) >= p.lim.Depth {
		return limit("depth")
	}
	f := frame{end: indefinite, bound: p.bound()}
	if e.length != indefinite {
		f.end = p.off + e.length // cannot overflow: off + length <= bound, or both are below 2^62
		f.bound = f.end
	}
	p.stack = append(p.stack, f)
	return nil
}

// want reads the header of an element that must be there.
func (p *parser) want(what string) (element, error) {
	e, ok, err := p.next()
	if err == nil && !ok {
		err = syntax(what + " is missing")
	}
	return e, err
}

// open reads the header of an element that must be there with this tag, and enters it.
func (p *parser) open(tag byte, what string) error {
	e, err := p.want(what)
	if err != nil {
		return err
	}
	if e.tag != tag {
		return syntax("something else than " + what)
	}
	return p.enter(e)
}

// close wants the end of the innermost open encoding.
func (p *parser) close(what string) error {
	_, ok, err := p.next()
	if err == nil && ok {
		err = syntax("unknown field after " + what)
	}
	return err
}

// finish wants the end of r after the outermost encoding.
func (p *parser) finish() error {
	switch _, err := p.r.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return syntax("bytes after the end")
	default:
		return err
	}
}
