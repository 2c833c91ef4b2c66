package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// Transfer syntaxes that decide how a data set is read. Every other one is Explicit VR Little Endian (PS3.5 §A.4).
const (
	ImplicitLittle = "1.2.840.10008.1.2"
	ExplicitLittle = "1.2.840.10008.1.2.1"
	Deflated       = "1.2.840.10008.1.2.1.99"
	ExplicitBig    = "1.2.840.10008.1.2.2"
)

// Match names an item of a sequence by the value of one of its elements.
type Match struct {
	Tag   Tag
	Value string
}

// Options of Scan. The zero value keeps nothing but the file meta group and stops at once after it.
type Options struct {
	Wanted  []Tag                               // elements of the data set to keep, sequences whole
	Only    map[Tag]Match                       // of these wanted sequences keep only the items that match
	Each    Tag                                 // items of this sequence go to Item rather than being kept
	Item    func(offset int64, d DataSet) error // offset of the item's tag from the start of the file
	Walk    bool                                // go on to the end, so that a cut file is found out
	MaxKept int64                               // bytes, of one item where Item takes them; 0 = DefaultMaxKept
	Brief   bool                                // what a scan gives is good until the next one: less memory is asked for

	// Inflated is what the deflated data sets of many files may still grow to together, in bytes; nil = MaxInflated each.
	Inflated *atomic.Int64
}

// Pixels says how the pixel data are there.
type Pixels struct {
	Tag          Tag   // 0 when there are none
	Length       int64 // of native pixel data; -1 when encapsulated
	Fragments    int   // of encapsulated ones, the offset table not counted
	Encapsulated bool
}

// File is what Scan kept of a Part 10 file.
type File struct {
	Meta, Data     DataSet
	SOPClass       string // (0002,0002), PS3.10 §7.1
	SOPInstance    string // (0002,0003)
	TransferSyntax string // (0002,0010), as the file has it; "" when absent
	Encoding       string // how the data set is encoded in truth: one of the four constants
	Lied           bool   // Encoding is not what TransferSyntax promises
	Unordered      bool   // tags do not rise (PS3.5 §7.1)
	Signed         bool   // with Walk: it carries digital signatures (PS3.15 C), of the whole or of items
	Preamble       [128]byte
	Pixels         Pixels // with Walk
	Trailing       int64  // zero bytes after the last element
}

// Scanner scans one file after another with the same buffers. It is for one goroutine.
type Scanner struct {
	o      Options
	wanted map[Tag]bool
	last   Tag
	buf    []byte
	inner  []byte
	brief  File   // Brief: the one that every scan gives
	small  []byte // Brief: of its values
}

// NewScanner prepares to scan with o.
func NewScanner(o Options) *Scanner {
	s := &Scanner{o: o, wanted: make(map[Tag]bool), buf: make([]byte, 16<<10)}
	if o.MaxKept == 0 {
		s.o.MaxKept = DefaultMaxKept
	}
	for _, t := range o.Wanted {
		s.wanted[t] = true
		s.last = max(s.last, t)
	}
	if o.Each != 0 {
		s.wanted[o.Each] = true
		s.last = max(s.last, o.Each)
	}
	return s
}

// Scan reads a file from a stream; what is not wanted is read and forgotten.
func (s *Scanner) Scan(r io.Reader) (*File, error) {
	return s.scan(&source{r: r, size: -1, buf: s.buf})
}

// ScanAt reads a file of size bytes; what is not wanted is passed over without reading.
func (s *Scanner) ScanAt(r io.ReaderAt, size int64) (*File, error) {
	return s.scan(&source{at: r, size: size, buf: s.buf})
}

func (s *Scanner) scan(src *source) (*File, error) {
	f := s.file()
	if s.o.Brief {
		src.small = s.small[:0]
		defer func() { s.small = src.small }()
	}
	p := &parser{s: s, src: src, f: f, room: s.o.MaxKept}
	if err := p.preamble(); err != nil {
		return nil, err
	}
	if err := p.meta(); err != nil {
		return nil, err
	}
	f.SOPClass, f.SOPInstance, f.TransferSyntax = f.Meta.String(0x00020002), f.Meta.String(0x00020003), f.Meta.String(0x00020010)
	if err := p.body(); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it ends inside an element", ErrCut)
		}
		return nil, err
	}
	return f, nil
}

// file gives an empty one to fill.
func (s *Scanner) file() *File {
	if s.o.Brief && s.brief.Meta != nil {
		clear(s.brief.Meta)
		clear(s.brief.Data)
		s.brief = File{Meta: s.brief.Meta[:0], Data: s.brief.Data[:0]}
		return &s.brief
	}
	f := File{Meta: make(DataSet, 0, 8), Data: make(DataSet, 0, min(len(s.wanted), 32))}
	if s.o.Brief {
		s.brief = f
		return &s.brief
	}
	return &f
}

// preamble reads the 128 bytes and DICM of PS3.10 §7.1. Without them it says what else is there, if that is plain.
func (p *parser) preamble() error {
	b, err := p.src.peek(132)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case len(b) == 0:
		return ErrEmpty
	case len(b) >= 132 && string(b[128:132]) == "DICM":
		copy(p.f.Preamble[:], b)
		p.src.pass(132)
		return nil
	}
	if len(b) >= 8 && (b[0] == 2 || b[0] == 8) && b[1] == 0 || len(b) >= 4 && string(b[:4]) == "DICM" {
		return ErrBare
	}
	return ErrNotDICOM
}

// meta reads group 0002, Explicit VR Little Endian, by its elements rather than by its length, which may lack (PS3.10 §7.1).
func (p *parser) meta() error {
	for n := 0; ; n++ {
		b, err := p.src.peek(8)
		if len(b) < 8 {
			return ignoreEOF(err)
		}
		if binary.LittleEndian.Uint16(b) != 2 {
			return nil
		}
		h, err := p.head(coding{})
		if err != nil {
			return err
		}
		if h.length == undefined || int64(h.length) > p.room || n > 200 {
			return fmt.Errorf("%w: file meta group", ErrSyntax)
		}
		v, err := p.keep(int64(h.length))
		if err != nil {
			return err
		}
		p.f.Meta = append(p.f.Meta, Element{Tag: h.tag, VR: h.vr, Value: v})
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// body finds out how the data set is encoded, and reads it.
func (p *parser) body() error {
	b, err := p.src.peek(8)
	if err := ignoreEOF(err); err != nil {
		return err
	}
	promised := ExplicitLittle
	switch ts := p.f.TransferSyntax; ts {
	case ImplicitLittle, ExplicitBig, Deflated:
		promised = ts
	}
	p.f.Encoding = sniff(b, promised)
	p.f.Lied = p.f.Encoding != promised && p.f.TransferSyntax != ""
	enc := coding{big: p.f.Encoding == ExplicitBig, implicit: p.f.Encoding == ImplicitLittle}
	if p.f.Encoding == Deflated {
		return p.deflated()
	}
	return p.top(enc)
}

// sniff looks at the first element. The promise holds unless the bytes speak clearly against it.
func sniff(b []byte, promised string) string {
	if len(b) < 8 {
		return promised
	}
	explicit := VR{b[4], b[5]}.valid() && known(VR{b[4], b[5]})
	little := binary.LittleEndian.Uint16(b) <= 0x00FF && b[0] != 0 && b[1] == 0
	big := b[0] == 0 && b[1] != 0
	switch {
	case little && explicit:
		return ExplicitLittle
	case big && explicit:
		return ExplicitBig
	case promised != Deflated && little && !explicit && binary.LittleEndian.Uint32(b[4:]) <= 0xFFFF:
		return ImplicitLittle
	}
	return promised
}

// known says that v is a VR of PS3.5 §6.2: stricter than valid, for guessing.
func known(v VR) bool {
	switch v.String() {
	case "OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UR", "UT", "UN", "SV", "UV":
		return true
	}
	return v.short()
}

// deflated reads a data set of PS3.5 §A.5 through an inflater.
func (p *parser) deflated() error {
	outer := p.src
	if p.s.inner == nil {
		p.s.inner = make([]byte, 16<<10)
	}
	fr := flate.NewReader(&rest{outer})
	defer fr.Close()
	p.src = &source{r: &capped{fr, MaxInflated, p.s.o.Inflated}, size: -1, buf: p.s.inner}
	err := p.top(coding{})
	var bad flate.CorruptInputError
	if errors.As(err, &bad) {
		return fmt.Errorf("%w: deflated data set", ErrCut)
	}
	return err
}

// rest reads what follows in a source; it has ReadByte so that the inflater takes no more than its own.
type rest struct{ s *source }

func (r *rest) Read(p []byte) (int, error) {
	b, err := r.s.peek(1)
	if len(b) == 0 {
		return 0, err
	}
	n := copy(p, r.s.buf[r.s.lo:r.s.hi])
	r.s.pass(n)
	return n, nil
}

func (r *rest) ReadByte() (byte, error) {
	b, err := r.s.peek(1)
	if len(b) == 0 {
		return 0, err
	}
	r.s.pass(1)
	return b[0], nil
}
