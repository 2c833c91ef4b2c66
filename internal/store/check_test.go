package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A database that opens and reads in part is damaged all the same: a page of zeros, an index without its rows, a reference to nothing.
func TestCheck(t *testing.T) {
	zero := func(t *testing.T, dir string, _ *Store) {
		path := filepath.Join(dir, "data", "carepost.db")
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 4096), info.Size()-11*4096); err != nil {
			t.Fatal(err)
		}
	}
	statement := func(texts ...string) func(*testing.T, string, *Store) {
		return func(t *testing.T, _ string, s *Store) {
			e := s.engine.(*sqlite)
			w := <-e.w
			defer func() { e.w <- w }()
			for _, text := range texts {
				if err := w.do(text); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		open, shut func(t *testing.T, dir string, s *Store) // what is done to it while it is open, and then
		want       error
	}{
		"whole":     {},
		"zeros":     {shut: zero, want: ErrDamaged},
		"reference": {open: statement("PRAGMA foreign_keys = OFF", "DELETE FROM blob"), want: ErrDamaged},
		"index":     {open: statement("PRAGMA writable_schema = ON", "DELETE FROM sqlite_schema WHERE name = 'blob_key'"), want: ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir)
			if err := s.Tx(t.Context(), func(tx *Tx) error {
				var errs []error
				for range 30 {
					errs = append(errs, tx.InsertBlob(testBlob(tx, 30_000)))
				}
				return errors.Join(errs...)
			}); err != nil {
				t.Fatal(err)
			}
			if c.open != nil {
				c.open(t, dir, s)
			}
			if c.shut != nil {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				c.shut(t, dir, s)
				s = openTest(t, dir)
			}
			if err := s.Check(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// On a file system without hard links a copy gets its name too, and still not that of another file.
func TestPlaceNew(t *testing.T) {
	none := func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM} }
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for i, want := range []error{nil, fs.ErrExist} {
		if err := os.WriteFile(from, []byte{byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := placeNew(from, to, none); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if text, err := os.ReadFile(to); err != nil || len(text) != 1 || text[0] != 0 {
		t.Errorf("%q, %v", text, err)
	}
	if err := placeNew(from, filepath.Join(dir, "none", "x"), none); !errors.Is(err, syscall.EPERM) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into nowhere: %v", err)
	}
}
