package fileset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// looseOf makes loose objects of shared files, each under a name.
func looseOf(t testing.TB, named ...string) (xs []Loose) {
	t.Helper()
	for i := 0; i < len(named); i += 2 {
		b := readFile(t, filepath.Join(shared(t), filepath.FromSlash(named[i])))
		xs = append(xs, Loose{Name: named[i+1], Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }})
	}
	return xs
}

// DCM-34, DCM-22: objects that came by themselves are listed and can be taken out, and are never called complete. ATT-39.
func TestLoose(t *testing.T) {
	check := func(xs []Loose) *Report {
		r, err := CheckLoose(context.Background(), xs, CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	xs := looseOf(t, "files/io8.dcm", "DICOM/IM1", "files/io12.dcm", "../../x/left: bite?.dcm", "files/io12.dcm", "again.dcm", "files/CT_small.dcm", "NUL",
		"files/kos.dcm", "", "files/gsps.dcm", "left_ bite_.dcm")
	r := check(xs)
	if r.Verdict != Unverifiable || r.Patients != 2 || r.Studies != 2 || r.Instances != 5 || r.Found != 5 || !hasRule(r.Findings, "same-instance-twice") ||
		!hasRule(r.Findings, "objects-without-dicomdir") || !hasRule(r.Findings, "objects-without-archive") {
		t.Errorf("%+v", r)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := UnpackLoose(context.Background(), xs, dir, UnpackOptions{AllowViolations: true}); !errors.Is(err, ErrRefused) {
		t.Errorf("taken out without being asked: %v", err)
	}
	if _, err := UnpackLoose(context.Background(), xs, dir, UnpackOptions{AllowUnverifiable: true}); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"DICOM/IM1": "io8", "left_ bite_.dcm": "io12", "left_ bite_-2.dcm": "gsps", "again.dcm": "io12", "object-4.dcm": "CT_small",
		"object-5.dcm": "kos"} {
		if !bytes.Equal(readFile(t, filepath.Join(dir, name)), readFile(t, filepath.Join(shared(t), "files", file+".dcm"))) {
			t.Errorf("%s is not %s", name, file)
		}
	}

	// A DICOMDIR among them says what is missing, and does not make them more than they are.
	all := looseOf(t, "fileset/DICOMDIR", "DICOMDIR", "fileset/DICOM/CT", "DICOM/CT")
	if r := check(all); r.Verdict != Incomplete || len(r.Missing) != 9 || r.Found != 1 {
		t.Errorf("a DICOMDIR and one of ten: %v, %d missing", r.Verdict, len(r.Missing))
	}
	for i, id := range []string{"PS", "IO8", "PDF", "KOS", "IOU", "MR", "ECG", "RTP", "SR"} {
		all = append(all, looseOf(t, "fileset/DICOM/"+id, "DICOM/"+id)...)
		if want := map[bool]Verdict{true: Unverifiable, false: Incomplete}[i == 8]; check(all).Verdict != want {
			t.Errorf("%s: %v", id, check(all).Verdict)
		}
	}

	// What cannot be decoded, is cut, or contradicts is told.
	bad := looseOf(t, "files/io8.dcm", "a.dcm")
	bad[0].Open = func() (io.ReadCloser, error) { return io.NopCloser(failing{fmt.Errorf("%w: base64", ErrContent)}), nil }
	if r := check(bad); r.Verdict != Damaged {
		t.Errorf("broken encoding: %v", r.Verdict)
	}
	bad[0].Open = func() (io.ReadCloser, error) { return nil, os.ErrPermission }
	if _, err := CheckLoose(context.Background(), bad, CheckOptions{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a disk that fails: %v", err)
	}
	if r := check(looseOf(t, "files/MR_truncated.dcm", "a.dcm", "files/io8.dcm", "b.dcm")); r.Verdict != Damaged || r.Found != 1 {
		t.Errorf("cut: %v", r.Verdict)
	}
	if r := check(looseOf(t, "README.md", "a.dcm")); r.Verdict != Incomplete {
		t.Errorf("no DICOM: %v", r.Verdict)
	}
	if r, err := CheckLoose(context.Background(), xs, CheckOptions{Limits: Limits{Entries: 2}}); err != nil || r.Verdict != Damaged || !hasRule(r.Findings, "limit") {
		t.Errorf("too many: %v %v", r, err)
	}
	if r, err := CheckLoose(context.Background(), xs, CheckOptions{Limits: Limits{File: 1000}}); err != nil || r.Verdict != Damaged {
		t.Errorf("too long: %v %v", r, err)
	}
}

// DCM-34: a ZIP of images without a DICOMDIR is listed, taken out only where asked, and never complete.
func TestZIPWithoutDirectory(t *testing.T) {
	file := func(name string) []byte { return readFile(t, filepath.Join(shared(t), "files", name+".dcm")) }
	b := rezip(t, []zipped{{"study/a/io8.dcm", file("io8")}, {"study/b/io12.dcm", file("io12")}, {"study/readme.txt", []byte("x")}})
	if r := checkBytes(t, b); r.Verdict != Unverifiable || r.Instances != 2 || r.Patients != 1 || r.Studies != 1 || r.Series != 1 || len(r.Other) != 1 {
		t.Errorf("%+v", r)
	}
	if g, err := GlanceZIP(bytes.NewReader(b), int64(len(b))); g != (Glance{Objects: true}) || err != nil {
		t.Errorf("%+v %v", g, err)
	}
	papers := rezip(t, []zipped{{"a.txt", bytes.Repeat([]byte("x"), 200)}, {"b.txt", nil}})
	if holds, err := GlanceZIP(bytes.NewReader(papers), int64(len(papers))); holds != (Glance{}) || err != nil {
		t.Errorf("papers: %v %v", holds, err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	unpack := func(o UnpackOptions) error {
		_, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), dir, o)
		return err
	}
	if err := unpack(UnpackOptions{AllowViolations: true}); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
	if err := unpack(UnpackOptions{AllowUnverifiable: true}); err != nil || !bytes.Equal(readFile(t, filepath.Join(dir, "study", "a", "io8.dcm")), file("io8")) {
		t.Errorf("%v", err)
	}
	// What was packed here and lost its directory is no import: it is not whole.
	es := entriesOf(t, smallSet(t))
	if r := checkBytes(t, rezip(t, es[1:])); r.Verdict != Incomplete || r.Found != 5 {
		t.Errorf("a set of ours without DICOMDIR: %v %v", r.Verdict, r.Findings)
	}
}

// A preamble that makes a TIFF of an instance is legitimate (PS3.10 7.1); one that makes a program of it is told, and changes nothing.
func TestPreambles(t *testing.T) {
	dir := t.TempDir()
	for i, magic := range []string{"II*\x00", "MM\x00*", "MZ\x90\x00", "\x7fELF", "PK\x03\x04", "%PDF-1.7", "<html>"} {
		b := bytes.Clone(readFile(t, filepath.Join(shared(t), "files", "io8.dcm")))
		copy(b, magic)
		writeFile(t, dir, fmt.Sprintf("%d/io8.dcm", i), b)
		r := checkBytes(t, packed(t, scan(t, filepath.Join(dir, fmt.Sprint(i)))))
		if told := hasRule(r.Findings, "preamble"); r.Verdict != Complete || told != (i > 1) {
			t.Errorf("%q: %v %v", magic, r.Verdict, r.Findings)
		}
	}
}

// PS3.3 F.2.2: of a DICOMDIR that is cut, what came before is listed; the set is damaged and is not taken out.
func TestCutDirectory(t *testing.T) {
	base := foreign(t)
	whole := len(base[0].data)
	listed := 0
	for n := 200; n < whole; n += pick(97, 7) {
		es := []zipped{{DirectoryName, base[0].data[:n]}}
		r := checkBytes(t, rezip(t, append(es, base[1:]...)))
		if r.Verdict == Complete || r.Verdict == Violations {
			t.Fatalf("cut to %d of %d: %v", n, whole, r.Verdict)
		}
		listed = max(listed, r.Instances)
		if s := fmt.Sprint(r.Findings); strings.Contains(s, "CompressedSamples") {
			t.Errorf("patient data in %v", s)
		}
	}
	if listed < 8 {
		t.Errorf("at most %d of 10 instances were listed", listed)
	}
}
