package fileset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/dicom"
)

// part10 makes a Part 10 file of elements, Explicit VR Little Endian.
func part10(class, instance string, elements ...[]byte) []byte {
	b := metaGroup(instance)
	b = bytes.Replace(b, appendText(nil, 0x00020002, classDirectory), appendText(nil, 0x00020002, class), 1)
	n := len(b) - 132 - 12
	b[140], b[141] = byte(n), byte(n>>8)
	return append(b, slices.Concat(elements...)...)
}

// bare makes the poorest instance of a class that can be referenced at all.
func bare(class, instance string, more ...[]byte) []byte {
	e := [][]byte{appendText(nil, tagSOPClass, class), appendText(nil, tagSOPInstance, instance)}
	e = append(e, more...)
	if !slices.Contains(ofNobody, class) {
		e = append(e, appendText(nil, tagStudyUID, "1.2.3"), appendText(nil, tagSeriesUID, "1.2.3.4"))
	}
	return part10(class, instance, e...)
}

// ofNobody are classes whose instances belong to no patient, and whose records stand at the root though their type need not.
var ofNobody = []string{classRoot + "1.1.200.1", classRoot + "1.1.200.3", classRoot + "1.1.200.7", classRoot + "1.1.201.1"}

// DCM-06: every SOP class that we pack gets its own record, and a directory of the poorest instances of them all has every key that
// the standard requires.
func TestEveryClass(t *testing.T) {
	dir := t.TempDir()
	tables := newTables()
	for i, c := range classes {
		writeFile(t, dir, fmt.Sprintf("%03d", i), bare(classRoot+c.uid, fmt.Sprintf("1.2.3.4.%d", i+1)))
	}
	p := scan(t, dir)
	if len(p.Instances) != len(classes) {
		t.Fatalf("%d of %d instances", len(p.Instances), len(classes))
	}
	for _, x := range p.Instances {
		if want := tables.byClass[x.SOPClass].name; x.Type != want {
			t.Errorf("%s: record %s rather than %s", ClassName(x.SOPClass), x.Type, want)
		}
	}
	b := packed(t, p)
	if r := checkBytes(t, b); r.Verdict != Complete {
		t.Errorf("%v: %v", r.Verdict, r.Findings[:min(10, len(r.Findings))])
	}
	set := t.TempDir()
	writeFile(t, set, DirectoryName, unzipped(t, b)[DirectoryName])
	cmd := exec.Command("dciodvfy", filepath.Join(set, DirectoryName))
	out, err := cmd.CombinedOutput() // its exit code says no more than its lines
	if len(out) == 0 {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Error") && !slices.ContainsFunc(excused, func(s string) bool { return strings.Contains(line, s) }) {
			t.Error(strings.TrimSpace(line))
		}
	}
}

// excused are complaints of dciodvfy that no directory could avoid: what only the instance can say, and record types that it is too
// old to know.
var excused = []string{
	"<ReferencedSeriesSequence> Module=<PresentationDirectoryRecord>", "<BlendingSequence> Module=<PresentationDirectoryRecord>",
	"<HL7InstanceIdentifier>", "<ReferencedImageEvidenceSequence> Module=<SpectroscopyDirectoryRecord>",
	"value <WF PRESENTATION>", "value <SURFACE SCAN>", "value <PLAN>", "value <TRACT>", "value <ASSESSMENT>", "value <ANNOTATION>",
	"value <INVENTORY>", "not a recognized standard attribute - (0x0008,0x04",
}

// The Content Sequence of a document holds the report; only the root's concept modifiers may go into the directory (PS3.3 F.5.25).
func TestReportTextStaysOut(t *testing.T) {
	p := scan(t, filepath.Join(shared(t), "files", "test-SR.dcm"))
	d := p.directory
	for _, word := range []string{"CONTAINS", "TEXT", "OFFIS"} {
		if n := bytes.Count(d, []byte(word)); word == "OFFIS" && n > 2 || word != "OFFIS" && n > 0 {
			t.Errorf("%q stands %d times in the directory", word, n)
		}
	}
}

// Each key that was supplied is reported, and stands in the record alone (DCM-06; PS3.3 F.5).
func TestSuppliedKeys(t *testing.T) {
	dir := t.TempDir()
	src := readFile(t, filepath.Join(shared(t), "files", "test-SR.dcm"))
	writeFile(t, dir, "sr", src)
	p := scan(t, dir)
	if !hasRule(p.Findings, "key-supplied") || !strings.HasPrefix(p.Tree[0].ID, "NOID-") {
		t.Errorf("%v %v", p.Findings, p.Tree)
	}
	if got := unzipped(t, packed(t, p))[p.Instances[0].FileID]; !bytes.Equal(got, src) {
		t.Error("the instance was touched")
	}
}

// Running numbers never collide with those that other instances bring.
func TestRunningNumbers(t *testing.T) {
	dir := t.TempDir()
	image := "1.2.840.10008.5.1.4.1.1.2"
	for i, number := range []string{"1", "", "3", ""} {
		writeFile(t, dir, fmt.Sprint(i), bare(image, fmt.Sprintf("1.2.3.4.%d", i+1)))
		if number != "" {
			b := bare(image, fmt.Sprintf("1.2.3.4.%d", i+1))
			writeFile(t, dir, fmt.Sprint(i), append(b, appendText(nil, tagInstanceNo, number)...))
		}
	}
	var got []string
	for _, x := range scan(t, dir).Instances {
		got = append(got, x.Number)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("numbers %v", got)
	}
}

// An unknown class with pixels is an IMAGE, without them PRIVATE: nothing is left out (PS3.3 F.6).
func TestUnknownClass(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pixels := [][]byte{appendUint16(nil, 0x00280010, 1), appendUint16(nil, 0x00280011, 1),
		appendElement(nil, 0x7FE00010, dicom.VR{'O', 'W'}, []byte{1, 0})}
	a := writeFile(t, dir, "a", append(bare("1.2.9.1", "1.2.3.1"), slices.Concat(pixels...)...))
	b := writeFile(t, dir, "b", bare("1.2.9.2", "1.2.3.2"))
	p := scan(t, a, b)
	if p.Instances[0].Type != "IMAGE" || p.Instances[1].Type != "PRIVATE" {
		t.Errorf("%v", p.Instances)
	}
	judgedByPeers(t, p)
}

func TestScanRefuses(t *testing.T) {
	files := filepath.Join(shared(t), "files")
	io8 := readFile(t, filepath.Join(files, "io8.dcm"))
	dir := t.TempDir()
	text := writeFile(t, dir, "letter.txt", []byte("Dear colleague,\r\n"))
	empty := writeFile(t, dir, "empty", nil)
	cut := writeFile(t, dir, "cut.dcm", io8[:len(io8)-1])
	headless := writeFile(t, dir, "headless.dcm", io8[132:])
	beforeRows := writeFile(t, dir, "norows.dcm", io8[:bytes.Index(io8, []byte{0x28, 0, 2, 0, 'U', 'S'})])
	if p := scan(t, beforeRows); !hasRule(p.Findings, "image-without-pixels") { // to the octet where an element ends: nothing else shows it
		t.Errorf("cut before the rows: %v", p.Findings)
	}
	if p := scan(t, filepath.Join(files, "io8.dcm")); hasRule(p.Findings, "image-without-pixels") {
		t.Errorf("an image with pixels: %v", p.Findings)
	}
	beforePixels := writeFile(t, dir, "nopixels.dcm", io8[:len(io8)-12288-12])
	other := bytes.Clone(io8)
	other[len(other)-1] ^= 1
	changed := writeFile(t, dir, "changed.dcm", other)
	renamed := writeFile(t, dir, "renamed.dcm", bytes.Replace(bytes.ReplaceAll(io8, []byte("498.55.3.1"), []byte("498.55.3.7")), []byte("Tooth^Testa "), []byte("Tooth^Other "), 1))
	nameless := writeFile(t, dir, "anon.dcm", bytes.Replace(bytes.ReplaceAll(io8, []byte("498.55.3.1"), []byte("498.55.3.6")), []byte("Tooth^Testa "), []byte("            "), 1))
	moved := writeFile(t, dir, "moved.dcm", bytes.Replace(bytes.ReplaceAll(io8, []byte("498.55.3.1"), []byte("498.55.3.7")), []byte("DENT01"), []byte("DENT09"), 1))
	nothing := filepath.Join(dir, "nothing")
	writeFile(t, nothing, ".DS_Store", []byte("x"))
	whole := writeFile(t, dir, "io8.dcm", io8)
	short := filepath.Join(dir, "short")
	fileset := filepath.Join(shared(t), "fileset")
	writeFile(t, short, "DICOMDIR", readFile(t, filepath.Join(fileset, "DICOMDIR")))
	writeFile(t, short, "DICOM/IO8", io8)

	for _, c := range []struct {
		name, reason string
		paths, named []string
	}{
		{"no DICOM object", "no DICOM Part 10 file", []string{whole, text}, []string{text}},
		{"empty file", "empty", []string{empty}, []string{empty}},
		{"an archive", "a ZIP archive; unpack it", []string{filepath.Join(shared(t), "DICOM.ZIP")}, []string{"DICOM.ZIP"}},
		{"truncated", "not all there", []string{cut}, []string{cut}},
		{"cut before the pixels", "without pixel data", []string{beforePixels}, []string{beforePixels}},
		{"real truncated file", "not all there", []string{filepath.Join(files, "MR_truncated.dcm")}, []string{"MR_truncated"}},
		{"no preamble (DCM-24)", "without the preamble", []string{headless}, []string{headless}},
		{"no UIDs", "without SOP Class UID", []string{filepath.Join(files, "nested_priv_SQ.dcm")}, []string{"nested_priv_SQ"}},
		{"one UID, other bytes", "different bytes", []string{whole, changed}, []string{whole, changed}},
		{"one Patient ID, other names (DCM-07)", "different patient names", []string{whole, renamed}, []string{whole, renamed}},
		{"other names behind an empty one", "different patient names", []string{nameless, whole, renamed}, []string{whole, renamed}},
		{"a study of two patients", "under two patients", []string{whole, moved}, []string{whole, moved}},
		{"a folder without DICOM", "no DICOM instance here", []string{nothing}, []string{nothing}},
		{"no such file", "no such file", []string{filepath.Join(dir, "gone")}, []string{"gone"}},
		{"a File-set that is not whole (DCM-22)", "9 instances that are not among the files", []string{short}, []string{short}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Scan(context.Background(), ScanOptions{}, c.paths...)
			in, ok := err.(*InputError)
			if !ok {
				t.Fatalf("%v", err)
			}
			for _, want := range append(c.named, c.reason) {
				if !strings.Contains(in.Error(), want) {
					t.Errorf("no %q in %v", want, in)
				}
			}
			if strings.Contains(in.Error(), "Tooth") || strings.Contains(in.Error(), "DENT0") {
				t.Errorf("patient data in %v", in)
			}
		})
	}
}

func TestScanTakes(t *testing.T) {
	io8 := readFile(t, filepath.Join(shared(t), "files", "io8.dcm"))
	dir := t.TempDir()
	a, b := writeFile(t, dir, "a", io8), writeFile(t, dir, "b", io8)
	renamed := writeFile(t, dir, "c", bytes.Replace(bytes.ReplaceAll(io8, []byte("498.55.3.1"), []byte("498.55.3.7")), []byte("Tooth^Testa "), []byte("Tooth^Other "), 1))
	if p := scan(t, a, b, a); len(p.Instances) != 1 || !hasRule(p.Findings, "same-instance-twice") {
		t.Errorf("identical files: %d, %v", len(p.Instances), p.Findings)
	}
	p, err := Scan(context.Background(), ScanOptions{AllowNames: true}, a, renamed)
	if err != nil || len(p.Instances) != 2 || !hasRule(p.Findings, "patient-names-differ") {
		t.Errorf("names allowed: %v", err)
	}
	writeFile(t, dir, "VIEWER.EXE", []byte("MZ"))
	writeFile(t, dir, "AUTORUN.TAG", nil)
	p, err = Scan(context.Background(), ScanOptions{SkipForeign: true, AllowNames: true}, dir)
	if err != nil || len(p.Instances) != 2 || !hasRule(p.Findings, "foreign-file-left-out") {
		t.Errorf("foreign files left out: %v", err)
	}
	for name, b := range map[string][]byte{"IM0007": nil, "IM0008.DCM": nil, "headless": io8[132:]} { // somebody's image, perhaps
		path := writeFile(t, filepath.Join(dir, "sub"), name, b)
		_, err = Scan(context.Background(), ScanOptions{SkipForeign: true, AllowNames: true}, dir)
		if in, ok := err.(*InputError); !ok || len(in.Problems) != 1 || in.Problems[0].Files[0] != path || in.Problems[0].Foreign {
			t.Errorf("%s was left out: %v", name, err)
		}
		os.Remove(path)
	}
}

// What stands at the root has no study: where it has no date, none of a patient's is given to it, nor an empty one (PS3.3 F.5.31: Type 1).
func TestRootDates(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "hp", bare(classRoot+"38.1", "1.2.3.1"))
	alone := scan(t, dir)
	writeFile(t, dir, "ct", ct("P1", "Berg^Ann", "1.1", "1.2", "1.3", appendText(nil, tagStudyDate, "20260102")))
	for name, p := range map[string]*Plan{"alone": alone, "beside a patient": scan(t, dir)} {
		d := p.directory
		if i := bytes.Index(d, appendText(nil, 0x0072000A, "19000101")); i < 0 {
			t.Errorf("%s: no date of its own", name)
		}
		if apart := p.Apart(); len(apart) != 1 || apart[0].FileID != "DICOM/OTHER/I00001" {
			t.Errorf("%s: apart is %v", name, apart)
		}
		if r := checkBytes(t, packed(t, p)); r.Verdict != Complete || !slices.ContainsFunc(p.Findings, func(f Finding) bool { return strings.Contains(f.Text, "nothing there has a date") }) {
			t.Errorf("%s: %v %v %v", name, r.Verdict, r.Findings, p.Findings)
		}
	}
}

// A list of problems ends somewhere, and names of files are nobody's way to a terminal.
func TestProblemsAreListed(t *testing.T) {
	var e InputError
	for range maxProblems + 7 {
		e.Problems = append(e.Problems, Problem{Files: []string{"a\x1b]0;x\a\n  b"}, Reason: "no\x9bthing"})
	}
	text := e.Error()
	if n := strings.Count(text, "\n"); n != maxProblems+1 || !strings.HasSuffix(text, "and 7 more") || strings.ContainsAny(text, "\x1b\a") || !strings.Contains(text, "a?]0;x??  b: no?thing") {
		t.Errorf("%d lines: %q", n, text[:min(len(text), 200)])
	}
}

// A source that changes between Scan and WriteZIP is an error, never a set that says something else than its directory.
func TestChangedSource(t *testing.T) {
	dir := demoStudy(t)
	for name, change := range map[string]func(path string, b []byte){
		"longer":  func(path string, b []byte) { writeFile(t, "", path, append(b, 0)) },
		"shorter": func(path string, b []byte) { writeFile(t, "", path, b[:len(b)-1]) },
	} {
		p := scan(t, dir)
		src := p.Instances[1].Source
		b := readFile(t, src)
		change(src, bytes.Clone(b))
		if err := p.WriteZIP(context.Background(), &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("%s: %v", name, err)
		}
		writeFile(t, "", src, b)
	}
	p := scan(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.WriteZIP(ctx, &bytes.Buffer{}, nil); err == nil {
		t.Error("a cancelled context")
	}
}

// Of a small file every octet is looked at again: a change that keeps its size and its time is seen.
func TestChangedOctet(t *testing.T) {
	b := append(readFile(t, filepath.Join(shared(t), "files", "JPEG2000.dcm")), make([]byte, 20<<10)...)
	path := writeFile(t, t.TempDir(), "image", b)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	p := scan(t, path)
	b[len(b)-1] = 1
	writeFile(t, "", path, b)
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteZIP(context.Background(), io.Discard, nil); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
}
