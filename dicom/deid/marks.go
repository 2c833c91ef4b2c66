package deid

import (
	"fmt"
	"slices"
	"strings"

	"carepost/dicom"
)

// added is an element that the main data set gets.
type added struct {
	tag   dicom.Tag
	write func(x *rewriter, c coding, h head) error
}

// marked names the elements that say what was done: ours stand in their place.
func marked(t dicom.Tag) bool {
	return t == tagRemoved || t == tagMethod || t == tagMethodCodes || t == tagTemporal
}

// marks says in the data set what was done (PS3.15 E.1.1 step 6, PS3.3 C.7.1.1 and C.12.1). Of pixels that are said to show names nobody
// says that the identity is gone.
func (a *Act) marks(f *dicom.File) []added {
	gone := "YES"
	if burnedIn(f) {
		gone = "NO"
	}
	text := func(s string) func(*rewriter, coding, head) error {
		return func(x *rewriter, c coding, h head) error { return x.out.value(c, h, []byte(s)) }
	}
	temporal := "REMOVED"
	switch {
	case a.options&RetainFullDates != 0:
		temporal = "UNMODIFIED"
	case a.options&RetainModifiedDates != 0:
		temporal = "MODIFIED"
	}
	return []added{
		{tagRemoved, text(gone)},
		{tagMethod, text("Carepost, PS3.15 Annex E")},
		{tagMethodCodes, func(x *rewriter, c coding, h head) error { return x.methods(c, h) }},
		{tagTemporal, text(temporal)},
	}
}

// methods writes the De-identification Method Code Sequence (PS3.16 CID 7050).
func (x *rewriter) methods(c coding, h head) error {
	if err := x.out.head(c, head{tag: h.tag, vr: h.vr, length: undefined}); err != nil {
		return err
	}
	all := append([]option{{code: "113100", meaning: "Basic Application Confidentiality Profile"}}, options...)
	for i, o := range all {
		if i > 0 && x.a.options&o.o == 0 {
			continue
		}
		if err := x.out.head(c, head{tag: tagItem, length: undefined}); err != nil {
			return err
		}
		for _, e := range []struct {
			tag  dicom.Tag
			text string
		}{{0x00080100, o.code}, {0x00080102, "DCM"}, {0x00080104, o.meaning}} {
			v, _ := vrOf(e.tag)
			if err := x.out.value(c, head{tag: e.tag, vr: v}, []byte(e.text)); err != nil {
				return err
			}
		}
		if err := x.out.head(c, head{tag: tagItemEnd}); err != nil {
			return err
		}
	}
	return x.out.head(c, head{tag: tagSequenceEnd})
}

// marks writes the elements of ours that come before t.
func (x *rewriter) marks(c coding, t dicom.Tag) error {
	for len(x.add) > 0 && x.add[0].tag <= t {
		e := x.add[0]
		x.add = x.add[1:]
		v, _ := vrOf(e.tag)
		if err := e.write(x, c, head{tag: e.tag, vr: v}); err != nil {
			return err
		}
	}
	return nil
}

// blocks are the private blocks of the main data set: those that the instance itself says are safe (PS3.3 C.12.1), and where they lie.
type blocks struct {
	said map[string]bool    // "0029 CREATOR"
	at   map[dicom.Tag]bool // group and block number of those that were met
}

func (a *Act) declared(d dicom.DataSet) blocks {
	b := blocks{said: make(map[string]bool), at: make(map[dicom.Tag]bool)}
	e, _ := d.Get(tagSafe)
	for _, item := range e.Items {
		if a.options&RetainSafePrivate != 0 && item.String(0x00080303) == "SAFE" {
			b.said[fmt.Sprintf("%04X %s", item.Int(0x00080301), item.String(0x00080302))] = true
		}
	}
	return b
}

// creator is what reserves a private block (PS3.5 §7.8.1).
func creator(t dicom.Tag) bool { return t>>16&1 == 1 && t&0xFFFF >= 0x10 && t&0xFFFF <= 0xFF }

// meet learns by whom a block is reserved, and says whether the element that does it stays.
func (b blocks) meet(t dicom.Tag, name string) bool {
	if !b.said[fmt.Sprintf("%04X %s", uint32(t>>16), name)] {
		return false
	}
	b.at[t>>16<<16|t&0xFF] = true
	return true
}

// keeps says that an element lies in a safe block.
func (b blocks) keeps(t dicom.Tag) bool {
	return t>>16&1 == 1 && t&0xFFFF > 0xFF && b.at[t>>16<<16|t>>8&0xFF]
}

// burnedIn says that an instance itself says so (PS3.3 C.7.6.1).
func burnedIn(f *dicom.File) bool { return strings.EqualFold(f.Data.String(tagBurned), "YES") }

// captured are the modalities whose pixels come from a screen, from paper or from a camera more often than not.
var captured = []string{"US", "XC", "SC", "OT", "ES", "GM", "OP", "RF", "XA", "IVUS", "ECG", "DOC"}

// examine refuses what a program cannot do, and warns of what it cannot see.
func (a *Act) examine(f *dicom.File, r *Report) error {
	class, under := strings.CutPrefix(f.SOPClass, "1.2.840.10008.5.1.4.1.1.")
	class += "."
	switch {
	case under && strings.HasPrefix(class, "104."), f.Data.String(tagMIME) != "":
		return fmt.Errorf("%w: an encapsulated document", ErrRefused)
	case under && strings.HasPrefix(class, "9.4."): // basic and general audio
		return fmt.Errorf("%w: a recording of voices", ErrRefused)
	case burnedIn(f) && !a.burned:
		return fmt.Errorf("%w: its pixels are said to show names (Burned In Annotation, PS3.3 C.7.6.1)", ErrRefused)
	case f.Lied:
		return fmt.Errorf("%w: it is not written in the transfer syntax that it names", dicom.ErrSyntax)
	}
	switch {
	case burnedIn(f):
		r.warn(WarnBurnedIn, "PS3.3 C.7.6.1", "its pixels are said to show names; they stay as they are, and it is marked as not without identity")
	case f.Data.String(tagBurned) != "NO" && slices.Contains(captured, f.Data.String(tagModality)), under && strings.HasPrefix(class, "7."):
		r.warn(WarnBurnedIn, "PS3.3 C.7.6.1", "names may stand in its pixels: look at it")
	}
	if strings.EqualFold(f.Data.String(tagRecognised), "YES") {
		r.warn(WarnRecognised, "PS3.15 E.3.2", "a face can be recognised in its pixels")
	}
	return nil
}
