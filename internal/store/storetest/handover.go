package storetest

import (
	"testing"
	"time"

	"carepost/internal/store"
)

// handovers: a set is on its way to a destination once, is written while it waits, ends once, and can be opened again where it failed.
func handovers(t *testing.T, s *store.Store) {
	var account store.Account
	do(t, s, func(tx *store.Tx) (err error) {
		if err := tx.InsertDomain("north.example"); err != nil {
			return err
		}
		account, err = tx.InsertAccount(address(t, "desk@north.example"))
		return err
	})
	h := store.Handover{Account: account.ID, Mailbox: "box", UID: 7, Message: "m", Target: "pacs"}
	other := h
	other.Target = "archive"
	do(t, s, func(tx *store.Tx) error { return tx.InsertHandover(&h) })
	do(t, s, func(tx *store.Tx) error { return tx.InsertHandover(&other) })
	again := h
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertHandover(&again) }), store.ErrDuplicate)

	h.Total, h.Taken = 3, 1
	h.Detail = store.HandoverDetail{Fates: "t?r", Reason: "x", Refused: []store.HandoverRefusal{{SOPInstance: "1.2", Reason: "C000"}}}
	do(t, s, func(tx *store.Tx) error { return tx.PutHandover(h) })
	h.State = store.HandoverFailed
	do(t, s, func(tx *store.Tx) error { return tx.PutHandover(h) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.PutHandover(h) }), store.ErrConflict)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Handover(h.ID)
		if got.Detail.Fates != "t?r" || len(got.Detail.Refused) != 1 || got.Total != 3 || got.Taken != 1 || got.State != store.HandoverFailed || got.UID != 7 {
			t.Errorf("%+v", got)
		}
		must(t, err)
		of, err := tx.HandoversOf("box", 7)
		must(t, err)
		failed, err := tx.Handovers(store.HandoverFailed, 10)
		must(t, err)
		n, err := tx.HandoversIn(store.HandoverWaiting)
		if len(of) != 2 || len(failed) != 1 || n != 1 {
			t.Errorf("%d of the mail, %d failed, %d wait", len(of), len(failed), n)
		}
		return err
	}))
	do(t, s, func(tx *store.Tx) error { return tx.ReopenHandover(h.ID) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.ReopenHandover(h.ID) }), store.ErrConflict)
	h.State = store.HandoverDone
	do(t, s, func(tx *store.Tx) error { return tx.PutHandover(h) })
	do(t, s, func(tx *store.Tx) error {
		n, err := tx.PruneHandovers(time.Now().Add(time.Hour))
		if n != 1 {
			t.Errorf("%d forgotten", n)
		}
		return err
	})
	do(t, s, func(tx *store.Tx) error { return tx.RemoveHandover(other.ID) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.RemoveHandover(other.ID) }), store.ErrNotFound)
}
