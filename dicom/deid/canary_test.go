package deid

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"carepost/dicom"
)

// What must not be found in any result.
const (
	canaryText = "CANARYTEXT"
	canaryUID  = "1.2.276.0.7230010.3.1.4.77777"
	canaryDate = "19771103"
)

// canary is a value of a VR that would give its owner away.
func canary(v dicom.VR) []byte {
	switch v.String() {
	case "UI":
		return []byte(canaryUID)
	case "DA":
		return []byte(canaryDate)
	case "DT":
		return []byte(canaryDate + "101112")
	case "TM":
		return []byte("101112.131415")
	case "DS", "IS":
		return []byte("777777777")
	case "SQ":
		return nil
	}
	return []byte(canaryText + " ")
}

// maker writes data sets.
type maker struct {
	b   bytes.Buffer
	out *output
	c   coding
}

func newMaker(c coding) *maker {
	m := &maker{c: c}
	m.out = &output{w: bufio.NewWriter(&m.b)}
	return m
}

func (m *maker) value(t dicom.Tag, v dicom.VR, b []byte) {
	_ = m.out.value(m.c, head{tag: t, vr: v}, b)
}

// sequence writes a sequence with one item that holds every listed element, by lengths or without.
func (m *maker) sequence(t dicom.Tag, defined bool, item func(*maker)) {
	inner := newMaker(m.c)
	item(inner)
	b := inner.bytes()
	if defined {
		_ = m.out.head(m.c, head{tag: t, vr: vr("SQ"), length: uint32(len(b) + 8)})
		_ = m.out.head(m.c, head{tag: tagItem, length: uint32(len(b))})
		_ = m.out.bytes(b)
		return
	}
	_ = m.out.head(m.c, head{tag: t, vr: vr("SQ"), length: undefined})
	_ = m.out.head(m.c, head{tag: tagItem, length: undefined})
	_ = m.out.bytes(b)
	_ = m.out.head(m.c, head{tag: tagItemEnd})
	_ = m.out.head(m.c, head{tag: tagSequenceEnd})
}

func (m *maker) bytes() []byte {
	_ = m.out.w.Flush()
	return m.b.Bytes()
}

// listed are the tags of the table that a data set may hold, without the documents that are refused.
func listed() (out []dicom.Tag) {
	for t := range profile {
		if t>>16 > 4 && t != tagDocument {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

// fill writes every element of the table, private ones and unknown ones, and all of it again inside a sequence that stays.
func fill(m *maker, depth int) {
	private := func(group dicom.Tag) {
		m.value(group<<16|0x10, vr("LO"), []byte("CANARYTEXT CREATOR"))
		m.value(group<<16|0x1001, vr("LO"), []byte(canaryText))
		m.sequence(group<<16|0x1002, true, func(in *maker) { in.value(0x00100010, vr("PN"), []byte(canaryText)) })
	}
	inner := dicom.Tag(0x00289110) // Pixel Measures Sequence: not in the table, so it stays
	done := false
	for _, t := range append(listed(), 0xFFFFFFFF) {
		if !done && t > inner {
			done = true
			m.value(0x00280011, vr("US"), []byte{1, 0})
			m.value(0x00287777, vr("LO"), []byte(canaryText)) // not in PS3.6
			if depth < 3 {
				m.sequence(inner, depth%2 == 0, func(in *maker) { fill(in, depth+1) })
			}
			private(0x0029)
		}
		if t == 0xFFFFFFFF {
			return
		}
		v, _ := vrOf(t)
		switch {
		case v == vr("SQ"):
			m.sequence(t, depth%2 == 1, func(in *maker) {
				if basic(t, profile[t], v) != keep { // where items are gone through, a code is what it is
					in.value(0x00080100, vr("SH"), []byte(canaryText))
					in.value(0x00080104, vr("LO"), []byte(canaryText))
				}
				in.value(0x00100010, vr("PN"), []byte(canaryText))
				in.value(0x00081155, vr("UI"), []byte(canaryUID))
			})
		default:
			m.value(t, v, canary(v))
		}
	}
}

// DCM-25, PS3.15 E.1: nothing that the table speaks of or nobody knows is left anywhere: at the top, in sequences, in private elements, in any transfer syntax.
func TestCanary(t *testing.T) {
	for name, c := range map[string]struct {
		coding
		syntax string
	}{
		"implicit": {coding{implicit: true}, dicom.ImplicitLittle}, "explicit": {coding{}, dicom.ExplicitLittle},
		"big endian": {coding{big: true}, dicom.ExplicitBig}, "deflated": {coding{}, dicom.Deflated},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMaker(c.coding)
			fill(m, 0)
			b := instance(t, c.syntax, m.bytes())
			a, err := NewAct(0, bytes.Repeat([]byte{1}, KeySize), false)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			r, err := a.Rewrite(&out, bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			plain := out.Bytes()
			if c.syntax == dicom.Deflated {
				plain = inflated(t, plain)
			}
			for _, s := range []string{canaryText, canaryUID, canaryDate, "101112", "777777777"} {
				if at := bytes.Index(plain, []byte(s)); at >= 0 {
					t.Errorf("%s is still there: %q", s, plain[max(0, at-40):min(len(plain), at+40)])
				}
			}
			if _, err := dicom.NewScanner(dicom.Options{Walk: true}).ScanAt(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
				t.Error(err)
			}
			if !slices.ContainsFunc(r.Warnings, func(w Warning) bool { return w.Rule == WarnSignature }) {
				t.Error("no word of the signature")
			}
		})
	}
}

// instance makes a Part 10 file of a data set.
func instance(t *testing.T, syntax string, set []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	out := &output{w: bufio.NewWriter(&b)}
	f := &dicom.File{SOPClass: "1.2.840.10008.5.1.4.1.1.2", TransferSyntax: syntax}
	if err := writeMeta(out, f, canaryUID); err != nil {
		t.Fatal(err)
	}
	_ = out.w.Flush()
	if syntax != dicom.Deflated {
		return append(b.Bytes(), set...)
	}
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(set); err != nil || w.Close() != nil {
		t.Fatal("deflate")
	}
	return b.Bytes()
}

func inflated(t *testing.T, b []byte) []byte {
	t.Helper()
	in := &input{r: bufio.NewReader(bytes.NewReader(b))}
	if err := passMeta(in); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(flate.NewReader(in.r)); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), b[:300]...)
}

// One act keeps what belongs together together; two acts have nothing in common.
func TestAct(t *testing.T) {
	a, _ := NewAct(RetainModifiedDates, bytes.Repeat([]byte{1}, KeySize), false)
	b, _ := NewAct(RetainModifiedDates, bytes.Repeat([]byte{2}, KeySize), false)
	again, _ := NewAct(RetainModifiedDates, bytes.Repeat([]byte{1}, KeySize), false)
	if a.uid(canaryUID) != again.uid(canaryUID) || a.uid(canaryUID) == b.uid(canaryUID) || a.uid("1.2.3") == a.uid("1.2.4") {
		t.Error("UIDs")
	}
	if u := a.uid(canaryUID); !dicom.ValidUID(u) || !strings.HasPrefix(u, "2.25.") {
		t.Errorf("%q is no UID", u)
	}
	if u := "1.2.840.10008.1.4.1.1"; a.uid(u) != u {
		t.Error("a UID of the standard was mapped")
	}
	if a.pseudonym("patient", "1") == a.pseudonym("patient", "2") || a.pseudonym("patient", "1") == b.pseudonym("patient", "1") || a.pseudonym("patient", "1") != again.pseudonym("patient", "1") {
		t.Error("pseudonyms")
	}
	for _, c := range []struct {
		vr, was string
		ok      bool
	}{{"DA", "20240229", true}, {"DA", "2024.02.29", true}, {"DT", "20240229101112.5+0100", true}, {"DA", `20240229\20240301`, true}, {"DA", "2024", false}, {"DT", "202402", false}, {"DA", "Ann", false}} {
		got, ok := a.shift(vr(c.vr), c.was)
		if ok != c.ok || ok && got == c.was {
			t.Errorf("%s %s: %s %v", c.vr, c.was, got, ok)
		}
	}
	first, _ := a.shift(vr("DA"), "20240101")
	second, _ := a.shift(vr("DA"), "20240111")
	if fmt.Sprint(days(t, second)-days(t, first)) != "10" {
		t.Errorf("%s and %s are not ten days apart", first, second)
	}
	if _, err := NewAct(RetainModifiedDates|RetainFullDates, make([]byte, KeySize), false); err == nil {
		t.Error("dates both kept and moved")
	}
}

func days(t *testing.T, s string) int64 {
	t.Helper()
	d, err := time.Parse("20060102", s)
	if err != nil {
		t.Fatal(err)
	}
	return d.Unix() / 86400
}

// Texts of anatomy and technique stay when descriptors are cleaned; anything else does not.
func TestWords(t *testing.T) {
	for text, want := range map[string]bool{"CT Thorax w contrast 5 mm": true, "T2 axial, right knee": true, "Panoramic": true, "": true,
		"Thorax Berg": false, "knee 19800229": false, "for Dr. Who": false, "MRT Schädel": false} {
		if known(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// Private elements stay where the instance says that they are safe, and nowhere else.
func TestSafePrivate(t *testing.T) {
	m := newMaker(coding{})
	m.sequence(tagSafe, true, func(in *maker) {
		in.value(0x00080301, vr("US"), []byte{0x29, 0})
		in.value(0x00080302, vr("LO"), []byte("SAFE ONE"))
		in.value(0x00080303, vr("CS"), []byte("SAFE"))
	})
	m.value(0x00290010, vr("LO"), []byte("OTHER"))
	m.value(0x00290011, vr("LO"), []byte("SAFE ONE"))
	m.value(0x00291001, vr("LO"), []byte("GOES"))
	m.value(0x00291101, vr("LO"), []byte("STAYS"))
	b := instance(t, dicom.ExplicitLittle, m.bytes())
	for o, want := range map[Option]bool{0: false, RetainSafePrivate: true} {
		a, _ := NewAct(o, make([]byte, KeySize), false)
		var out bytes.Buffer
		if _, err := a.Rewrite(&out, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte("STAYS")) != want || bytes.Contains(out.Bytes(), []byte("GOES")) || bytes.Contains(out.Bytes(), []byte("OTHER")) {
			t.Errorf("%v: %q", o, out.Bytes()[300:])
		}
	}
}
