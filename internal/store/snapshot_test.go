package store_test

import (
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// A snapshot is one moment of a store that others write to, and a store itself.
func TestSnapshot(t *testing.T) {
	kek := storetest.Keeper(t)
	s := open(t, store.Options{Dir: t.TempDir(), KEK: kek})
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var promised []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				w := store.Work{Kind: "k"}
				if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertWork(&w) }); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				promised = append(promised, w.ID)
				mu.Unlock()
			}
		})
	}
	for n := 0; n < 100; {
		mu.Lock()
		n = len(promised)
		mu.Unlock()
	}
	mu.Lock()
	before := len(promised)
	mu.Unlock()
	dir := t.TempDir()
	path := filepath.Join(dir, "carepost.db")
	must(t, s.Snapshot(t.Context(), path))
	stop()
	wg.Wait()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := s.Snapshot(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if err := s.Snapshot(t.Context(), filepath.Join(dir, "none", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into nowhere: %v", err)
	}
	if err := s.Snapshot(ctx, filepath.Join(dir, "cancelled")); err == nil {
		t.Error("made though cancelled")
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	if hidden, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(hidden) != 0 {
		t.Errorf("%v, %v", hidden, err)
	}
	c := open(t, store.Options{Dir: dir, KEK: kek})
	must(t, c.View(t.Context(), func(tx *store.Tx) error {
		for _, id := range promised[:before] {
			if _, err := tx.Work(id); err != nil {
				t.Errorf("promised before and not in the copy: %v", err)
			}
		}
		return nil
	}))
}

// fixtureKEK is the key 1, 2, … 32 under which the fixtures are.
func fixtureKEK(t *testing.T) vault.Keeper {
	t.Helper()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i + 1)
	}
	path := filepath.Join(t.TempDir(), "kek")
	must(t, os.WriteFile(path, []byte("base64key://"+base64.URLEncoding.EncodeToString(secret)), 0o600))
	k, err := vault.LoadKEK(path)
	must(t, err)
	return k
}

func fixture(t *testing.T, name, path string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	db, err := io.ReadAll(z)
	must(t, err)
	must(t, os.WriteFile(path, db, 0o600))
}

// A store of the second version is copied before it is brought up to date, and has all that it had.
func TestUpgrade(t *testing.T) {
	dir, kek := t.TempDir(), fixtureKEK(t)
	fixture(t, "version-2.db.gz", filepath.Join(dir, "carepost.db"))
	must(t, os.WriteFile(filepath.Join(dir, ".snapshot-1"), nil, 0o600)) // of a process that was killed
	must(t, os.WriteFile(filepath.Join(dir, "carepost.db.before-3"), []byte("of an attempt that was given up"), 0o600))
	lab := addr.Address{Endpoint: "lab", Domain: "north.example"}
	for range 2 {
		s := open(t, store.Options{Dir: dir, KEK: kek})
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			a, err := tx.Account(lab)
			if !a.Closed.IsZero() || a.HasPassword || a.Drops != (store.Drops{}) {
				t.Errorf("account: %+v", a)
			}
			boxes, err2 := tx.Mailboxes(a.ID)
			mails, err3 := tx.ListMail(boxes[0].ID, 0, 10)
			if len(mails) != 1 || mails[0].Subject != "Befund" {
				t.Errorf("mails: %+v", mails)
			}
			b, err4 := tx.Blob(mails[0].Blob)
			_, err5 := s.Box().UnwrapKey(b.ID, b.WrappedDEK)
			certs, err6 := tx.Certs(store.Owner{Address: lab})
			anchors, err7 := tx.Anchors(store.Owner{Domain: "north.example"}, transit.Inbound)
			if len(certs) != 1 || len(anchors) != 1 {
				t.Errorf("certificates %v, anchors %v", certs, anchors)
			}
			return errors.Join(err, err2, err3, err4, err5, err6, err7)
		}))
		must(t, s.Reseal(t.Context(), nil))
		must(t, s.Close())
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "carepost.db carepost.db.before-3" {
		t.Errorf("files: %s", got)
	}
	back := t.TempDir() // the copy is the store as it was
	must(t, os.Rename(filepath.Join(dir, "carepost.db.before-3"), filepath.Join(back, "carepost.db")))
	s := open(t, store.Options{Dir: back, KEK: kek})
	must(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Account(lab); return err }))
	if _, err := os.Stat(filepath.Join(back, "carepost.db.before-3")); err != nil {
		t.Errorf("it was of the second version: %v", err)
	}
}

// A store of the first version takes both steps; its copy is of the first.
func TestUpgradeFirst(t *testing.T) {
	dir, kek := t.TempDir(), fixtureKEK(t)
	path := filepath.Join(dir, "carepost.db")
	fixture(t, "version-2.db.gz", path)
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec("DROP TABLE last_seen; DROP INDEX work_leased; DELETE FROM goose_db_version WHERE version_id = 2")
	must(t, errors.Join(err, db.Close()))
	s := open(t, store.Options{Dir: dir, KEK: kek})
	must(t, s.Check(t.Context()))
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Account(addr.Address{Endpoint: "lab", Domain: "north.example"})
		return err
	}))
	if _, err := os.Stat(path + ".before-2"); err != nil {
		t.Error(err)
	}
}
