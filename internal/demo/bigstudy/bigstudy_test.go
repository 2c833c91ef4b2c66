package bigstudy

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// valid fails when dciodvfy finds an error in an object.
func valid(t *testing.T, path string, args ...string) {
	t.Helper()
	out, err := exec.Command("dciodvfy", append(args, path)...).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("Error")) {
		t.Errorf("%s: %v\n%s", filepath.Base(path), err, out)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := Write(context.Background(), dir, 2, 3*frame+1); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(filepath.Join(dir, "volume001.dcm"))
	if err != nil || len(a) < 3*frame {
		t.Fatalf("%v: %d bytes", err, len(a))
	}
	valid(t, filepath.Join(dir, "volume002.dcm"))
	again := t.TempDir()
	if err := Write(context.Background(), again, 1, 3*frame+1); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(again, "volume001.dcm")); err != nil || !bytes.Equal(a, b) {
		t.Error("the same call gave other bytes")
	}
}

// DCM-09 to DCM-11: the study in the binary is what this package makes, and valid for the dental profile.
func TestDental(t *testing.T) {
	dir := t.TempDir()
	if err := Dental(dir); err != nil {
		t.Fatal(err)
	}
	carried := os.DirFS(filepath.Join("..", "study", "files"))
	names, err := fs.Glob(carried, "*")
	if err != nil || len(names) != len(exposures) {
		t.Fatalf("%v %v", names, err)
	}
	for _, name := range names {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(carried, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what Dental makes: run go run internal/demo/bigstudy/write.go -dental -dir internal/demo/study/files", name)
		}
		valid(t, filepath.Join(dir, name), "-profile", "Dental")
	}
}
