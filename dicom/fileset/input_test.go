package fileset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// Objects from a store make the very archive that the same objects in files make.
func TestScanInputs(t *testing.T) {
	var inputs []Input
	var paths []string
	for _, name := range []string{"CT_small.dcm", "MR_small_implicit.dcm", "io8.dcm"} {
		path := filepath.Join(shared(t), "files", name)
		b := readFile(t, path)
		paths = append(paths, path)
		inputs = append(inputs, Input{Name: path, Size: int64(len(b)), Open: func() (File, error) { return inMemory{bytes.NewReader(b)}, nil }})
	}
	inputs = append(inputs, inputs[0]) // twice the same
	fromFiles, err := Scan(context.Background(), ScanOptions{}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ScanInputs(context.Background(), ScanOptions{}, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packed(t, p), packed(t, fromFiles)) {
		t.Error("another archive")
	}
	inputs[1].Open = func() (File, error) { return nil, os.ErrClosed }
	var wrong *InputError
	if _, err := ScanInputs(context.Background(), ScanOptions{}, inputs...); !errors.As(err, &wrong) {
		t.Errorf("an object that cannot be opened: %v", err)
	}
}
