package store

import (
	"fmt"
	"testing"
	"time"
)

// The machine's clock is set back by a day while the store is open, and again before it is opened: what is due stays due, and what
// waits a second waits no longer.
func TestClockSetBack(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	day := 24 * time.Hour.Milliseconds()
	wall, mono := time.Now().UnixMilli()+10*day, time.Hour
	set := func(s *Store) {
		read := func() (int64, time.Duration) { return wall, mono }
		_, c := s.ticks.now(), s.ticks
		c.mu.Lock()
		defer c.mu.Unlock()
		c.read, c.at = read, mono
	}
	claim := func(s *Store) (ids []string) {
		t.Helper()
		if err := s.Tx(t.Context(), func(tx *Tx) error {
			ids = nil
			works, err := tx.ClaimWork(Claim{Kind: "k", Lane: Small, Limit: 9, TTL: time.Second, Backoff: func(int64) time.Duration { return 0 }})
			for _, w := range works {
				ids = append(ids, w.Ref)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	add := func(s *Store, w Work) {
		t.Helper()
		if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.InsertWork(&w) }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(got []string, want ...string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("claimed %v, want %v", got, want)
		}
	}
	set(s)
	add(s, Work{Kind: "k", Ref: "due"})
	add(s, Work{Kind: "k", Ref: "in a second", After: time.Second})
	wall -= day
	want(claim(s), "due")
	mono += 500 * time.Millisecond
	want(claim(s))
	for range 1000 { // however often it is looked at
		mono += 600 * time.Microsecond
		s.ticks.now()
	}
	want(claim(s), "due", "in a second") // the lease of one second is over as well
	before := s.ticks.now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	wall -= day
	s = openTest(t, dir)
	set(s)
	if now := s.ticks.now(); now < before-keepEvery {
		t.Errorf("opened again at %d, was %d", now, before)
	}
	mono += 3 * time.Second
	want(claim(s), "due", "in a second")
	wall += 30 * day // and set right at last
	if now := s.ticks.now(); now != wall {
		t.Errorf("now %d, want %d", now, wall)
	}
}
