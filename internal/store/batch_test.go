package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"carepost/internal/vault"
)

func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	kek, err := vault.OpenKEK(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "data"), KEK: kek})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// testBlob makes the row of a small body.
func testBlob(tx *Tx, size int) Blob {
	b := Blob{ID: tx.NewID(), Size: int64(size), SHA256: []byte{1}, Inline: make([]byte, size)}
	b.KID, b.WrappedDEK = tx.s.box.WrapKey(b.ID, make([]byte, 32))
	return b
}

var errFn = errors.New("the function's own")

// neighbours are what a transaction may do to those that share its commit. Each inserts a piece of work first.
var neighbours = map[string]func(tx *Tx, cancel func()) error{
	"good":    func(*Tx, func()) error { return nil },
	"error":   func(*Tx, func()) error { return errFn },
	"panic":   func(*Tx, func()) error { panic(errFn) },
	"exit":    func(*Tx, func()) error { runtime.Goexit(); return nil },
	"cancel":  func(_ *Tx, cancel func()) error { cancel(); return nil },
	"ignores": func(tx *Tx, _ func()) error { _, _ = tx.exec(`INSERT INTO nowhere VALUES (1)`); return nil },
	"engine rolls back": func(tx *Tx, _ func()) error { // as it does on a full disk
		_, err := tx.exec(`ROLLBACK`)
		return errors.Join(err, errFn)
	},
	"commit fails": func(tx *Tx, _ func()) error {
		_, err := tx.exec(`PRAGMA defer_foreign_keys = ON`)
		_, err2 := tx.exec(`INSERT INTO blob_inline (id, data) VALUES ('none', x'00')`)
		return errors.Join(err, err2)
	},
}

// Transactions that share a commit: who is told nil is on the disk, who is told anything else is not, and nobody is told of a twin that is
// not there. Whatever the others do.
func TestSharedCommit(t *testing.T) {
	s := openTest(t, t.TempDir())
	var kinds []string
	for kind := range neighbours {
		kinds = append(kinds, kind)
	}
	var mu sync.Mutex
	told, twins, outcomes, shared := map[string]error{}, map[string]bool{}, map[string]int{}, 0
	one := func(kind, unique string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := Work{Kind: "k", Unique: unique}
		err := errors.New("it never came back")
		defer func() {
			_ = recover() // what the case "panic" leaves
			mu.Lock()
			defer mu.Unlock()
			told[w.ID] = err
			outcomes[fmt.Sprint(kind, " ", err == nil)]++
			if d := (*Duplicate)(nil); errors.As(err, &d) {
				twins[d.First] = true
			}
		}()
		err = s.Tx(ctx, func(tx *Tx) error {
			if tx.q.(*session).batch.size > 1 {
				mu.Lock()
				shared++
				mu.Unlock()
			}
			if err := tx.InsertWork(&w); err != nil {
				return err
			}
			return neighbours[kind](tx, cancel)
		})
	}
	var wg sync.WaitGroup
	for g := range 16 {
		r := rand.New(rand.NewPCG(1, uint64(g)))
		plan := make([]string, 40)
		for i := range plan {
			if plan[i] = "good"; r.IntN(3) == 0 {
				plan[i] = kinds[r.IntN(len(kinds))]
			}
		}
		wg.Go(func() {
			for i, kind := range plan {
				unique := ""
				if i%2 == 0 {
					unique = fmt.Sprint(i)
				}
				var alone sync.WaitGroup
				alone.Go(func() { one(kind, unique) }) // "exit" ends a goroutine
				alone.Wait()
			}
		})
	}
	wg.Wait()
	rows := map[string]bool{}
	err := s.View(t.Context(), func(tx *Tx) error {
		works, err := tx.Works("", 10_000)
		for _, w := range works {
			rows[w.ID] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, err := range told {
		if rows[id] != (err == nil) {
			t.Errorf("told %v, there: %v", err, rows[id])
		}
	}
	for id := range twins {
		if !rows[id] {
			t.Error("told of a twin that is not there")
		}
	}
	if shared == 0 || len(rows) == 0 || len(twins) == 0 || outcomes["commit fails true"]+outcomes["error true"]+outcomes["ignores true"] > 0 {
		t.Errorf("%d shared a commit, %d rows, %d twins: %v", shared, len(rows), len(twins), outcomes)
	}
	t.Logf("%d of %d shared a commit; %v", shared, len(told), outcomes)
}

// A full disk loses nothing that was promised, and when there is room again the store goes on without a restart.
func TestFull(t *testing.T) {
	s := openTest(t, t.TempDir())
	limit := func(pages int) {
		t.Helper()
		e := s.engine.(*sqlite)
		w := <-e.w
		defer func() { e.w <- w }()
		if err := w.do(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(200)
	var mu sync.Mutex
	promised, refused := map[string]bool{}, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				var id string
				err := s.Tx(t.Context(), func(tx *Tx) error {
					b := testBlob(tx, 30_000)
					id = b.ID
					return tx.InsertBlob(b)
				})
				mu.Lock()
				if err == nil {
					promised[id] = true
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	limit(1 << 20)
	if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.InsertWork(&Work{Kind: "k"}) }); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := s.View(t.Context(), func(tx *Tx) error {
		for id := range promised {
			if _, err := tx.Blob(id); err != nil {
				t.Errorf("promised: %v", err)
			}
		}
		var n int
		err := tx.one(`SELECT COUNT(*) FROM blob`, nil, &n)
		if n != len(promised) || n == 0 || refused == 0 {
			t.Errorf("%d rows, %d promised, %d refused", n, len(promised), refused)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A store that is closed while others write ends their transactions first: each is there, or was refused.
func TestCloseWhileWriting(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	var mu sync.Mutex
	told := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				w := Work{Kind: "k"}
				err := s.Tx(context.Background(), func(tx *Tx) error { return tx.InsertWork(&w) })
				mu.Lock()
				if w.ID != "" {
					told[w.ID] = err == nil
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	for enough := false; !enough; runtime.Gosched() {
		mu.Lock()
		enough = len(told) > 50
		mu.Unlock()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s = openTest(t, dir)
	if err := s.View(t.Context(), func(tx *Tx) error {
		works, err := tx.Works("", 1_000_000)
		for _, w := range works {
			if !told[w.ID] {
				t.Error("there, though refused")
			}
			delete(told, w.ID)
		}
		for _, ok := range told {
			if ok {
				t.Error("promised and lost")
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
