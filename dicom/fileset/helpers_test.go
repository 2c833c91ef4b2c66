package fileset

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// shared is the folder of real objects by other makers. Without it nothing is proven: the test fails.
func shared(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), "..", "shared", "testdata")
	}
	if _, err := os.Stat(filepath.Join(dir, "dicom", "fileset", "DICOMDIR")); err != nil {
		t.Fatalf("the shared test data is not at %s; set CAREPOST_TESTDATA", dir)
	}
	return filepath.Join(dir, "dicom")
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return root
		}
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
}

// pick gives the count of an ordinary run, or the full one with CAREPOST_FULL=1: the same places, more of each.
func pick(ordinary, full int) int {
	if os.Getenv("CAREPOST_FULL") != "" {
		return full
	}
	return ordinary
}

// demoStudy puts the small dental study into a folder.
func demoStudy(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(moduleRoot(t), "internal", "demo", "study", "files"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func scan(t testing.TB, paths ...string) *Plan {
	t.Helper()
	p, err := Scan(context.Background(), ScanOptions{}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func packed(t testing.TB, p *Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteZIP(context.Background(), &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func checkBytes(t testing.TB, b []byte) *Report {
	t.Helper()
	r, err := CheckZIP(context.Background(), bytes.NewReader(b), int64(len(b)), CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// unzipped gives the files of an archive by name, as archive/zip reads them.
func unzipped(t testing.TB, b []byte) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for _, e := range entriesOf(t, b) {
		files[e.name] = e.data
	}
	return files
}

// zipped is an entry as archive/zip has it.
type zipped struct {
	name string
	data []byte
}

// entriesOf reads an archive with archive/zip, which is none of ours.
func entriesOf(t testing.TB, b []byte) []zipped {
	t.Helper()
	es, err := readEntries(b)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func readEntries(b []byte) (out []zipped, err error) {
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			return nil, err
		}
		out = append(out, zipped{f.Name, data})
	}
	return out, nil
}

// rezip builds an archive anew, with right checksums.
func rezip(t testing.TB, es []zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range es {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store})
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

// rezipDeflated builds an archive of one deflated entry.
func rezipDeflated(t testing.TB, e zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	z := &zipWriter{w: &b}
	if err := errors.Join(z.whole(e.name, e.data), z.close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// peakOf gives how far the heap grew beyond what it was, at most, while f ran.
func peakOf(f func()) uint64 {
	var before, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				peak <- most
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	f()
	close(done)
	return max(<-peak, before.HeapAlloc) - before.HeapAlloc
}

func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hasRule says that a finding of the rule is there.
func hasRule(fs []Finding, name string) bool {
	for _, f := range fs {
		if f.Rule == name {
			return true
		}
	}
	return false
}
