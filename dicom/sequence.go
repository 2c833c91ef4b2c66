package dicom

import "fmt"

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
