package deid

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"carepost/dicom"
)

const undefined = 0xFFFFFFFF

// coding says how elements are written; the zero value is Explicit VR Little Endian.
type coding struct{ big, implicit bool }

func (c coding) order() byteOrder {
	if c.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// head is what stands before a value.
type head struct {
	tag    dicom.Tag
	vr     dicom.VR // as the file has it; of the dictionary where the file has none
	length uint32
	known  bool // to PS3.6
}

// input reads elements and knows where it is.
type input struct {
	r   *bufio.Reader
	pos int64
	buf [12]byte
}

func (in *input) full(b []byte) error {
	n, err := io.ReadFull(in.r, b)
	in.pos += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends inside an element", dicom.ErrCut)
	}
	return err
}

// head reads an element's tag, VR and length (PS3.5 §7.1.2, §7.1.3).
func (in *input) head(c coding) (h head, err error) {
	b := in.buf[:8]
	if err := in.full(b); err != nil {
		return h, err
	}
	o := c.order()
	h.tag = dicom.Tag(uint32(o.Uint16(b))<<16 | uint32(o.Uint16(b[2:])))
	h.vr, h.known = vrOf(h.tag)
	said := dicom.VR{b[4], b[5]}
	switch {
	case h.tag>>16 == 0xFFFE || c.implicit:
		h.length = o.Uint32(b[4:])
	case !letters(said):
		return h, fmt.Errorf("%w: %v has no value representation", dicom.ErrSyntax, h.tag)
	case said.Short():
		h.vr, h.length = said, uint32(o.Uint16(b[6:]))
	default:
		if err := in.full(in.buf[8:12]); err != nil {
			return h, err
		}
		h.vr, h.length = said, o.Uint32(in.buf[8:])
	}
	return h, nil
}

func letters(v dicom.VR) bool { return 'A' <= v[0] && v[0] <= 'Z' && 'A' <= v[1] && v[1] <= 'Z' }

// output writes elements, or only pretends to, while it is muted.
type output struct {
	w     *bufio.Writer
	muted int
}

func (out *output) bytes(b []byte) error {
	if out.muted > 0 {
		return nil
	}
	_, err := out.w.Write(b)
	return err
}

// head writes what stands before a value.
func (out *output) head(c coding, h head) error {
	o := c.order()
	b := o.AppendUint16(make([]byte, 0, 12), uint16(h.tag>>16))
	b = o.AppendUint16(b, uint16(h.tag))
	switch {
	case h.tag>>16 == 0xFFFE || c.implicit:
		b = o.AppendUint32(b, h.length)
	case h.vr.Short():
		b = o.AppendUint16(append(b, h.vr[:]...), uint16(h.length))
	default:
		b = o.AppendUint32(append(b, h.vr[0], h.vr[1], 0, 0), h.length)
	}
	return out.bytes(b)
}

// value writes an element whole; a value of odd length is padded.
func (out *output) value(c coding, h head, v []byte) error {
	if len(v)%2 == 1 {
		v = append(v, h.vr.Pad())
	}
	h.length = uint32(len(v))
	if err := out.head(c, h); err != nil {
		return err
	}
	return out.bytes(v)
}

// copy copies n bytes, or passes over them while out is muted.
func (in *input) copy(out *output, n int64) error {
	var w io.Writer = out.w
	if out.muted > 0 {
		w = io.Discard
	}
	done, err := io.CopyN(w, in.r, n)
	in.pos += done
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %d bytes are not all there", dicom.ErrCut, n)
	}
	return err
}

// short reads a value that is to be looked at; one that is longer than any of its kind is passed over and comes back empty.
func (in *input) short(n uint32) ([]byte, error) {
	if n > maxShort {
		return nil, in.copy(&output{muted: 1}, int64(n))
	}
	b := make([]byte, n)
	return b, in.full(b)
}

// maxShort is how long a value may be that is looked at: a list of UIDs, a text.
const maxShort = 64 << 10
