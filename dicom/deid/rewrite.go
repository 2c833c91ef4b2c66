package deid

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"

	"carepost/dicom"
)

// rewriter is one instance on its way.
type rewriter struct {
	a    *Act
	in   *input
	out  *output
	r    *Report
	safe blocks  // private blocks of the main data set
	add  []added // elements that the main data set gets, in the order of their tags
	of   string  // the pseudonym of its patient
}

// Rewrite writes the de-identified instance of the Part 10 file r to w, in the same transfer syntax. ErrRefused where a person has to do
// it; errors of dicom where r is no whole instance. After an error w may have got a part that must not be used.
func (a *Act) Rewrite(w io.Writer, r io.ReaderAt, size int64) (*Report, error) {
	report, err := a.rewrite(w, r, size)
	if err != nil {
		return nil, fmt.Errorf("deid: %w", err)
	}
	return report, nil
}

func (a *Act) rewrite(w io.Writer, r io.ReaderAt, size int64) (*Report, error) {
	f, err := dicom.NewScanner(dicom.Options{Wanted: lookedAt}).ScanAt(r, size)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	if err := a.examine(f, report); err != nil {
		return nil, err
	}
	in := &input{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)}
	if err := passMeta(in); err != nil {
		return nil, err
	}
	out := &output{w: bufio.NewWriterSize(w, 64<<10)}
	report.SOPInstance = f.SOPInstance
	if a.options&RetainUIDs == 0 {
		report.SOPInstance = a.uid(f.SOPInstance)
	}
	if err := writeMeta(out, f, report.SOPInstance); err != nil {
		return nil, err
	}
	x := &rewriter{a: a, in: in, out: out, r: report, safe: a.declared(f.Data), add: a.marks(f), of: a.patient(f)}
	c := coding{big: f.Encoding == dicom.ExplicitBig, implicit: f.Encoding == dicom.ImplicitLittle}
	if f.Encoding == dicom.Deflated {
		err = x.deflated()
	} else {
		err = x.main(c)
	}
	if err != nil {
		return nil, err
	}
	return report, out.w.Flush()
}

// deflated rewrites a data set of PS3.5 §A.5.
func (x *rewriter) deflated() error {
	outer := x.out.w
	fr := flate.NewReader(x.in.r)
	defer fr.Close()
	fw, err := flate.NewWriter(outer, flate.DefaultCompression)
	if err != nil {
		return err
	}
	x.in = &input{r: bufio.NewReader(&bounded{fr, dicom.MaxInflated})}
	x.out.w = bufio.NewWriter(fw)
	if err := x.main(coding{}); err != nil {
		var bad flate.CorruptInputError
		if errors.As(err, &bad) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: deflated data set", dicom.ErrCut)
		}
		return err
	}
	err = errors.Join(x.out.w.Flush(), fw.Close())
	x.out.w = outer
	return err
}

// bounded ends in dicom.ErrLimit.
type bounded struct {
	r io.Reader
	n int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n -= int64(n); b.n < 0 {
		return 0, fmt.Errorf("%w: inflated data set", dicom.ErrLimit)
	}
	return n, err
}

// main rewrites the data set of the file.
func (x *rewriter) main(c coding) error {
	for {
		b, err := x.in.r.Peek(8)
		if len(b) < 8 {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if len(b) > 0 && !zeros(b) {
				return fmt.Errorf("%w: it ends inside an element", dicom.ErrCut)
			}
			return x.marks(c, 0xFFFFFFFF)
		}
		if zeros(b) {
			return errors.Join(x.padding(), x.marks(c, 0xFFFFFFFF))
		}
		h, err := x.in.head(c)
		if err != nil {
			return err
		}
		if h.tag>>16 == 0xFFFE { // strays
			continue
		}
		if err := x.marks(c, h.tag); err != nil {
			return err
		}
		if err := x.element(c, h, place{}); err != nil {
			return err
		}
	}
}

// padding passes over zeros at the end of the file; whatever else follows would be lost.
func (x *rewriter) padding() error {
	for {
		b, err := x.in.r.Peek(1)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case b[0] != 0:
			return fmt.Errorf("%w: data after zero padding", dicom.ErrSyntax)
		}
		if _, err := x.in.r.Discard(1); err != nil {
			return err
		}
	}
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// place is where an element stands.
type place struct {
	depth  int
	masked bool // inside a sequence whose texts get dummies
}

// element rewrites one element.
func (x *rewriter) element(c coding, h head, at place) error {
	what := x.a.act(h)
	if at.masked {
		what = mask(h, what)
	}
	if at.depth == 0 && x.safe.keeps(h.tag) {
		what = keep
	}
	if at.depth == 0 && creator(h.tag) && h.length != undefined {
		return x.block(c, h)
	}
	if at.depth == 0 && marked(h.tag) {
		what = remove // ours stand there instead
	}
	x.note(h, what)
	switch {
	case pixels(h.tag) && h.length == undefined:
		return x.fragments(c, h, what)
	case h.sequence():
		return x.sequence(c, h, what, at)
	case h.length == undefined:
		return fmt.Errorf("%w: %v of %v has no length", dicom.ErrSyntax, h.tag, h.vr)
	}
	return x.value(c, h, what)
}

// sequence says that items follow: by the file's own word, or by PS3.6's where the file has none (PS3.5 §6.2.2 note).
func (h head) sequence() bool {
	if h.vr != vr("UN") {
		return h.vr == vr("SQ")
	}
	v, _ := vrOf(h.tag)
	return h.length == undefined || v == vr("SQ")
}

// block decides about the element that reserves a private block, by its value.
func (x *rewriter) block(c coding, h head) error {
	v, err := x.in.short(h.length)
	if err != nil {
		return err
	}
	if !x.safe.meet(h.tag, dicom.Trim(v)) {
		x.r.Removed++
		return nil
	}
	return x.out.value(c, h, v)
}

// note counts, and warns of what a person should know.
func (x *rewriter) note(h head, what action) {
	switch what {
	case keep, masked:
		return
	case remove:
		x.r.Removed++
	default:
		x.r.Replaced++
	}
	if h.tag == tagSignatures {
		x.r.warn(WarnSignature, "PS3.15 B.8", "a digital signature in it would be broken and was taken out: the attestation is lost")
	}
}

func (r *Report) warn(rule, source, text string) {
	for _, w := range r.Warnings {
		if w.Rule == rule {
			return
		}
	}
	r.Warnings = append(r.Warnings, Warning{rule, source, text})
}

// quiet goes through what is not written, so that a broken data set is found out all the same.
func (x *rewriter) quiet(do func() error) error {
	x.out.muted++
	defer func() { x.out.muted-- }()
	return do()
}

// sequence rewrites a sequence with undefined lengths.
func (x *rewriter) sequence(c coding, h head, what action, at place) error {
	if at.depth >= dicom.MaxDepth {
		return fmt.Errorf("%w: sequences more than %d deep", dicom.ErrLimit, dicom.MaxDepth)
	}
	inner := c
	if h.vr == vr("UN") { // PS3.5 §6.2.2 note
		inner = coding{implicit: true}
	}
	in := place{depth: at.depth + 1, masked: at.masked || what == masked}
	if what != keep && what != masked {
		if err := x.quiet(func() error { return x.items(inner, h, in) }); err != nil {
			return err
		}
		h.vr = vr("SQ")
		return x.instead(c, h, what)
	}
	if err := x.out.head(c, head{tag: h.tag, vr: h.vr, length: undefined}); err != nil {
		return err
	}
	if err := x.items(inner, h, in); err != nil {
		return err
	}
	return x.out.head(inner, head{tag: tagSequenceEnd})
}

// items rewrites the items of a sequence.
func (x *rewriter) items(c coding, h head, at place) error {
	end := x.in.pos + int64(h.length)
	for h.length == undefined || x.in.pos < end {
		i, err := x.in.head(c)
		switch {
		case err != nil:
			return err
		case i.tag == tagSequenceEnd && h.length == undefined:
			return nil
		case i.tag == tagSequenceEnd || i.tag == tagItemEnd: // strays
			continue
		case i.tag != tagItem:
			return fmt.Errorf("%w: %v holds %v where an item should be", dicom.ErrSyntax, h.tag, i.tag)
		}
		if err := x.out.head(c, head{tag: tagItem, length: undefined}); err != nil {
			return err
		}
		if err := x.item(c, i, at); err != nil {
			return err
		}
		if err := x.out.head(c, head{tag: tagItemEnd}); err != nil {
			return err
		}
	}
	if x.in.pos > end {
		return fmt.Errorf("%w: an item of %v is longer than its sequence", dicom.ErrSyntax, h.tag)
	}
	return nil
}

func (x *rewriter) item(c coding, i head, at place) error {
	end := x.in.pos + int64(i.length)
	for i.length == undefined || x.in.pos < end {
		h, err := x.in.head(c)
		switch {
		case err != nil:
			return err
		case h.tag == tagItemEnd && i.length == undefined:
			return nil
		case h.tag>>16 == 0xFFFE: // strays
			continue
		}
		if err := x.element(c, h, at); err != nil {
			return err
		}
	}
	if x.in.pos > end {
		return fmt.Errorf("%w: an element is longer than its item", dicom.ErrSyntax)
	}
	return nil
}

// pixels names the elements of PS3.3 C.7.6.3, C.7.6.24 and C.7.6.25.
func pixels(t dicom.Tag) bool { return t == 0x7FE00010 || t == 0x7FE00008 || t == 0x7FE00009 }

// fragments copies encapsulated pixels (PS3.5 §A.4).
func (x *rewriter) fragments(c coding, h head, what action) error {
	if what != keep {
		return x.quiet(func() error { return x.fragments(c, h, keep) })
	}
	if err := x.out.head(c, h); err != nil {
		return err
	}
	for {
		i, err := x.in.head(c)
		if err != nil {
			return err
		}
		if i.tag != tagSequenceEnd && (i.tag != tagItem || i.length == undefined) {
			return fmt.Errorf("%w: pixel data hold %v where a fragment should be", dicom.ErrSyntax, i.tag)
		}
		if err := x.out.head(c, i); err != nil || i.tag == tagSequenceEnd {
			return err
		}
		if err := x.in.copy(x.out, int64(i.length)); err != nil {
			return err
		}
	}
}
