package storetest

import (
	"errors"
	"testing"
	"time"

	"carepost/internal/store"
)

// operate: the operator holds, retries and cancels, and goes past no lease.
func operate(t *testing.T, s *store.Store) {
	try := func(fn func(*store.Tx, string) error, id string) error {
		return s.Tx(t.Context(), func(tx *store.Tx) error { return fn(tx, id) })
	}
	hold, retry, cancel := (*store.Tx).HoldWork, (*store.Tx).RetryWorkNow, (*store.Tx).CancelWork
	for _, fn := range []func(*store.Tx, string) error{hold, retry, cancel} {
		want(t, try(fn, "none"), store.ErrNotFound)
	}
	w := insert(t, s, store.Work{Kind: "k", Ref: "m", Unique: "duty", After: time.Hour})
	again := func() error {
		return s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertWork(&store.Work{Kind: "k", Ref: "m", Unique: "duty"}) })
	}
	must(t, try(hold, w.ID))
	must(t, try(hold, w.ID))
	if got := look(t, s, w.ID); got.State != store.Held {
		t.Errorf("held: %+v", got)
	}
	want(t, again(), store.ErrDuplicate)
	for len(s.Woken()) > 0 {
		<-s.Woken()
	}
	must(t, try(retry, w.ID))
	if len(s.Woken()) == 0 {
		t.Error("nobody was woken")
	}
	got := claim(t, s, "me", time.Hour, 1)
	if len(got) != 1 || got[0].ID != w.ID || got[0].Attempt != 1 {
		t.Fatalf("claimed %+v", got)
	}
	want(t, try(hold, w.ID), store.ErrConflict)
	want(t, try(retry, w.ID), store.ErrConflict)
	do(t, s, func(tx *store.Tx) error { return tx.BuryWork(w.ID, 1, "hopeless") })
	want(t, try(hold, w.ID), store.ErrConflict)

	must(t, again()) // what is dead stands in nobody's way,
	var d *store.Duplicate
	err := try(retry, w.ID) // but does not come back beside its successor
	if !errors.As(err, &d) || d.First == w.ID {
		t.Errorf("retried beside its successor: %v", err)
	}
	must(t, try(cancel, d.First))
	must(t, try(retry, w.ID))
	if got := look(t, s, w.ID); got.State != store.Ready || got.Attempt != 1 || got.Error != "hopeless" {
		t.Errorf("retried: %+v", got)
	}
	must(t, try(retry, w.ID)) // it is ready already

	got = claim(t, s, "me", time.Hour, 1)
	must(t, try(cancel, w.ID))
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.FinishWork(w.ID, got[0].Epoch) }), store.ErrLeaseLost)
	want(t, try(cancel, w.ID), store.ErrNotFound)

	gone := insert(t, s, store.Work{Kind: "k", Ref: "m"}) // whose worker is gone: the lease is over, and its work like any other
	claim(t, s, "gone", time.Millisecond, 1)
	eventually(t, "the lease to end", func() bool { return try(hold, gone.ID) == nil })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.FinishWork(gone.ID, 1) }), store.ErrLeaseLost)
	if got := claim(t, s, "me", time.Hour, 5); len(got) != 0 {
		t.Errorf("claimed though held: %+v", got)
	}
}
