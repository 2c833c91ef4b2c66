package fileset

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"carepost/dicom"
)

// bigObject makes a file of about n bytes of pixels, most of them a hole.
func bigObject(t *testing.T, n uint32) string {
	t.Helper()
	b := bare("1.2.840.10008.5.1.4.1.1.7.3", "1.2.3.4.5", appendUint16(nil, 0x00280010, 1), appendUint16(nil, 0x00280011, 1))
	b = append(b, appendElement(nil, 0x7FE00010, dicom.VR{'O', 'W'}, nil)...)
	b[len(b)-4], b[len(b)-3], b[len(b)-2], b[len(b)-1] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	path := writeFile(t, t.TempDir(), "big", b)
	if err := os.Truncate(path, int64(len(b))+int64(n)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Memory is flat in the size of an instance, on the way out and on the way in.
func TestFlatMemory(t *testing.T) {
	const limit = 48 << 20
	p := scan(t, bigObject(t, 300<<20))
	peak := func(progress *func(int64, int64)) func() uint64 {
		var most uint64
		*progress = func(done, _ int64) {
			if done>>24 != (done-1)>>24 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		return func() uint64 { return most }
	}
	var base runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&base)
	path := filepath.Join(t.TempDir(), "DICOM.ZIP")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var progress func(int64, int64)
	most := peak(&progress)
	if err := p.WriteZIP(context.Background(), f, progress); err != nil {
		t.Fatal(err)
	}
	if n := most(); n > base.HeapAlloc+limit {
		t.Errorf("packing 300 MiB held %d MiB", n>>20)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	most = peak(&progress)
	r, err := CheckZIP(context.Background(), f, size, CheckOptions{Progress: progress})
	if err != nil || r.Verdict != Complete {
		t.Fatalf("%v %v", err, r)
	}
	if n := most(); n > base.HeapAlloc+limit {
		t.Errorf("checking 300 MiB held %d MiB", n>>20)
	}
}

// A caller that gives up is heard in the middle of a file.
func TestCancelled(t *testing.T) {
	p := scan(t, bigObject(t, 64<<20))
	ctx, cancel := context.WithCancel(context.Background())
	var w bytes.Buffer
	err := p.WriteZIP(ctx, &w, func(done, _ int64) {
		if done > 8<<20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("packing: %v", err)
	}
	if _, err := Scan(ctx, ScanOptions{}, p.Instances[0].Source); !errors.Is(err, context.Canceled) {
		t.Errorf("scanning: %v", err)
	}
	b := smallSet(t)
	if _, err := CheckZIP(ctx, bytes.NewReader(b), int64(len(b)), CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("checking: %v", err)
	}
}

// Deflated data sets inside a deflated archive do not multiply: what they grow to is limited over the whole set (PS3.5 A.5).
func TestNestedDeflate(t *testing.T) {
	zeros := make([]byte, 64<<20)
	meta := bytes.Replace(metaGroup("1.2.3"), appendText(nil, 0x00020010, dicom.ExplicitLittle), appendText(nil, 0x00020010, dicom.Deflated), 1)
	meta[140] += 2
	set := append(appendText(nil, tagCharset, "ISO_IR 100"), 0x09, 0x00, 0x01, 0x10, 'U', 'N', 0, 0, 0, 0, 0, 4)
	one := append(meta, deflated(append(set, zeros...))...)
	v := &volume{size: int64(len(one)), files: make([]volumeFile, 20)}
	for i := range v.files {
		v.files[i] = volumeFile{size: int64(len(one)), open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(one)), nil }}
	}
	p := newPass(v, newTables(), nil, CheckOptions{Limits: defaultLimits})
	p.room.Store(100 << 20)
	out := make([]content, len(v.files))
	if err := p.contents(context.Background(), nil, out); err != nil {
		t.Fatal(err)
	}
	limited := 0
	for _, c := range out {
		if errors.Is(c.err, dicom.ErrLimit) {
			limited++
		} else if c.obj == nil && !errors.Is(c.err, dicom.ErrCut) && !errors.Is(c.err, errDirectory) { // what its meta group says it is, read whole
			t.Error(c.err)
		}
	}
	if left := p.room.Load(); limited < len(out)-4 || left < -1<<20 {
		t.Errorf("%d of %d are stopped, %d bytes beyond", limited, len(out), -left)
	}
}
