package storetest

import (
	"testing"
	"time"

	"carepost/internal/store"
)

// held: a recipient's mail waits once, and ends waiting once.
func held(t *testing.T, s *store.Store) {
	m, rs := accepted(t, s, "a@x.example", "b@x.example")
	for _, r := range rs {
		do(t, s, func(tx *store.Tx) error {
			return tx.InsertWaiter(store.Waiter{Recipient: r.ID, Message: m.ID, Work: "w-" + r.ID})
		})
		want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertWaiter(store.Waiter{Recipient: r.ID, Message: m.ID}) }), store.ErrDuplicate)
	}
	waiting := func() (n int) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Waiters(10)
			n = len(list)
			return err
		}))
		return n
	}
	if waiting() != 2 {
		t.Errorf("%d wait", waiting())
	}
	do(t, s, func(tx *store.Tx) error { return tx.EndWaiting(rs[0].ID, store.Released) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.EndWaiting(rs[0].ID, store.Ended) }), store.ErrConflict)
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.EndWaiting("nobody", store.Ended) }), store.ErrConflict)
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertWaiter(store.Waiter{Recipient: rs[0].ID, Message: m.ID}) }), store.ErrDuplicate)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		h, err := tx.Waiter(rs[0].ID)
		if err != nil || h.State != store.Released || h.Work != "w-"+rs[0].ID || h.Message != m.ID || h.At.IsZero() {
			t.Errorf("%+v, %v", h, err)
		}
		_, err = tx.Waiter("nobody")
		want(t, err, store.ErrNotFound)
		all, err := tx.WaitersOf(m.ID)
		if len(all) != 2 || waiting() != 1 {
			t.Errorf("%d of the message", len(all))
		}
		return err
	}))

	do(t, s, func(tx *store.Tx) error { return tx.NoteRecipient(rs[0], "held", "because: of a rule") })
	later := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	do(t, s, func(tx *store.Tx) error { return tx.Prolong(m.ID, later) }) // it has no end: it stays so
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		events, err := tx.Timeline(m.ID)
		last := events[len(events)-1]
		if last.Recipient != rs[0].ID || last.From != last.To || last.Cause != "held" || last.Detail != "because: of a rule" {
			t.Errorf("%+v", last)
		}
		m, merr := tx.Message(m.ID)
		if !m.Expires.IsZero() || merr != nil {
			t.Errorf("%v, %v", m.Expires, merr)
		}
		return err
	}))
}

// hook: a webhook goes forward, never back.
func hook(t *testing.T, s *store.Store) {
	want(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Hook("h"); return err }), store.ErrNotFound)
	at := time.Now().Truncate(time.Millisecond).UTC()
	for _, h := range []store.Hook{{ID: "h", Seq: 7}, {ID: "h", Seq: 9, Sent: at, Dropped: 1}, {ID: "h", Seq: 8, Dropped: 5}} {
		do(t, s, func(tx *store.Tx) error { return tx.PutHook(h) })
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		h, err := tx.Hook("h")
		if h != (store.Hook{ID: "h", Seq: 9, Sent: at, Dropped: 1}) {
			t.Errorf("%+v", h)
		}
		return err
	}))
}
