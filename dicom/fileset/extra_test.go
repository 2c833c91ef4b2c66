package fileset

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func extra(name, text string) Extra {
	return Extra{Name: name, Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// DCM-12: files beside a set travel with it, the DICOMDIR does not name them, and MANIFEST sees what was done to them (PS3.12 Y.1.1 note).
func TestExtras(t *testing.T) {
	p := scan(t, demoStudy(t))
	plain := packed(t, p)
	letter := strings.Repeat("Dear colleague,\r\n", 100_000)
	extras := []Extra{extra("README.TXT", "read me\r\n"), extra("OTHER/LETTER.PDF", letter), extra("OTHER/EMPTY.TXT", "")}
	if err := p.AddExtras(extras...); err != nil {
		t.Fatal(err)
	}
	b := packed(t, p)
	if !bytes.Equal(b, packed(t, p)) {
		t.Error("other bytes the second time")
	}
	files := unzipped(t, b)
	if string(files["OTHER/LETTER.PDF"]) != letter || !bytes.Equal(files[DirectoryName], unzipped(t, plain)[DirectoryName]) {
		t.Error("not the letter, or another directory")
	}
	r := checkBytes(t, b)
	if r.Verdict != Complete || !r.Hashed || len(r.Other) != 3 || hasRule(r.Findings, "other-file") {
		t.Errorf("%v %v %v", r.Verdict, r.Other, r.Findings)
	}
	dir := filepath.Join(t.TempDir(), "set")
	if _, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), dir, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	if r, err := CheckDir(context.Background(), dir, CheckOptions{}); err != nil || r.Verdict != Complete {
		t.Errorf("unpacked: %v %v", err, r)
	}
	for name, spoil := range map[string]func(es []zipped) []zipped{
		"changed": func(es []zipped) []zipped {
			i := slices.IndexFunc(es, func(e zipped) bool { return e.name == "OTHER/LETTER.PDF" })
			es[i].data = append(bytes.Clone(es[i].data), '!')
			return es
		},
		"gone": func(es []zipped) []zipped {
			return slices.DeleteFunc(es, func(e zipped) bool { return e.name == "README.TXT" })
		},
	} {
		if r := checkBytes(t, rezip(t, spoil(entriesOf(t, b)))); r.Verdict == Complete {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
	short := scan(t, demoStudy(t))
	x := extra("README.TXT", "read me\r\n")
	x.Size++
	if err := short.AddExtras(x); err != nil {
		t.Fatal(err)
	}
	if err := short.WriteZIP(context.Background(), io.Discard, nil); !errors.Is(err, ErrChanged) {
		t.Errorf("another size: %v", err)
	}
}

// No file beside a set can be taken for a part of it, or for two.
func TestExtraNames(t *testing.T) {
	p := scan(t, demoStudy(t))
	if err := p.AddExtras(extra("README.TXT", "")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "README.TXT", "README", "readme.md", "DICOMDIR", "DICOMDIR.DCM", "MANIFEST", "MANIFEST.DCM", "DICOM/P0001/A.TXT", "A/DICOMDIR.TXT",
		"../A.TXT", "/A.TXT", "A//B.TXT", "A B.TXT", "A.B.TXT", ".TXT", "A.", "IHE_XDM/A.TXT", "\u00c4.TXT", strings.Repeat("A", 100) + ".TXT", "-A.TXT", "A/.TXT"} {
		if err := p.AddExtras(extra(name, "")); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for given, want := range map[string]string{"letter.pdf": "OTHER/LETTER.PDF", "a b (c).v2.docx": "OTHER/A_B__C__V2.DOCX", "scan": "OTHER/SCAN.BIN", ".profile": "OTHER/_PROFILE.BIN",
		"x.dcm": "OTHER/X.BIN", "-.-": "OTHER/FILE.BIN", "Größe.txt": "OTHER/GR__E.TXT", "a.": "OTHER/A_.BIN", strings.Repeat("é", 99) + ".x": "OTHER/" + strings.Repeat("_", 40) + ".X"} {
		if got := ExtraName("OTHER", given); got != want || !ValidExtra(got) {
			t.Errorf("%q becomes %q, not %q", given, got, want)
		}
	}
	if _, err := os.Stat("OTHER"); err == nil {
		t.Error("something was written")
	}
}
