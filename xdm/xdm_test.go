package xdm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
)

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func input(title, media, body string) Input {
	return Input{Title: title, MIMEType: media, Created: time.Date(2026, 2, 27, 8, 30, 0, 0, time.UTC),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }}
}

func letter(t testing.TB, docs ...Input) Letter {
	return Letter{
		Author: address(t, "reading@north.example"), Recipients: []addr.Address{address(t, "dr.lee@south.example"), address(t, "desk@south.example")},
		Submitted: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC), Title: "Größe & <Befund>", Documents: docs,
		Patient: Patient{IDs: []Identifier{{"1.2.276.0.76.3.1", "4711"}}, Name: "Berg^Ann^Ruth", Birth: "19800229", Sex: "F"},
	}
}

func write(t testing.TB, l Letter) []byte {
	t.Helper()
	p, err := Prepare(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Write(context.Background(), &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func check(t testing.TB, b []byte) *Report {
	t.Helper()
	r, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// judgedByPython asks the checker that was written from the rules alone.
func judgedByPython(t testing.TB, archive []byte, l Letter) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "package.zip")
	if err := os.WriteFile(name, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{filepath.Join("testdata", "check.py"), name, l.Author.String()}
	for _, a := range l.Recipients {
		args = append(args, a.String())
	}
	if out, err := exec.Command("/usr/bin/python3", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// DIR-08: what is written keeps the rules of an independent checker, says the same when it is read, and is the same bytes each time.
func TestWrite(t *testing.T) {
	report := input("Report", "application/pdf", "%PDF-1.4 …")
	report.Type, report.Class, report.Language = Code{"18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study"}, Code{Value: "REPORTS", Scheme: "own"}, "de-DE"
	report.References = []string{"1.2.3.4"}
	long := input("Summary", "text/xml", "<ClinicalDocument>"+strings.Repeat("<text>a</text>", 1<<17)+"</ClinicalDocument>")
	image := input("Photograph", "image/jpeg", strings.Repeat("\xff\xd8JFIF", 1<<18))
	l := letter(t, input("Letter", "text/plain", "Sehr geehrte Frau Lee,\r\n"), report, long, image, report)
	b := write(t, l)
	judgedByPython(t, b, l)
	if !bytes.Equal(b, write(t, l)) {
		t.Error("other bytes the second time")
	}
	if len(b) > 2<<20 {
		t.Errorf("%d bytes: text is not deflated", len(b))
	}
	r := check(t, b)
	if r.Verdict != fileset.Complete || r.Documents != 5 || r.Found != 5 || len(r.Findings) > 0 || len(r.Sets) != 1 || r.FileSet {
		t.Fatalf("%+v", r)
	}
	s := r.Sets[0]
	if s.Title != l.Title || !s.Limited || s.Authors[0] != "reading@north.example" || strings.Join(s.Recipients, " ") != "dr.lee@south.example desk@south.example" ||
		s.Submitted != "20260302110000" || s.ContentType != noteCode || s.Folder != "IHE_XDM/SUBSET01" {
		t.Errorf("%+v", s)
	}
	d := s.Documents[1]
	if d.Title != "Report" || d.MIMEType != "application/pdf" || d.URI != "DOC0002.PDF" || d.Created != "20260227083000" || d.Type != report.Type ||
		d.Class.Value != "REPORTS" || d.Format != plainFormat || d.Language != "de-DE" || d.References[0] != "1.2.3.4" ||
		d.Patient.Spoken() != "Ann Ruth Berg, born 1980-02-29, 4711" || d.Patient.IDs[0].Authority != "1.2.276.0.76.3.1" {
		t.Errorf("%+v", d)
	}
	if ok, err := Contains(bytes.NewReader(b), int64(len(b)), fileset.Limits{}); err != nil || !ok {
		t.Errorf("Contains: %v %v", ok, err)
	}
}

// DIR-08: other makers' programs take the archive apart: Info-ZIP and libxml2.
func TestWritePeers(t *testing.T) {
	dir := t.TempDir()
	l := letter(t, input("Letter", "text/plain", "hello\r\n"), input("Image", "image/png", strings.Repeat("\x89PNG", 1<<19)))
	if err := os.WriteFile(filepath.Join(dir, "p.zip"), write(t, l), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"unzip", "-q", "p.zip"}, {"xmllint", "--noout", "--nonet", "IHE_XDM/SUBSET01/METADATA.XML", "INDEX.HTM"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "IHE_XDM", "SUBSET01", "DOC0001.TXT"))
	if err != nil || string(got) != "hello\r\n" {
		t.Errorf("%q %v", got, err)
	}
}

// DCM-12, DIR-08: one DICOM.ZIP is File-set, XDM and PDI at once, and each reader finds all of its own.
func TestBeside(t *testing.T) {
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
	}
	set, err := fileset.Scan(context.Background(), fileset.ScanOptions{}, filepath.Join(dir, "dicom", "files", "io8.dcm"), filepath.Join(dir, "dicom", "files", "io12.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	l := letter(t, input("Report", "application/pdf", "%PDF-1.4"))
	for _, p := range set.Tree {
		for _, s := range p.Studies {
			l.Studies = append(l.Studies, s.UID)
		}
	}
	l.Documents[0].References = l.Studies
	p, err := Prepare(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := set.WriteWith(context.Background(), &b, p.Beside(context.Background(), nil), nil); err != nil {
		t.Fatal(err)
	}
	judgedByPython(t, b.Bytes(), l)
	r := check(t, b.Bytes())
	if r.Verdict != fileset.Complete || !r.FileSet || r.Found != 1 || r.Sets[0].ContentType != imagingCode {
		t.Errorf("%+v", r)
	}
	f, err := fileset.CheckZIP(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()), fileset.CheckOptions{})
	if err != nil || f.Verdict != fileset.Complete || f.Instances != 2 || !f.Hashed {
		t.Errorf("%v %+v", err, f)
	}
	for _, x := range f.Findings {
		if x.Severity > fileset.Note {
			t.Errorf("%v", x)
		}
	}
}

// What cannot be said in the metadata is refused before a byte is written, and a document that changes meanwhile is noticed.
func TestWriteRefuses(t *testing.T) {
	good := input("Letter", "text/plain", "hello")
	for name, spoil := range map[string]func(*Letter){
		"no documents":       func(l *Letter) { l.Documents = nil },
		"two lines":          func(l *Letter) { l.Title = "a\r\nb" },
		"no text":            func(l *Letter) { l.Title = "\xff" },
		"long":               func(l *Letter) { l.Title = strings.Repeat("x", maxValue+1) },
		"separator in an id": func(l *Letter) { l.Patient.IDs[0].Value = "4711^^^&9.9&ISO" },
		"no value":           func(l *Letter) { l.Patient.IDs[0].Value = "" },
		"no OID":             func(l *Letter) { l.Patient.IDs[0].Authority = "hospital" },
		"zero in an OID":     func(l *Letter) { l.Patient.IDs[0].Authority = "1.02" },
		"repetition":         func(l *Letter) { l.Patient.Name = "Berg^Ann~Tal^Eva" },
		"media type":         func(l *Letter) { l.Documents[0].MIMEType = "text/plain; charset=utf-8" },
		"no media type":      func(l *Letter) { l.Documents[0].MIMEType = "" },
		"code":               func(l *Letter) { l.Documents[0].Type.Value = "a^b" },
		"reference":          func(l *Letter) { l.Documents[0].References = []string{"1.2^^^^x"} },
		"gone": func(l *Letter) {
			l.Documents[0].Open = func() (io.ReadCloser, error) { return nil, os.ErrNotExist }
		},
	} {
		l := letter(t, good)
		spoil(&l)
		if _, err := Prepare(context.Background(), l); err == nil || !strings.HasPrefix(err.Error(), "xdm: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int{10, 2 << 20} {
		n := byte(0)
		changing := input("", "application/pdf", "")
		changing.Open = func() (io.ReadCloser, error) {
			n++
			return io.NopCloser(bytes.NewReader(bytes.Repeat([]byte{n}, size))), nil
		}
		p, err := Prepare(context.Background(), letter(t, changing))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Write(context.Background(), io.Discard, nil); !errors.Is(err, fileset.ErrChanged) {
			t.Errorf("a document of %d bytes that changes: %v", size, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Prepare(ctx, letter(t, good)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
