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
	toTheEnd        = -1 // a data set that ends with the file
	toDelimiter     = -2 // a data set of undefined length
	perElement      = 96 // bytes that keeping an element costs beside its value
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
	if pixels(h.tag) && depth == 0 {
		return p.pixelData(h, enc)
	}
	if h.length == undefined {
		return p.sequence(d, h, enc, toDelimiter, kept, depth)
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

// sequence reads the items of a sequence up to end, an offset or toDelimiter.
func (p *parser) sequence(d *DataSet, h head, enc coding, end int64, kept bool, depth int) error {
	if depth >= MaxDepth {
		return fmt.Errorf("%w: sequences more than %d deep", ErrLimit, MaxDepth)
	}
	if h.vr == vrUN { // PS3.5 §6.2.2 note: what is inside is Implicit VR Little Endian
		enc = coding{implicit: true}
	} else if !enc.implicit && h.vr != vrSQ {
		return fmt.Errorf("%w: %v of %v has no length", ErrSyntax, h.tag, h.vr)
	}
	e := Element{Tag: h.tag, VR: vrSQ}
	match, filtered := p.s.o.Only[h.tag]
	for {
		if end >= 0 && p.src.pos() >= end {
			break
		}
		at := p.src.pos()
		ih, err := p.head(coding{implicit: true, big: enc.big})
		if err != nil {
			return fmt.Errorf("%v: %w", h.tag, err)
		}
		if ih.tag == tagSeqEnd && end == toDelimiter {
			break
		}
		if ih.tag != tagItem {
			if ih.tag == tagSeqEnd || ih.tag == tagItemEnd { // strays
				continue
			}
			return fmt.Errorf("%w: %v holds %v where an item should be", ErrSyntax, h.tag, ih.tag)
		}
		it := item{keep: kept, end: int64(toDelimiter)}
		if filtered && depth == 0 {
			it.match = &match
		}
		if ih.length != undefined {
			it.end = p.src.pos() + int64(ih.length)
			if end >= 0 && it.end > end {
				return fmt.Errorf("%w: an item of %v is longer than its sequence", ErrSyntax, h.tag)
			}
		}
		room := p.room
		if err := p.item(&it, enc, depth+1); err != nil {
			return err
		}
		if end >= 0 && p.src.pos() > end {
			return fmt.Errorf("%w: an item of %v is longer than its sequence", ErrSyntax, h.tag)
		}
		if h.tag == p.s.o.Each && depth == 0 && kept {
			if err := p.s.o.Item(at, it.d); err != nil {
				return err
			}
			p.room = room // nothing of the item is kept here: MaxKept holds for each item, however many there are
			continue
		}
		if it.keep {
			if p.room -= perElement; p.room < 0 {
				return fmt.Errorf("%w: more than %d bytes of keys", ErrLimit, p.s.o.MaxKept)
			}
			e.Items = append(e.Items, it.d)
		}
	}
	if kept {
		*d = append(*d, e)
	}
	return nil
}

// item is an item under way: what to keep of it, and where it ends.
type item struct {
	d     DataSet
	keep  bool
	match *Match // keep only if this holds
	end   int64
}

func (p *parser) item(it *item, enc coding, depth int) error {
	matched := it.match == nil
	for it.end < 0 || p.src.pos() < it.end {
		h, err := p.head(enc)
		if err != nil {
			return err
		}
		if h.tag == tagItemEnd && it.end == toDelimiter {
			break
		}
		if h.tag.group() == 0xFFFE {
			continue // strays
		}
		if it.end >= 0 && h.length != undefined && p.src.pos()+int64(h.length) > it.end {
			return fmt.Errorf("%w: %v is longer than its item", ErrSyntax, h.tag)
		}
		if err := p.element(&it.d, h, enc, it.keep, depth); err != nil {
			return err
		}
		if it.end >= 0 && p.src.pos() > it.end { // a sequence of undefined length
			return fmt.Errorf("%w: %v is longer than its item", ErrSyntax, h.tag)
		}
		if !matched && it.keep && h.tag >= it.match.Tag { // tags rise, so the answer is here or nowhere
			if it.d.String(it.match.Tag) == it.match.Value {
				matched = true
			} else {
				it.keep, it.d = false, nil
			}
		}
		if !it.keep && it.end >= 0 {
			return p.src.skip(it.end - p.src.pos())
		}
	}
	if !matched {
		it.keep, it.d = false, nil
	}
	return nil
}

// pixels names the elements of PS3.3 C.7.6.3, C.7.6.24 and C.7.6.25.
func pixels(t Tag) bool { return t == 0x7FE00010 || t == 0x7FE00008 || t == 0x7FE00009 }

// pixelData passes over pixels, native or in fragments (PS3.5 §A.4).
func (p *parser) pixelData(h head, enc coding) error {
	p.f.Pixels = Pixels{Tag: h.tag, Length: int64(h.length)}
	if h.length != undefined {
		return p.skip(h)
	}
	p.f.Pixels = Pixels{Tag: h.tag, Length: -1, Encapsulated: true, Fragments: -1}
	for {
		ih, err := p.head(coding{implicit: true, big: enc.big})
		if err != nil {
			return fmt.Errorf("%v: %w", h.tag, err)
		}
		switch {
		case ih.tag == tagSeqEnd:
			return nil
		case ih.tag != tagItem || ih.length == undefined:
			return fmt.Errorf("%w: pixel data hold %v where a fragment should be", ErrSyntax, ih.tag)
		}
		p.f.Pixels.Fragments++
		if err := p.skip(head{tag: h.tag, length: ih.length}); err != nil {
			return err
		}
	}
}
