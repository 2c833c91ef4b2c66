package storetest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"carepost/internal/store"
)

// collecting: a mail at a provider is looked at once, whatever came of it, until the operator has it looked at again; what is gone is forgotten
// in time, and what was heard last never goes back.
func collecting(t *testing.T, s *store.Store) {
	heard := time.UnixMilli(1_800_000_000_000).UTC()
	c := store.Collect{ID: "box", Heard: heard, Detail: store.CollectDetail{Error: "no connection", Failed: 2}}
	want(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Collect("box"); return err }), store.ErrNotFound)
	do(t, s, func(tx *store.Tx) error { return tx.PutCollect(c) })
	c.Heard, c.Detail = heard.Add(-time.Hour), store.CollectDetail{}
	do(t, s, func(tx *store.Tx) error { return tx.PutCollect(c) })
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Collect("box")
		if !got.Heard.Equal(heard) || got.Detail != (store.CollectDetail{}) {
			t.Errorf("%+v", got)
		}
		return err
	}))

	taken := store.Collected{Source: "box", Item: []byte("1"), State: store.CollectTaken, Message: "m", Size: 7}
	refused := store.Collected{Source: "box", Item: []byte("2"), State: store.CollectRefused, Reason: "too large"}
	for _, row := range []*store.Collected{&taken, &refused} {
		do(t, s, func(tx *store.Tx) error { return tx.InsertCollected(row) })
		again := *row
		want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertCollected(&again) }), store.ErrDuplicate)
	}
	other := store.Collected{Source: "another", Item: []byte("1"), State: store.CollectTaken}
	do(t, s, func(tx *store.Tx) error { return tx.InsertCollected(&other) })
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.CollectedAs("box", []byte("1"))
		if got.Message != "m" || got.Size != 7 || got.State != store.CollectTaken {
			t.Errorf("%+v", got)
		}
		must(t, err)
		list, err := tx.CollectedIn("box", store.CollectRefused, 10)
		must(t, err)
		n, err := tx.CountCollected("box", store.CollectTaken)
		if len(list) != 1 || list[0].Reason != "too large" || n != 1 {
			t.Errorf("%+v, %d taken", list, n)
		}
		return err
	}))
	lying := func(want ...string) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			got, err := tx.CollectedLying("box")
			if !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
				t.Errorf("%q lie there, want %q", got, want)
			}
			return err
		}))
	}
	lost := store.Collected{Source: "box", Item: []byte("3"), State: store.CollectTaken}
	forgotten := store.Collected{Source: "box", Item: []byte("4"), State: store.CollectRefused}
	for _, row := range []*store.Collected{&lost, &forgotten} {
		do(t, s, func(tx *store.Tx) error { return tx.InsertCollected(row) })
	}
	lying("1", "2", "3", "4")
	for _, row := range []*store.Collected{&lost, &forgotten} {
		do(t, s, func(tx *store.Tx) error { return tx.CollectedLost(row.ID) })
	}
	lying("1", "2")
	do(t, s, func(tx *store.Tx) error { return tx.CollectedGone(taken.ID) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.CollectedGone(taken.ID) }), store.ErrNotFound)
	do(t, s, func(tx *store.Tx) error { return tx.TouchCollected(taken.ID) })
	do(t, s, func(tx *store.Tx) error {
		n, err := tx.RetryCollected("box")
		must(t, err)
		gone, err := tx.PruneCollected("box", time.Now().Add(time.Hour))
		if n != 1 || gone != 2 {
			t.Errorf("%d looked at again, %d forgotten", n, gone)
		}
		return err
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.CollectedAs("another", []byte("1"))
		return err
	}))
}
