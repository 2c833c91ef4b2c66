package deid

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"carepost/dicom"
)

// rewritten gives the data set that comes out of an instance, and what was said.
func rewritten(t *testing.T, o Option, b []byte) ([]byte, *Report) {
	t.Helper()
	var out bytes.Buffer
	r, err := newAct(t, o).Rewrite(&out, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), r
}

// unlisted are the elements of PS3.6 that the table does not speak of, with their VRs.
func unlisted(each func(dicom.Tag, dicom.VR)) {
	for i := 0; i < len(elements); i += entry {
		var t dicom.Tag
		for _, c := range elements[i : i+8] {
			t = t<<4 | dicom.Tag(strings.IndexRune("0123456789ABCDEF", c))
		}
		if _, listed := profile[t]; !listed && t>>16 >= 8 {
			each(t, dicom.VR{elements[i+8], elements[i+9]})
		}
	}
}

// What the table passes over, a person may stand in as well: no name, address, free text, UID or date is left, in the VR of PS3.6 or as UN.
func TestBeyondTable(t *testing.T) {
	secret := map[string]bool{"PN": true, "UR": true, "LT": true, "ST": true, "UT": true, "UI": true, "DA": true, "DT": true, "TM": true}
	for _, as := range []string{"", "UN"} {
		m, n := newMaker(coding{}), 0
		unlisted(func(tag dicom.Tag, v dicom.VR) {
			what, named := personal[tag]
			if exempt[tag] || !secret[v.String()] && !named || tag == tagDocument || tag == tagMIME || v == vr("SQ") || what == keep && named {
				return
			}
			n++
			if value := canary(v); as == "" {
				m.value(tag, v, value)
			} else {
				m.value(tag, vr(as), value)
			}
		})
		if n < 200 {
			t.Fatalf("%d elements", n)
		}
		set := m.bytes()
		nested := newMaker(coding{})
		nested.value(0x00080060, vr("CS"), []byte("CT"))
		nested.sequence(0x00289110, false, func(in *maker) { _ = in.out.bytes(set) })
		for where, b := range map[string][]byte{"top": set, "nested": nested.bytes()} {
			out, _ := rewritten(t, 0, instance(t, dicom.ExplicitLittle, b))
			for _, s := range []string{canaryText, canaryUID, canaryDate, "101112"} {
				if at := bytes.Index(out, []byte(s)); at >= 0 {
					t.Errorf("%s as %q: %s is still there: %q", where, as, s, out[max(0, at-20):min(len(out), at+40)])
				}
			}
		}
	}
}

// An element is what PS3.6 says it is, whatever VR the file gives it; what belongs to no data set goes.
func TestLyingVR(t *testing.T) {
	item, implicit := newMaker(coding{}), newMaker(coding{implicit: true})
	for _, m := range []*maker{item, implicit} {
		m.value(0x00100010, vr("PN"), []byte(canaryText))
	}
	for name, fill := range map[string]func(m *maker){
		"a sequence as bytes":          func(m *maker) { m.value(0x00081140, vr("OB"), item.bytes()) },
		"an unlisted sequence as text": func(m *maker) { m.value(0x00289110, vr("UT"), item.bytes()) },
		"a name as a code":             func(m *maker) { m.value(0x00142006, vr("CS"), []byte(canaryText)) },
		"a name as unknown":            func(m *maker) { m.value(0x00142006, vr("UN"), []byte(canaryText)) },
		"a name without a length":      func(m *maker) { m.unknown(0x00142006, implicit.bytes()) },
		"a group of files": func(m *maker) {
			m.sequence(0x00289110, true, func(in *maker) { in.value(0x00020102, vr("OB"), []byte(canaryText)) })
		},
		"a group of directories": func(m *maker) { m.value(0x00041500, vr("CS"), []byte(canaryText)) },
		"encrypted originals": func(m *maker) {
			m.sequence(0x04000500, true, func(in *maker) { in.value(0x04000520, vr("OB"), []byte(canaryText)) })
		},
		"the birth in another calendar": func(m *maker) { m.value(0x00100033, vr("LO"), []byte(canaryText)) },
		"the source of a concatenation": func(m *maker) { m.value(0x00200242, vr("UI"), []byte(canaryText)) },
	} {
		for _, o := range []Option{0, CleanDescriptors | CleanStructured | CleanGraphics | RetainModifiedDates | RetainPatient} {
			m := newMaker(coding{})
			m.value(0x00080060, vr("CS"), []byte("CT"))
			fill(m)
			m.value(0x00420010, vr("ST"), []byte("THORAX"))
			out, _ := rewritten(t, o, instance(t, dicom.ExplicitLittle, m.bytes()))
			if bytes.Contains(out, []byte(canaryText)) {
				t.Errorf("%s (%v): it is still there", name, o)
			}
			if !bytes.Contains(out, []byte("THORAX")) {
				t.Errorf("%s (%v): what follows is lost", name, o)
			}
			if _, err := dicom.NewScanner(dicom.Options{Walk: true}).ScanAt(bytes.NewReader(out), int64(len(out))); err != nil {
				t.Errorf("%s (%v): %v", name, o, err)
			}
		}
	}
}

// unknown writes an element of unknown VR and length, with an item of b.
func (m *maker) unknown(t dicom.Tag, b []byte) {
	_ = m.out.head(m.c, head{tag: t, vr: vr("UN"), length: undefined})
	_ = m.out.head(m.c, head{tag: tagItem, length: uint32(len(b))})
	_ = m.out.bytes(b)
	_ = m.out.head(m.c, head{tag: tagSequenceEnd})
}

// In cleaned content a text is a text in any VR.
func TestMaskedLyingVR(t *testing.T) {
	m := newMaker(coding{})
	m.sequence(tagContent, true, func(in *maker) {
		in.value(0x0040A160, vr("CS"), []byte(canaryText))
		in.value(0x0040A30A, vr("LO"), []byte(canaryText))
	})
	out, _ := rewritten(t, CleanStructured, instance(t, dicom.ExplicitLittle, m.bytes()))
	if bytes.Contains(out, []byte(canaryText)) {
		t.Errorf("it is still there: %q", out[300:])
	}
}

// A sequence of unknown VR that becomes another one is written so that it can be read.
func TestUnknownVRReplaced(t *testing.T) {
	m, item := newMaker(coding{}), newMaker(coding{implicit: true})
	item.value(0x0040A160, vr("UT"), []byte(canaryText))
	m.value(0x00080060, vr("CS"), []byte("SR"))
	m.unknown(tagContent, item.bytes())
	out, _ := rewritten(t, 0, instance(t, dicom.ExplicitLittle, m.bytes()))
	f, err := dicom.NewScanner(dicom.Options{Wanted: []dicom.Tag{tagContent}, Walk: true}).ScanAt(bytes.NewReader(out), int64(len(out)))
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := f.Data.Get(tagContent); len(e.Items) != 1 || e.Items[0].String(0x0040A160) != "Removed" {
		t.Errorf("%+v", e)
	}
}

// Shifted times are times, and nothing that stands where a time should.
func TestShiftNothingElse(t *testing.T) {
	m := newMaker(coding{})
	m.value(0x00080023, vr("DA"), []byte("00010101"))
	m.value(0x0008002A, vr("DT"), []byte("20240101"+canaryText))
	m.value(0x00080033, vr("TM"), []byte(canaryText))
	m.value(0x00080404, vr("DT"), []byte("20240101"))
	out, _ := rewritten(t, RetainModifiedDates, instance(t, dicom.ExplicitLittle, m.bytes()))
	f, err := dicom.NewScanner(dicom.Options{Wanted: []dicom.Tag{0x00080023}, Walk: true}).ScanAt(bytes.NewReader(out), int64(len(out)))
	if err != nil || f.Data.String(0x00080023) != "19000101" || bytes.Contains(out, []byte("CANARY")) || bytes.Contains(out, []byte("20240101")) {
		t.Errorf("%v %q", err, out[300:])
	}
}

// Two patients without an ID do not become one.
func TestNoPatientID(t *testing.T) {
	a := newAct(t, 0)
	id := func(patient, study string) string {
		m := newMaker(coding{})
		m.value(tagPatientID, vr("LO"), []byte(patient))
		m.value(tagStudy, vr("UI"), []byte(study))
		b := instance(t, dicom.ExplicitLittle, m.bytes())
		var out bytes.Buffer
		if _, err := a.Rewrite(&out, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		f, err := dicom.NewScanner(dicom.Options{Wanted: []dicom.Tag{tagPatientID}}).ScanAt(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		return f.Data.String(tagPatientID)
	}
	if id("", "1.2.3") == id("", "1.2.4") || id("", "1.2.3") != id(" ", "1.2.3") || id("7", "1.2.3") != id("7 ", "1.2.4") || id("1.2.3", "1") == id("", "1.2.3") {
		t.Error("pseudonyms do not go by patient")
	}
}

// A UID under the root of the standard that the standard never gave is somebody's.
func TestStandardUIDs(t *testing.T) {
	a := newAct(t, 0)
	for uid, stays := range map[string]bool{"1.2.840.10008.1.4.1.1": true, "1.2.840.10008.15.1.1": true, "1.2.840.10008.1.5.1": true, "1.2.840.10008.6.1.1472": true,
		"1.2.840.10008.5.1.4.1.1.2.20240229101112.7": false, "1.2.840.100089.1": false} {
		if (a.uid(uid) == uid) != stays {
			t.Errorf("%s: %s", uid, a.uid(uid))
		}
	}
}

// What a person has to look at is refused or told.
func TestExamine(t *testing.T) {
	made := func(class, burned, modality string, set func(*maker)) []byte {
		if len(class)%2 == 1 {
			class += "\x00"
		}
		m := newMaker(coding{})
		m.value(tagSOPClass, vr("UI"), []byte(class))
		m.value(tagModality, vr("CS"), []byte(modality))
		m.value(tagBurned, vr("CS"), []byte(burned))
		if set != nil {
			set(m)
		}
		return bytes.Replace(instance(t, dicom.ExplicitLittle, m.bytes()), []byte("UI\x1a\x001.2.840.10008.5.1.4.1.1.2\x00"), append([]byte{'U', 'I', byte(len(class)), 0}, class...), 1)
	}
	voice := made("1.2.840.10008.5.1.4.1.1.9.4.1", "", "AU", nil)
	if _, err := newAct(t, 0).Rewrite(&bytes.Buffer{}, bytes.NewReader(voice), int64(len(voice))); !errors.Is(err, ErrRefused) {
		t.Errorf("voice: %v", err)
	}
	for _, burned := range []string{"YES", "yes "} {
		b := made("1.2.840.10008.5.1.4.1.1.2", burned, "CT", nil)
		if _, err := newAct(t, 0).Rewrite(&bytes.Buffer{}, bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", burned, err)
		}
		a, _ := NewAct(0, bytes.Repeat([]byte{1}, KeySize), true)
		var out bytes.Buffer
		r, err := a.Rewrite(&out, bytes.NewReader(b), int64(len(b)))
		if err != nil || len(r.Warnings) != 1 {
			t.Fatalf("%q: %v", burned, err)
		}
		f, _ := dicom.NewScanner(dicom.Options{Wanted: []dicom.Tag{tagRemoved}}).ScanAt(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if f.Data.String(tagRemoved) != "NO" { // PS3.3 C.7.1.1: from the attributes and the pixels
			t.Errorf("%q: Patient Identity Removed is %q", burned, f.Data.String(tagRemoved))
		}
	}
	for class, warned := range map[string]bool{"1.2.840.10008.5.1.4.1.1.7.4": true, "1.2.840.10008.5.1.4.1.1.7": true, "1.2.840.10008.5.1.4.1.1.78.1": false} {
		if _, r := rewritten(t, 0, made(class, "", "AR", nil)); (len(r.Warnings) > 0) != warned {
			t.Errorf("%s: %v", class, r.Warnings)
		}
	}
	// A signature that goes with what it stands in is lost as well.
	_, r := rewritten(t, 0, made("1.2.840.10008.5.1.4.1.1.2", "NO", "CT", func(m *maker) {
		m.sequence(0x04000561, true, func(in *maker) {
			in.sequence(tagSignatures, true, func(in *maker) { in.value(0x04000015, vr("CS"), []byte("MD5")) })
		})
	}))
	if len(r.Warnings) != 1 || r.Warnings[0].Rule != WarnSignature {
		t.Errorf("%v", r.Warnings)
	}
}

// What is cut or goes on behind its end is said to be damaged: it is no use to try again.
func TestDamaged(t *testing.T) {
	m := newMaker(coding{})
	m.value(0x00080060, vr("CS"), []byte("CT"))
	for i := range dicom.Tag(2000) {
		m.value(0x00420010+i<<16, vr("ST"), []byte("a text"))
	}
	deflated := instance(t, dicom.Deflated, m.bytes())
	plain := newMaker(coding{})
	plain.value(0x00080060, vr("CS"), []byte("CT"))
	plain.value(0x00281050, vr("DS"), []byte("40"))
	behind := append(instance(t, dicom.ExplicitLittle, plain.bytes()), make([]byte, 16)...)
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"a cut deflated data set":     {deflated[:len(deflated)-100], dicom.ErrCut},
		"a damaged deflated data set": {append(bytes.Clone(deflated[:len(deflated)-100]), bytes.Repeat([]byte{0xFF}, 100)...), dicom.ErrSyntax},
		"data after zeros":            {append(behind, plain.bytes()...), dicom.ErrSyntax},
	} {
		_, err := newAct(t, 0).Rewrite(&bytes.Buffer{}, bytes.NewReader(tc.b), int64(len(tc.b)))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rewritten(t, 0, behind)
}
