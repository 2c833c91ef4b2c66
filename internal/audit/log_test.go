package audit

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// newLog opens a log on a store.
func newLog(t testing.TB, s *store.Store) *Log {
	t.Helper()
	l, err := NewLog(LogOptions{Store: s, Keys: keyring.New(s)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// write writes n entries in a transaction.
func write(t testing.TB, s *store.Store, n int) {
	t.Helper()
	if err := s.Tx(t.Context(), func(tx *store.Tx) error {
		for i := range n {
			if err := Write(tx, Entry{Actor: "flow", Action: "message.accept", Object: fmt.Sprint("message:", i), Detail: map[string]string{"n": fmt.Sprint(i)}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func seal(t testing.TB, l *Log) {
	t.Helper()
	if _, err := l.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// after reads the whole log.
func after(t testing.TB, s *store.Store, seq int64) (all []Record) {
	t.Helper()
	for {
		var some []Record
		if err := s.View(t.Context(), func(tx *store.Tx) (err error) { some, err = After(tx, seq, 100); return err }); err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
		seq = some[len(some)-1].Seq
	}
}

func lastHead(t testing.TB, s *store.Store) (h store.AuditHead) {
	t.Helper()
	if err := s.View(t.Context(), func(tx *store.Tx) (err error) { h, err = tx.LastAuditHead(); return err }); err != nil {
		t.Fatal(err)
	}
	return h
}

// The order has no gaps, does not change, and its heads are those that tlog computes from the leaves alone.
func TestSealOrders(t *testing.T) {
	s := storetest.SQLite(t)
	l := newLog(t, s)
	seal(t, l)
	if got := after(t, s, 0); len(got) != 0 {
		t.Fatalf("%d records of an empty log", len(got))
	}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	total := int64(0)
	for _, n := range []int{1, 1, 3, 250, 1, 600, 2} { // across the width of a tile, and of a transaction
		write(t, s, n)
		seal(t, newLog(t, s)) // by another process
		for i, r := range after(t, s, total) {
			if r.Seq != total+int64(i)+1 || r.State != Whole || r.Detail["n"] != fmt.Sprint(i) {
				t.Fatalf("record %d: %+v", i, r)
			}
			more, err := tlog.StoredHashes(r.Seq-1, r.Digest, reader)
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, more...)
		}
		total += int64(n)
		want, err := tlog.TreeHash(total, reader)
		if err != nil {
			t.Fatal(err)
		}
		k, err := l.signer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		head, err := OpenHead(lastHead(t, s).Note, k.public)
		if err != nil || head.Size != total || head.Root != want {
			t.Fatalf("head %+v, %v; want %d %v", head, err, total, want)
		}
	}
}
