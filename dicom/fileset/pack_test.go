package fileset

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Small files share a block, some deflated, some stored because they are compressed already: each comes out as it went in, in its place, and
// progress tells bytes of instances. With Stored nothing is deflated, the DICOMDIR and MANIFEST neither.
func TestSmallFilesShareBlocks(t *testing.T) {
	dir, want := t.TempDir(), map[string][]byte{}
	bases := [][]byte{readFile(t, filepath.Join(shared(t), "files", "CT_small.dcm")), readFile(t, filepath.Join(shared(t), "files", "SC_rgb_jpeg_dcmtk.dcm"))}
	for i := range 60 { // one that is deflated, two that are compressed already
		base := bases[min(i%3, 1)]
		uid := instanceUID(t, base)
		b := bytes.ReplaceAll(base, uid, fmt.Appendf(nil, "%s%03d", uid[:len(uid)-3], i))
		want[writeFile(t, dir, fmt.Sprintf("f%03d.dcm", i), b)] = b
	}
	for _, o := range []ScanOptions{{}, {Stored: true}} {
		p, err := Scan(context.Background(), o, dir)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		var told int64
		if err := p.WriteZIP(context.Background(), &b, func(done, _ int64) { told = done }); err != nil {
			t.Fatal(err)
		}
		if told != p.Bytes {
			t.Errorf("progress ends at %d of %d bytes", told, p.Bytes)
		}
		got := unzipped(t, b.Bytes())
		for i := range p.Instances {
			if x := &p.Instances[i]; !bytes.Equal(got[x.FileID], want[x.Source]) {
				t.Errorf("%s came out as something else", x.FileID)
			}
		}
		if r := checkBytes(t, b.Bytes()); len(p.Instances) != 60 || r.Verdict != Complete {
			t.Errorf("%d instances: %v %v", len(p.Instances), r.Verdict, r.Findings)
		}
		z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		deflated := 0
		for _, f := range z.File {
			if f.Method == zip.Deflate {
				deflated++
			}
		}
		if o.Stored && deflated > 0 || !o.Stored && (deflated < 20 || deflated > 23) {
			t.Errorf("stored %v: %d entries are deflated", o.Stored, deflated)
		}
	}
}

// One file is one, by whatever path it is named.
func TestOneFileByManyPaths(t *testing.T) {
	dir := demoStudy(t)
	t.Chdir(dir)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	p := scan(t, dir, ".", dir+"//", filepath.Join(dir, files[0].Name()), "./"+files[0].Name())
	if len(p.Instances) != 4 || hasRule(p.Findings, "duplicate-instance") {
		t.Errorf("%d instances, %v", len(p.Instances), p.Findings)
	}
}

// instanceUID is the Media Storage SOP Instance UID (0002,0003).
func instanceUID(t *testing.T, b []byte) []byte {
	at := bytes.Index(b, []byte("\x02\x00\x03\x00UI"))
	if at < 0 {
		t.Fatal("no instance UID")
	}
	n := int(b[at+6]) + int(b[at+7])<<8
	return bytes.TrimRight(b[at+8:at+8+n], "\x00")
}
