package deid_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/dicom"
	"carepost/dicom/deid"
)

func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	return filepath.Join(dir, "dicom", "files")
}

func act(t *testing.T, o deid.Option) *deid.Act {
	t.Helper()
	a, err := deid.NewAct(o, bytes.Repeat([]byte{7}, deid.KeySize), true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// errorsOf are the kinds of errors that dciodvfy finds in a file.
func errorsOf(t *testing.T, b []byte) map[string]bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.dcm")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	said, _ := exec.Command("dciodvfy", path).CombinedOutput() // its exit code says nothing
	if len(said) == 0 {
		t.Fatal("dciodvfy says nothing: is dicom3tools installed?")
	}
	out := make(map[string]bool)
	for line := range strings.Lines(string(said)) {
		if strings.HasPrefix(line, "Error") {
			out[strings.TrimSpace(line)] = true
		}
	}
	return out
}

func parsed(t *testing.T, b []byte, tags ...dicom.Tag) *dicom.File {
	t.Helper()
	f, err := dicom.NewScanner(dicom.Options{Wanted: tags, Walk: true}).ScanAt(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every shared object: read by others afterwards, no error that it did not have, the same pixels.
func TestSharedObjects(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(shared(t), "*.dcm"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no shared objects: %v", err)
	}
	for _, path := range all {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			report, err := act(t, 0).Rewrite(&out, bytes.NewReader(b), int64(len(b)))
			_, readable := dicom.NewScanner(dicom.Options{Walk: true}).ScanAt(bytes.NewReader(b), int64(len(b)))
			switch {
			case readable != nil:
				if err == nil {
					t.Fatalf("taken, though %v", readable)
				}
				return
			case errors.Is(err, deid.ErrRefused):
				if filepath.Base(path) != "encpdf.dcm" {
					t.Fatal(err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			if report.Removed+report.Replaced == 0 {
				t.Error("nothing was done")
			}
			f := parsed(t, out.Bytes(), 0x00080018, 0x00100010, 0x00100020, 0x00120062)
			was := parsed(t, b, 0x00080018)
			same := was.Data.String(0x00080018) == was.SOPInstance // some say two things
			if f.SOPInstance != report.SOPInstance || same && f.Data.String(0x00080018) != f.SOPInstance || f.SOPInstance == was.SOPInstance && was.SOPInstance != "" {
				t.Errorf("instance %q in the meta group, %q in the data set, %q reported; it was %q", f.SOPInstance, f.Data.String(0x00080018), report.SOPInstance, was.SOPInstance)
			}
			if f.TransferSyntax != was.TransferSyntax || f.Encoding != was.Encoding || f.Pixels != was.Pixels {
				t.Errorf("%s %s %+v, it was %s %s %+v", f.TransferSyntax, f.Encoding, f.Pixels, was.TransferSyntax, was.Encoding, was.Pixels)
			}
			if f.Data.String(0x00120062) != "YES" {
				t.Error("not marked")
			}
			before := errorsOf(t, b)
			if before["Error - Tags out of order - trailing garbage, wrong transfer syntax, or not valid DICOM"] {
				return // it did not read this far
			}
			for e := range errorsOf(t, out.Bytes()) {
				if !before[e] {
					t.Errorf("new: %s", e)
				}
			}
		})
	}
}
