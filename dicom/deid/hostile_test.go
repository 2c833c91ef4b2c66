package deid

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"carepost/dicom"
)

// A data set that is cut anywhere is never taken for whole.
func TestCut(t *testing.T) {
	m := newMaker(coding{})
	m.value(0x00100010, vr("PN"), []byte("A^B "))
	m.sequence(0x00289110, false, func(in *maker) { in.value(0x00280011, vr("US"), []byte{1, 0}) })
	m.sequence(0x00289111, true, func(in *maker) { in.value(0x00280011, vr("US"), []byte{1, 0}) })
	set := m.bytes()
	whole := instance(t, dicom.ExplicitLittle, set)
	ends := map[int]bool{len(set): true, 0: true, 12: true, 12 + 12 + 8 + 10 + 8 + 8: true} // between two elements
	for n := range set {
		b := whole[:len(whole)-len(set)+n]
		_, err := newAct(t, 0).Rewrite(&bytes.Buffer{}, bytes.NewReader(b), int64(len(b)))
		if err == nil != ends[n] {
			t.Errorf("cut after %d octets: %v", n, err)
		}
	}
}

func newAct(t testing.TB, o Option) *Act {
	t.Helper()
	a, err := NewAct(o, make([]byte, KeySize), false)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Sequences inside one another end at the depth that the scanner allows.
func TestDepth(t *testing.T) {
	m := newMaker(coding{})
	for range 1000 {
		_ = m.out.head(m.c, head{tag: 0x00289110, vr: vr("SQ"), length: undefined})
		_ = m.out.head(m.c, head{tag: tagItem, length: undefined})
	}
	b := instance(t, dicom.ExplicitLittle, m.bytes())
	if _, err := newAct(t, 0).Rewrite(&bytes.Buffer{}, bytes.NewReader(b), int64(len(b))); err == nil {
		t.Error("taken")
	}
}

// Cleaned reports keep codes and numbers and lose texts, names and times.
func TestStructured(t *testing.T) {
	m := newMaker(coding{})
	m.sequence(tagContent, true, func(in *maker) {
		in.value(0x0040A121, vr("DA"), []byte(canaryDate))
		in.value(0x0040A123, vr("PN"), []byte(canaryText))
		in.value(0x0040A160, vr("UT"), []byte(canaryText))
		in.sequence(0x0040A168, false, func(code *maker) {
			code.value(0x00080100, vr("SH"), []byte("T-28000"))
			code.value(0x00080104, vr("LO"), []byte("Lung"))
		})
		in.value(0x0040A30A, vr("DS"), []byte("42.125"))
	})
	b := instance(t, dicom.ExplicitLittle, m.bytes())
	for o, stays := range map[Option]bool{0: false, CleanStructured: true} {
		var out bytes.Buffer
		if _, err := newAct(t, o).Rewrite(&out, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		for _, gone := range []string{canaryText, canaryDate} {
			if bytes.Contains(out.Bytes(), []byte(gone)) {
				t.Errorf("%v: %s is still there", o, gone)
			}
		}
		for _, s := range []string{"T-28000", "Lung", "42.125"} {
			if bytes.Contains(out.Bytes(), []byte(s)) != stays {
				t.Errorf("%v: %s there: %v", o, s, !stays)
			}
		}
	}
}

func FuzzRewrite(f *testing.F) {
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	all, _ := filepath.Glob(filepath.Join(dir, "dicom", "files", "*.dcm"))
	for _, path := range all {
		if b, err := os.ReadFile(path); err == nil && len(b) < 12<<10 {
			f.Add(b, uint16(0))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, o uint16) {
		a, err := NewAct(Option(o), make([]byte, KeySize), true)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if _, err := a.Rewrite(&out, bytes.NewReader(b), int64(len(b))); err != nil {
			return
		}
		// What was written is read again, and a second act leaves it as it is but for pseudonyms.
		if _, err := a.Rewrite(&bytes.Buffer{}, bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
