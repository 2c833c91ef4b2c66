package stow

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"carepost/dicom"
	"carepost/dicom/stow/stowtest"
)

// shared are the DICOM files of the shared test data, one for each SOP instance.
func shared(t testing.TB) map[string]Object {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	list, err := filepath.Glob(filepath.Join(dir, "dicom", "files", "*.dcm"))
	if err != nil || len(list) < 20 {
		t.Fatalf("the shared DICOM files are not at %s: %v", dir, err)
	}
	all := map[string]Object{}
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := dicom.NewScanner(dicom.Options{Walk: true, Wanted: []dicom.Tag{0x00080018}}).ScanAt(bytes.NewReader(b), int64(len(b)))
		if err == nil && f.SOPClass != "" && f.SOPInstance == f.Data.String(0x00080018) { // two say one thing here and another there
			all[f.SOPInstance] = object(f.SOPClass, f.SOPInstance, b)
		}
	}
	return all
}

func object(class, instance string, b []byte) Object {
	return Object{SOPClass: class, SOPInstance: instance, Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// Orthanc takes what we give it, byte for byte, says the same as we understand, and knows what it has already.
func TestStoreToOrthanc(t *testing.T) {
	o := stowtest.Start(t, nil)
	c := &Client{HTTP: http.DefaultClient, URL: o.Web}
	if err := c.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := 0
	var all []Object
	var out []Outcome
	var good []Object
	for _, x := range shared(t) {
		one, err := c.Store(t.Context(), []Object{x}, func(n int) error { sent += n; return nil })
		if refused := (*StatusError)(nil); errors.As(err, &refused) && refused.Lasting() {
			one, err = []Outcome{{Fate: Failed}}, nil // what it cannot parse has it refuse the request, whatever else is in it
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, o.Log)
		}
		all, out = append(all, x), append(out, one[0])
		if one[0].Fate == Stored {
			good = append(good, x)
		}
	}
	there := o.Files(t)
	stored := 0
	for i, x := range all {
		got, has := there[x.SOPInstance]
		if said := out[i].Fate == Stored; said != has {
			t.Errorf("%s: %v, there: %v", x.SOPInstance, out[i], has)
		}
		if !has {
			continue
		}
		stored++
		r, _ := x.Open()
		want, _ := io.ReadAll(r)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes", x.SOPInstance)
		}
	}
	if stored < 15 || sent == 0 {
		t.Errorf("%d of %d stored; %d octets told", stored, len(all), sent)
	}
	again, err := c.Store(t.Context(), good, nil)
	if err != nil || o.Count(t) != stored {
		t.Fatalf("again: %v, %d instances, %d before", err, o.Count(t), stored)
	}
	for _, x := range again {
		if x.Fate != Stored {
			t.Errorf("again: %v", x)
		}
	}
}
