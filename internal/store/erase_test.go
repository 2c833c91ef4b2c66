package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A body that is swept cannot be opened by whoever gets the files later, with all keys: its data key is nowhere in them.
func TestSweptIsErased(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	var b Blob
	if err := s.Tx(t.Context(), func(tx *Tx) error {
		var errs []error
		for i := range 200 {
			other := testBlob(tx, 100)
			if errs = append(errs, tx.InsertBlob(other)); i == 100 {
				b = testBlob(tx, 20_000)
				errs = append(errs, tx.InsertBlob(b))
			}
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	found := func() bool {
		t.Helper()
		if err := s.Close(); err != nil { // which brings the log into the database
			t.Fatal(err)
		}
		defer func() { s = openTest(t, dir) }()
		files, err := filepath.Glob(filepath.Join(dir, "data", "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(data, b.WrappedDEK)
	}
	if !found() {
		t.Fatal("the data key is not found where it must be")
	}
	if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.KillBlob(b.ID) }); err != nil {
		t.Fatal(err)
	}
	if !found() {
		t.Error("erased though only dead")
	}
	if err := s.Tx(t.Context(), func(tx *Tx) error {
		dead, err := tx.DeadBlobs(tx.Now().Add(time.Hour), 1)
		if len(dead) != 1 {
			t.Errorf("dead: %v", dead)
		}
		return errors.Join(err, tx.SweepBlob(b.ID))
	}); err != nil {
		t.Fatal(err)
	}
	if found() {
		t.Error("the data key is there still")
	}
}
