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
)

// withOtherName gives one entry a name for those who read Unicode Path fields.
func withOtherName(t testing.TB, es []zipped) []byte {
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

func withLink(t testing.TB, es []zipped) []byte {
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
	z := &zipWriter{w: &b, plain: true}
	for i := range 70_000 {
		name := "D/" + string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26), 'A' + byte(i/676%26), 'A' + byte(i/17576)})
		if err := z.whole(name, []byte("x")); err != nil {
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
	if !sizes64(far.entries[0].central(nil)[46+3:], &size, &packed, &offset) || size != 6<<30 || offset != 5<<30 {
		t.Errorf("%d %d %d", size, packed, offset)
	}
}
