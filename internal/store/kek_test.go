package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/vault"
)

// A key-encryption key is replaced in three steps: path.next is written, the rows are wrapped by it, it takes the place of path. The
// process ends after each of them; what is there then opens, and a new start finishes.
func TestRotateKEK(t *testing.T) {
	dir := t.TempDir()
	rotateKEK(t, func(kek vault.Keeper) store.Options { return store.Options{Dir: dir, KEK: kek} })
}

func rotateKEK(t *testing.T, options func(vault.Keeper) store.Options) {
	path := filepath.Join(t.TempDir(), "kek")
	start := func() *store.Store {
		t.Helper()
		kek, err := vault.OpenKEK(path)
		must(t, err)
		return open(t, options(kek))
	}
	value := func(s *store.Store) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			v, _, err := tx.Setting("k")
			if string(v) != "value" {
				t.Errorf("read %q", v)
			}
			return err
		}))
	}
	s := start()
	must(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetSetting("k", []byte("value"), 0) }))
	old, err := os.ReadFile(path)
	must(t, err)

	for _, steps := range []int{1, 2, 1, 3} { // and then the process ends
		must(t, s.Close())
		s = start()
		next, finish, err := vault.RotateKEK(path)
		must(t, err)
		if steps > 1 {
			must(t, s.RewrapKeys(t.Context(), next, nil))
		}
		if steps > 2 {
			must(t, finish())
		}
		if vault.Rotating(path) != (steps < 3) {
			t.Errorf("after %d steps: rotating %v", steps, !(steps < 3))
		}
		must(t, s.Close())
		s = start()
		value(s)
		_, err = s.RotateSealing(t.Context(), s.KEK(), nil) // whatever the state, a new store key is not lost
		must(t, err)
		value(s)
	}
	must(t, s.Close())
	value(start())
	if now, err := os.ReadFile(path); err != nil || string(now) == string(old) {
		t.Errorf("the key is the old one still, %v", err)
	}
	outdated := filepath.Join(t.TempDir(), "kek")
	must(t, os.WriteFile(outdated, old, 0o600))
	kek, err := vault.LoadKEK(outdated)
	must(t, err)
	if s, err := store.Open(t.Context(), optionsElsewhere(options(kek), t)); !errors.Is(err, vault.ErrKEK) {
		if err == nil {
			s.Close()
		}
		t.Errorf("opened with the old key: %v", err)
	}
}

// optionsElsewhere are for a second look at a store that is open: of SQLite at a copy.
func optionsElsewhere(o store.Options, t *testing.T) store.Options {
	if o.Dir != "" {
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(o.Dir)))
		o.Dir = dir
	}
	return o
}

// A process that runs on while its key-encryption key is replaced makes store keys that open later.
func TestRotateKEKWhileOpen(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "kek")
	kek, err := vault.OpenKEK(path)
	must(t, err)
	s := open(t, store.Options{Dir: dir, KEK: kek})
	for range 2 {
		next, finish, err := vault.RotateKEK(path)
		must(t, err)
		must(t, s.RewrapKeys(t.Context(), next, nil))
		must(t, s.RewrapKeys(t.Context(), next, nil))
		must(t, finish())
		must(t, finish())
		_, err = s.RotateSealing(t.Context(), kek, nil)
		must(t, err)
	}
	if _, err := s.RotateSealing(t.Context(), storetest.Keeper(t), nil); !errors.Is(err, vault.ErrKEK) {
		t.Errorf("a store key under another key: %v", err)
	}
	must(t, s.Reseal(t.Context(), nil))
	must(t, s.Close())
	if kek, err = vault.LoadKEK(path); err != nil {
		t.Fatal(err)
	}
	open(t, store.Options{Dir: dir, KEK: kek})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
