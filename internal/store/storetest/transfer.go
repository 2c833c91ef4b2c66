package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/store"
)

// transfer: one row for each name, whoever asks first; parts that come at once are all there.
func transfer(t *testing.T, s *store.Store) {
	hold := func(kind store.TransferKind, key string) (got store.Transfer, fresh bool) {
		t.Helper()
		do(t, s, func(tx *store.Tx) (err error) {
			got = store.Transfer{Kind: kind, Account: "A", TransferDetail: store.TransferDetail{Name: "n", Of: 3, To: []addr.Address{address(t, "Lee@h.example")}}}
			fresh, err = tx.HoldTransfer(&got, key)
			return err
		})
		return got, fresh
	}
	one, fresh := hold(store.TransferOut, "k")
	if !fresh || one.ID == "" || one.Of != 3 || one.At.IsZero() || len(one.To) != 1 {
		t.Fatalf("%v %+v", fresh, one)
	}
	if again, fresh := hold(store.TransferOut, "k"); fresh || again.ID != one.ID {
		t.Errorf("the same name: %v %+v", fresh, again)
	}
	other, fresh := hold(store.TransferIn, "k")
	if !fresh || other.ID == one.ID {
		t.Errorf("another kind: %v %+v", fresh, other)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.TransferNamed(store.TransferIn, "other"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		got, err := tx.TransferNamed(store.TransferIn, "k")
		if got.ID != other.ID {
			t.Errorf("by its name: %+v", got)
		}
		return err
	}))
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			err := s.Tx(t.Context(), func(tx *store.Tx) error {
				held := store.Transfer{Kind: store.TransferIn, Account: "A"}
				if _, err := tx.HoldTransfer(&held, "k"); err != nil {
					return err
				}
				held.Parts = append(held.Parts, store.TransferPart{N: n + 1, Message: fmt.Sprint("m", n)})
				return tx.SetTransfer(held)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Transfer(other.ID)
		if err != nil || len(got.Parts) != 4 {
			t.Errorf("parts that came at once: %v %+v", err, got.Parts)
		}
		list, err := tx.Transfers("A", store.TransferOut, 10)
		if err != nil || len(list) != 1 || list[0].ID != one.ID {
			t.Errorf("%v %+v", err, list)
		}
		list, err = tx.Transfers("B", store.TransferOut, 10)
		if len(list) != 0 {
			t.Errorf("of another account: %+v", list)
		}
		return err
	}))
	do(t, s, func(tx *store.Tx) error {
		before, err := tx.CountTransfers(store.Fragments)
		if err != nil {
			return err
		}
		for _, key := range []string{"f1", "f2", "f1"} {
			if _, err := tx.HoldTransfer(&store.Transfer{Kind: store.Fragments}, key); err != nil {
				return err
			}
		}
		n, err := tx.CountTransfers(store.Fragments)
		if n != before+2 {
			t.Errorf("%d fragmented messages, after %d", n, before)
		}
		return err
	})
	do(t, s, func(tx *store.Tx) error { return tx.RetireTransfer(one) })
	next, fresh := hold(store.TransferOut, "k")
	if !fresh || next.ID == one.ID {
		t.Errorf("after the first was retired: %v %+v", fresh, next)
	}
	do(t, s, func(tx *store.Tx) error {
		return tx.ForgetTransfers("A", store.TransferOut, time.Now().Add(-time.Hour))
	})
	do(t, s, func(tx *store.Tx) error { return tx.RemoveTransfer(next.ID) })
	do(t, s, func(tx *store.Tx) error {
		if _, err := tx.Transfer(one.ID); err != nil {
			t.Errorf("a young one was forgotten: %v", err)
		}
		if err := tx.ForgetTransfers("A", store.TransferOut, time.Now().Add(time.Hour)); err != nil {
			return err
		}
		for _, id := range []string{one.ID, next.ID} {
			if _, err := tx.Transfer(id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("forgotten: %v", err)
			}
		}
		if err := tx.SetTransfer(next); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("written: %v", err)
		}
		return nil
	})
}
