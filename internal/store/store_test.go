package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/vault"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		dir, kek := storetest.Dir(t, t.TempDir()), storetest.Keeper(t)
		return func(t *testing.T) *store.Store { return open(t, store.Options{Dir: dir, KEK: kek}) }
	})
	t.Run("Rotation", func(t *testing.T) {
		dir, kek := t.TempDir(), storetest.Keeper(t)
		storetest.Rotation(t, func(t *testing.T) *store.Store { return open(t, store.Options{Dir: dir, KEK: kek}) }, func(*testing.T) {})
	})
}

func TestPostgres(t *testing.T) {
	server := storetest.Postgres(t)
	var n atomic.Int32
	schema := func(t *testing.T) (dsn string) {
		dsn = fmt.Sprintf("%s search_path=s%d", server, n.Add(1))
		storetest.Schema(t, dsn)
		return dsn
	}
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		dsn, kek := schema(t), storetest.Keeper(t)
		return func(t *testing.T) *store.Store { return open(t, store.Options{DSN: dsn, KEK: kek}) }
	})
	t.Run("Rotation", func(t *testing.T) {
		dsn, kek := schema(t), storetest.Keeper(t)
		storetest.Rotation(t, func(t *testing.T) *store.Store { return open(t, store.Options{DSN: dsn, KEK: kek}) }, func(t *testing.T) {
			storetest.SQL(t, dsn, "UPDATE sealkey SET created_at = created_at - 7200000")
		})
	})
	t.Run("RotateKEK", func(t *testing.T) {
		dsn := schema(t)
		rotateKEK(t, func(kek vault.Keeper) store.Options { return store.Options{DSN: dsn, KEK: kek} })
	})
	t.Run("RetireCert", func(t *testing.T) { retire(t, open(t, store.Options{DSN: schema(t), KEK: storetest.Keeper(t)})) })
	t.Run("RotationBetweenNodes", func(t *testing.T) { rotationBetweenNodes(t, schema(t)) })
	t.Run("RetryRace", func(t *testing.T) { retryRace(t, schema(t)) })
}

func open(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOpenRefuses(t *testing.T) {
	dir, kek := t.TempDir(), storetest.Keeper(t)
	for _, o := range []store.Options{{}, {Dir: dir}, {KEK: kek}, {Dir: dir, DSN: "x", KEK: kek}} {
		if _, err := store.Open(t.Context(), o); err == nil {
			t.Errorf("opened with %+v", o)
		}
	}
	s := open(t, store.Options{Dir: dir, KEK: kek})
	if _, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: kek}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second owner: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if err := s.View(t.Context(), func(*store.Tx) error { return nil }); err == nil {
		t.Error("read from a closed store")
	}
	if _, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: storetest.Keeper(t)}); !errors.Is(err, vault.ErrKEK) {
		t.Errorf("another KEK: %v", err)
	}
	open(t, store.Options{Dir: dir, KEK: kek}) // the lock of the failed opening is gone
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data ?#%41 ü") // a name that a URL would read differently
	open(t, store.Options{Dir: dir, KEK: storetest.Keeper(t)})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 3 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(e.Name(), "carepost.db") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}
