package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	undefined       = 0xFFFFFFFF
	tagItem     Tag = 0xFFFEE000
	tagItemEnd  Tag = 0xFFFEE00D
	tagSeqEnd   Tag = 0xFFFEE0DD
	tagSigned   Tag = 0xFFFAFFFA // Digital Signatures Sequence
	toTheEnd        = -1         // a data set that ends with the file
	toDelimiter     = -2         // a data set of undefined length
	perElement      = 96         // bytes that keeping an element costs beside its value
)

// coding says how elements are written. The zero value is Explicit VR Little Endian.
type coding struct{ big, implicit bool }

func (e coding) order() binary.ByteOrder {
	if e.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// parser holds the state of one scan.
type parser struct {
	s    *Scanner
	src  *source
	f    *File
	room int64 // bytes that may still be kept
}

type head struct {
	tag    Tag
	vr     VR
	length uint32
}

// head reads an element's tag, VR and length (PS3.5 §7.1.2, §7.1.3).
func (p *parser) head(enc coding) (head, error) {
	b, err := p.src.peek(8)
	if len(b) < 8 {
		return head{}, cutHead(err)
	}
	o := enc.order()
	h := head{tag: Tag(uint32(o.Uint16(b))<<16 | uint32(o.Uint16(b[2:])))}
	v := VR{b[4], b[5]}
	switch {
	case h.tag.group() == 0xFFFE || enc.implicit || !v.valid():
		h.vr, h.length = VROf(h.tag), o.Uint32(b[4:])
		p.src.pass(8)
	case v.short():
		h.vr, h.length = v, uint32(o.Uint16(b[6:]))
		p.src.pass(8)
	default:
		if b, err = p.src.peek(12); len(b) < 12 {
			return head{}, cutHead(err)
		}
		h.vr, h.length = v, o.Uint32(b[8:])
		p.src.pass(12)
	}
	return h, nil
}

func cutHead(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends inside an element's header", ErrCut)
	}
	return err
}

// top reads the elements of the file itself.
func (p *parser) top(enc coding) error {
	var last Tag
	for {
		b, err := p.src.peek(8)
		if len(b) < 8 {
			if err := ignoreEOF(err); err != nil {
				return err
			}
			return p.tail(b)
		}
		h, err := p.head(enc)
		if err != nil {
			return err
		}
		if h.tag == 0 && h.length == 0 {
			return p.padding()
		}
		if h.tag.group() == 0xFFFE { // stray delimiters
			if h.tag == tagItem && h.length != undefined && h.length != 0 {
				return fmt.Errorf("%w: an item outside a sequence", ErrSyntax)
			}
			continue
		}
		if h.tag < last {
			p.f.Unordered = true
		}
		last = max(last, h.tag)
		if h.tag > p.s.last && !p.s.o.Walk {
			return nil
		}
		if err := p.element(&p.f.Data, h, enc, p.s.wanted[h.tag], 0); err != nil {
			return err
		}
	}
}

// tail judges the last bytes, too few for an element: zeros pad, anything else was cut off.
func (p *parser) tail(b []byte) error {
	for _, c := range b {
		if c != 0 {
			return fmt.Errorf("%w: it ends inside an element's header", ErrCut)
		}
	}
	p.f.Trailing += int64(len(b))
	return nil
}

// padding reads zeros to the end of the file.
func (p *parser) padding() error {
	p.f.Trailing += 8
	for {
		b, err := p.src.peek(len(p.src.buf))
		for _, c := range b {
			if c != 0 {
				return fmt.Errorf("%w: data after zero padding", ErrSyntax)
			}
		}
		p.f.Trailing += int64(len(b))
		p.src.pass(len(b))
		if err != nil {
			return ignoreEOF(err)
		}
	}
}

// element reads or passes over the value of h. kept says whether it goes into d.
func (p *parser) element(d *DataSet, h head, enc coding, kept bool, depth int) error {
	if kept && depth == 0 {
		if _, twice := d.Get(h.tag); twice { // two readers could see two patients
			return fmt.Errorf("%w: %v occurs twice", ErrSyntax, h.tag)
		}
	}
	if h.tag == tagSigned && h.length != 0 {
		p.f.Signed = true
	}
	if pixels(h.tag) && depth == 0 {
		return p.pixelData(h, enc)
	}
	if h.length == undefined {
		return p.sequence(d, h, enc, toDelimiter, kept, depth)
	}
	if !kept && (h.vr == vrSQ || h.vr == vrUN) {
		return p.search(h, enc)
	}
	if !kept {
		return p.skip(h)
	}
	if h.vr == vrSQ || h.vr == vrUN && VROf(h.tag) == vrSQ {
		return p.sequence(d, h, enc, p.src.pos()+int64(h.length), kept, depth)
	}
	v, err := p.keep(int64(h.length))
	if err != nil {
		return fmt.Errorf("%v: %w", h.tag, err)
	}
	e := Element{Tag: h.tag, VR: h.vr, Value: v}
	if e.VR == vrUN {
		e.VR = VROf(h.tag)
	}
	if enc.big {
		swap(v, e.VR.word())
	}
	*d = append(*d, e)
	return nil
}

func (p *parser) skip(h head) error {
	if err := p.src.skip(int64(h.length)); err != nil {
		return fmt.Errorf("%v: %w", h.tag, err)
	}
	return nil
}

// keep reads n bytes that stay, within the room there is.
func (p *parser) keep(n int64) ([]byte, error) {
	if p.room -= n + perElement; p.room < 0 {
		return nil, fmt.Errorf("%w: more than %d bytes of keys", ErrLimit, p.s.o.MaxKept)
	}
	return p.src.read(n)
}

func swap(v []byte, word int) {
	if word < 2 {
		return
	}
	for ; len(v) >= word; v = v[word:] {
		slices.Reverse(v[:word])
	}
}
