package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"carepost/addr"
	"carepost/internal/store"
)

// auditLog: entries wait for their places, get each one only, and keep it when their detail is erased.
func auditLog(t *testing.T, s *store.Store) {
	var ids []string
	do(t, s, func(tx *store.Tx) (err error) {
		ids = nil
		for i := range 120 {
			a := store.Audit{ID: tx.NewID(), At: tx.Now(), Actor: "flow", Action: "act", Object: "o", Detail: fmt.Append(nil, i), Sum: []byte{1}, Digest: []byte{2}}
			if i == 0 {
				a.Sum = nil // of the first form
			}
			ids = append(ids, a.ID)
			err = errors.Join(err, tx.InsertAudit(a))
		}
		return err
	})
	view := func(fn func(*store.Tx) error) { t.Helper(); must(t, s.View(t.Context(), fn)) }
	view(func(tx *store.Tx) error {
		waits, err := tx.AuditWaits()
		n, oldest, err2 := tx.WaitingAudits()
		list, err3 := tx.AuditsToPlace(ids[9], 5)
		if !waits || n != 120 || oldest.IsZero() || len(list) != 5 || list[0].ID != ids[10] || list[0].Seq != 0 || string(list[0].Detail) != "10" {
			t.Errorf("waiting: %v %d %v %+v", waits, n, oldest, list)
		}
		return errors.Join(err, err2, err3)
	})
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.LockAudit(), tx.PlaceAudits(ids[:118], 1)) })
	for _, again := range [][]string{{ids[118], ids[7]}, {ids[118], "none"}} {
		want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.PlaceAudits(again, 119) }), store.ErrConflict)
	}
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.PlaceAudits(ids[118:], 118) }); err == nil {
		t.Error("two entries have one place")
	}
	view(func(tx *store.Tx) error {
		list, err := tx.AuditsAfter(99, 100)
		if len(list) != 19 || list[0].ID != ids[99] || list[0].Seq != 100 || list[18].Seq != 118 {
			t.Errorf("behind 99: %+v", list)
		}
		n, _, err2 := tx.WaitingAudits()
		if n != 2 {
			t.Errorf("%d wait", n)
		}
		return errors.Join(err, err2)
	})

	do(t, s, func(tx *store.Tx) error { return tx.EraseAudit(ids[3]) })
	for id, err := range map[string]error{ids[0]: store.ErrConflict, "none": store.ErrNotFound} {
		want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.EraseAudit(id) }), err)
	}
	view(func(tx *store.Tx) error {
		a, err := tx.AuditByID(ids[3])
		if a.Detail != nil || a.Closed || a.Seq != 4 || !bytes.Equal(a.Sum, []byte{1}) {
			t.Errorf("erased: %+v", a)
		}
		_, err2 := tx.AuditByID("none")
		want(t, err2, store.ErrNotFound)
		return err
	})
	tilesAndHeads(t, s)
}

func tilesAndHeads(t *testing.T, s *store.Store) {
	head := func(size int64) store.AuditHead {
		return store.AuditHead{Size: size, At: at("2026-11-21T10:00:00Z"), Note: fmt.Sprint("note ", size)}
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		tile, err := tx.AuditTile(0, 0)
		if tile != nil {
			t.Errorf("a tile %x", tile)
		}
		_, none := tx.LastAuditHead()
		want(t, none, store.ErrNotFound)
		return err
	}))
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutAuditTile(0, 0, []byte("a")), tx.PutAuditTile(0, 1, []byte("b")), tx.PutAuditTile(0, 0, []byte("ab")),
			tx.InsertAuditHead(head(0)), tx.InsertAuditHead(head(5)), tx.InsertAuditHead(head(9)), tx.DeleteAuditHead(5))
	})
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertAuditHead(head(9)) }), store.ErrDuplicate)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		tile, err := tx.AuditTile(0, 0)
		last, err2 := tx.LastAuditHead()
		heads, err3 := tx.AuditHeads(-1, 10)
		if string(tile) != "ab" || last != head(9) || !slices.Equal(heads, []store.AuditHead{head(0), head(9)}) {
			t.Errorf("tile %q, head %+v, heads %+v", tile, last, heads)
		}
		return errors.Join(err, err2, err3)
	}))

	one := addr.Address{Endpoint: "one", Domain: "h.example"}
	for i, lock := range []func(*store.Tx) error{(*store.Tx).LockAudit, func(tx *store.Tx) error { return tx.LockShown(one) }} {
		inTurn(t, s, int64(i+1), lock)
	}
}

// inTurn: whoever has the lock sees what those before have done.
func inTurn(t *testing.T, s *store.Store, place int64, lock func(*store.Tx) error) {
	t.Helper()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Tx(t.Context(), func(tx *store.Tx) error {
				if err := lock(tx); err != nil {
					return err
				}
				tile, err := tx.AuditTile(1, place)
				if err != nil {
					return err
				}
				return tx.PutAuditTile(1, place, append(tile, 'x'))
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		tile, err := tx.AuditTile(1, place)
		if len(tile) != 8 {
			t.Errorf("lengthened %d times of 8", len(tile))
		}
		return err
	}))
}
