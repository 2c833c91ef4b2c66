package fileset

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patch changes fields of the local and the central header of entry number n: offsets count from the signature.
func patch(t *testing.T, b []byte, n int, local, central map[int]uint16) []byte {
	t.Helper()
	b = bytes.Clone(b)
	for sig, fields := range map[string]map[int]uint16{"PK\x03\x04": local, "PK\x01\x02": central} {
		at := -1
		for range n + 1 {
			i := bytes.Index(b[at+1:], []byte(sig))
			if i < 0 {
				t.Fatalf("no header %d", n)
			}
			at += 1 + i
		}
		for off, v := range fields {
			binary.LittleEndian.PutUint16(b[at+off:], v)
		}
	}
	return b
}

// The ZIP guard (DCM-15, DCM-22): what archive/zip and unzip let pass.
func TestZIPGuard(t *testing.T) {
	es := entriesOf(t, smallSet(t))
	good := rezip(t, es)
	named := func(name string) []byte { return rezip(t, append(slices.Clone(es), zipped{name, []byte("x")})) }
	both := func(off int, v uint16) []byte {
		return patch(t, good, 1, map[int]uint16{off: v}, map[int]uint16{off + 2: v})
	}
	for _, c := range []struct {
		name, rule string
		want       Verdict
		b          []byte
	}{
		{"slip", "zip-name", Damaged, named("../../etc/passwd")},
		{"slip by backslash", "zip-name", Damaged, named(`..\..\x`)},
		{"slip in the middle", "zip-name", Damaged, named("DICOM/../../x")},
		{"absolute", "zip-name", Damaged, named("/etc/passwd")},
		{"drive", "zip-name", Damaged, named(`C:\x`)},
		{"UNC", "zip-name", Damaged, named(`\\server\x`)},
		{"device", "zip-name", Damaged, named("DICOM/NUL.txt")},
		{"stream", "zip-name", Damaged, named("DICOM/x:y")},
		{"control character", "zip-name", Damaged, named("DICOM/a\x1b[2Jb")},
		{"duplicate", "zip-name-twice", Damaged, named(es[1].name)},
		{"case collision", "zip-name-twice", Damaged, named(strings.ToLower(es[1].name))},
		{"file where a folder is", "zip-name-twice", Damaged, named("DICOM")},
		{"encrypted", "zip-encrypted", Damaged, both(6, 1)},
		{"method 12", "zip-method", Damaged, both(8, 12)},
		{"local name differs", "zip-headers-differ", Damaged, bytes.Replace(good, []byte("DICOM/P0001"), []byte("DICOM/P0009"), 1)},
		{"local method differs", "zip-headers-differ", Damaged, patch(t, good, 1, map[int]uint16{8: 8}, nil)},
		{"junk in front", "zip-structure", Damaged, append([]byte("#!/bin/sh\n"), good...)},
		{"junk behind", "zip-junk", Violations, append(bytes.Clone(good), "junk"...)},
		{"two archives in a row", "zip-structure", Damaged, append(bytes.Clone(good), good...)},
		{"no archive", "zip-cut", Damaged, []byte("<html>it was moved</html> and some more")},
		{"nothing", "zip-cut", Damaged, nil},
		{"symbolic link", "zip-symlink", Damaged, withLink(t, es)},
		{"device of a Mac", "zip-symlink", Damaged, patch(t, withLink(t, es), 0, nil, map[int]uint16{4: 19<<8 | 20, 40: 0o060644})},
		{"a second name", "zip-headers-differ", Damaged, withOtherName(t, es)},
		{"bomb", "limit", Damaged, patch(t, smallSet(t), 1, map[int]uint16{24: 0x7FFF}, map[int]uint16{26: 0x7FFF})},
		{"length that is not so", "zip-structure", Damaged, patch(t, smallSet(t), 1, map[int]uint16{24: 0x0100}, map[int]uint16{26: 0x0100})},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			r := checkBytes(t, c.b)
			if r.Verdict != c.want || !hasRule(r.Findings, c.rule) {
				t.Errorf("%v rather than %v with %s:\n%v", r.Verdict, c.want, c.rule, r.Findings)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			dir := filepath.Join(t.TempDir(), "out")
			_, err := Unpack(context.Background(), bytes.NewReader(c.b), int64(len(c.b)), dir, UnpackOptions{AllowIncomplete: true})
			if _, gone := os.Stat(dir); c.want == Damaged && (!errors.Is(err, ErrDamaged) || !errors.Is(gone, os.ErrNotExist)) {
				t.Errorf("unpacked: %v", err)
			}
		})
	}
}

// withOtherName gives one entry a name for those who read Unicode Path fields.
func withOtherName(t *testing.T, es []zipped) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, e := range es {
		h := &zip.FileHeader{Name: e.name}
		if i == 1 {
			other := "DICOM/ELSEWHER"
			h.Extra = binary.LittleEndian.AppendUint16([]byte{0x75, 0x70}, uint16(5+len(other)))
			h.Extra = binary.LittleEndian.AppendUint32(append(h.Extra, 1), crc32.ChecksumIEEE([]byte(e.name)))
			h.Extra = append(h.Extra, other...)
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write(e.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func withLink(t *testing.T, es []zipped) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "LINK"}
	h.SetMode(os.ModeSymlink | 0o777)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = f.Write([]byte("/etc/passwd"))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// DCM-02: what is unpacked is what was packed; nothing half appears, nothing is overwritten.
func TestUnpack(t *testing.T) {
	b := smallSet(t)
	es := entriesOf(t, b)
	unpack := func(b []byte, dir string, o UnpackOptions) error {
		_, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), dir, o)
		return err
	}
	dir := filepath.Join(t.TempDir(), "a", "set")
	if err := unpack(b, dir, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if !bytes.Equal(readFile(t, filepath.Join(dir, e.name)), e.data) {
			t.Errorf("%s differs", e.name)
		}
	}
	if err := unpack(b, dir, UnpackOptions{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder with files: %v", err)
	}
	empty := t.TempDir()
	if err := unpack(b, empty, UnpackOptions{}); err != nil {
		t.Errorf("into an empty folder: %v", err)
	}
	short := rezip(t, es[:len(es)-2])
	out := filepath.Join(t.TempDir(), "x")
	if err := unpack(short, out, UnpackOptions{AllowViolations: true}); !errors.Is(err, ErrRefused) {
		t.Errorf("incomplete: %v", err)
	}
	if err := unpack(short, out, UnpackOptions{AllowIncomplete: true}); err != nil {
		t.Errorf("incomplete, allowed: %v", err)
	}
	lower := slices.Clone(es)
	for i := range lower {
		lower[i].name = "folder/" + strings.ToLower(lower[i].name)
	}
	set := filepath.Join(t.TempDir(), "x")
	if err := unpack(rezip(t, lower), set, UnpackOptions{}); !errors.Is(err, ErrRefused) {
		t.Errorf("violations: %v", err)
	}
	if err := unpack(rezip(t, lower), set, UnpackOptions{AllowViolations: true}); err != nil {
		t.Errorf("violations, allowed: %v", err)
	}
	r, err := CheckDir(context.Background(), set, CheckOptions{})
	if err != nil || r.Verdict != Complete { // under its File IDs the set is what it was
		t.Errorf("unpacked from odd names: %v %v", err, r)
	}
	left, err := os.ReadDir(filepath.Dir(set))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// counted counts the bytes that are read of an archive.
type counted struct {
	r io.ReaderAt
	n atomic.Int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n.Add(int64(n))
	return n, err
}

// DCM-02, DCM-22: an archive is read once to be judged and taken out. What is judged DAMAGED at its very end leaves nothing behind.
func TestUnpackReadsOnce(t *testing.T) {
	b := packed(t, scan(t, filepath.Join(shared(t), "fileset"), filepath.Join(shared(t), "files", "waveform_ecg.dcm")))
	parent := t.TempDir()
	r := &counted{r: bytes.NewReader(b)}
	if _, err := Unpack(context.Background(), r, int64(len(b)), filepath.Join(parent, "set"), UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := r.n.Load(); n > int64(len(b))+72<<10 { // the end of the archive is looked for in 64 KiB
		t.Errorf("%d bytes read of %d", n, len(b))
	}
	es := entriesOf(t, b)
	last := es[len(es)-2].data
	last[len(last)-1] ^= 1
	bad := rezip(t, es)
	for _, dir := range []string{filepath.Join(parent, "bad"), filepath.Join(parent, "a", "bad"), t.TempDir(), filepath.Join(parent, "set")} {
		report, err := Unpack(context.Background(), bytes.NewReader(bad), int64(len(bad)), dir, UnpackOptions{AllowIncomplete: true})
		if !errors.Is(err, ErrDamaged) || report.Verdict != Damaged {
			t.Errorf("%v %v", err, report)
		}
	}
	for dir, want := range map[string]int{parent: 2, filepath.Join(parent, "a"): 0} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != want {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := UnpackOptions{CheckOptions: CheckOptions{Progress: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}}}
	if _, err := Unpack(ctx, bytes.NewReader(b), int64(len(b)), filepath.Join(parent, "c"), o); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// sparse tells how far a large archive has come without keeping it.
type sparse struct{ size int64 }

func (s *sparse) Write(p []byte) (int, error) { s.size += int64(len(p)); return len(p), nil }

// ZIP64: offsets beyond 4 GiB, and more entries than 65,535, read by archive/zip and by us (APPNOTE 4.3.14).
func TestZIP64Records(t *testing.T) {
	var b bytes.Buffer
	z := &zipWriter{w: &b}
	for i := range 70_000 {
		name := "D/" + string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26), 'A' + byte(i/676%26), 'A' + byte(i/17576)})
		if err := z.whole(name, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	if n := len(entriesOf(t, b.Bytes())); n != 70_000 {
		t.Errorf("archive/zip reads %d", n)
	}
	a, err := readArchive(bytes.NewReader(b.Bytes()), int64(b.Len()), defaultLimits)
	if err != nil || a.fatal || len(a.findings.list) > 0 || len(a.entries) != 70_000 {
		t.Errorf("%v %v %d", err, a.findings, len(a.entries))
	}
	far := &zipWriter{w: &sparse{}, at: 5 << 30}
	big := zipEntry{name: "BIG", method: stored, size: 6 << 30, packed: 6 << 30}
	if err := far.begin(big); err != nil {
		t.Fatal(err)
	}
	var size, packed, offset int64 = max32, max32, max32
	var c bytes.Buffer
	far.w = &c
	if err := far.central(&far.entries[0]); err != nil {
		t.Fatal(err)
	}
	if !sizes64(c.Bytes()[46+3:], &size, &packed, &offset) || size != 6<<30 || offset != 5<<30 {
		t.Errorf("%d %d %d", size, packed, offset)
	}
}
