package fileset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallFiles puts n small images into a folder.
func smallFiles(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	base := readFile(t, filepath.Join(shared(t), "files", "JPEG2000.dcm"))
	uid := instanceUID(t, base)
	for i := range n {
		writeFile(t, dir, fmt.Sprintf("f%04d", i), bytes.ReplaceAll(base, uid, fmt.Appendf(nil, "%s%04d", uid[:len(uid)-4], i)))
	}
	return dir
}

// openIn tells how many files of dir this process has open.
func openIn(t *testing.T, dir string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && strings.HasPrefix(target, dir+"/") {
			n++
		}
	}
	return n
}

// Files that are held are opened once: they may be gone from their folder when they are packed. Nothing stays open afterwards.
func TestHold(t *testing.T) {
	dir := smallFiles(t, 40)
	want := packed(t, scan(t, dir))
	p, err := Scan(context.Background(), ScanOptions{Hold: true}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := openIn(t, dir); n != 40 {
		t.Fatalf("%d files are open", n)
	}
	away := dir + "-away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(away)
	if !bytes.Equal(packed(t, p), want) {
		t.Error("not the same archive")
	}
	if n := openIn(t, away); n != 0 {
		t.Errorf("%d files are open after they were packed", n)
	}
	if err := p.WriteZIP(context.Background(), io.Discard, nil); err == nil {
		t.Error("packed once more, without its files")
	}
	if p, err = Scan(context.Background(), ScanOptions{Hold: true}, away); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if n := openIn(t, away); n != 0 || !bytes.Equal(packed(t, p), want) {
		t.Errorf("%d files are open after Close, or the archive is another", n)
	}
	writeFile(t, away, "text", []byte("no DICOM"))
	if _, err := Scan(context.Background(), ScanOptions{Hold: true}, away); err == nil || openIn(t, away) != 0 {
		t.Errorf("%v, and %d files are open", err, openIn(t, away))
	}
}

// Where the system has no more descriptors to give, files are held no longer, and the set is packed all the same.
func TestHoldTooMany(t *testing.T) {
	dir := smallFiles(t, 300)
	want := packed(t, scan(t, dir))
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: openOther + 400, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	for range openOther + 150 { // others of the program
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	p, err := Scan(context.Background(), ScanOptions{Hold: true}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := openIn(t, dir); n != 0 {
		t.Errorf("%d files are held still", n)
	}
	if !bytes.Equal(packed(t, p), want) {
		t.Error("not the same archive")
	}
}
