package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/transit"
)

var errStop = errors.New("stop")

func insert(t testing.TB, s *store.Store, w store.Work) store.Work {
	t.Helper()
	do(t, s, func(tx *store.Tx) error { w.ID = ""; return tx.InsertWork(&w) })
	return w
}

func claim(t testing.TB, s *store.Store, owner string, ttl time.Duration, n int) (got []store.Work) {
	t.Helper()
	do(t, s, func(tx *store.Tx) (err error) {
		got, err = tx.ClaimWork(store.Claim{Kind: "k", Lane: store.Small, Owner: owner, TTL: ttl, Limit: n,
			Backoff: func(attempt int64) time.Duration { return time.Duration(attempt) * time.Hour }})
		return err
	})
	return got
}

func look(t testing.TB, s *store.Store, id string) (w store.Work) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *store.Tx) (err error) { w, err = tx.Work(id); return err }))
	return w
}

// eventually waits for what only the engine's clock can bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func work(t *testing.T, s *store.Store) {
	w := insert(t, s, store.Work{Kind: "k", Ref: "m1", Dest: "b.example"})
	select {
	case <-s.Woken():
	default:
		t.Error("nobody was woken")
	}
	insert(t, s, store.Work{Kind: "k", Ref: "m2", After: time.Hour})
	insert(t, s, store.Work{Kind: "k", Ref: "m3", Lane: store.Huge})
	insert(t, s, store.Work{Kind: "other", Ref: "m4"})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		in, ok, err := tx.NextWork(store.Claim{Kind: "k", Lane: store.Small})
		if in != 0 || !ok {
			t.Errorf("next in %v, %v", in, ok)
		}
		_, ok, err2 := tx.NextWork(store.Claim{Kind: "none", Lane: store.Small})
		if ok {
			t.Error("work of a kind that nobody has")
		}
		return errors.Join(err, err2)
	}))
	got := claim(t, s, "me", time.Minute, 10)
	if len(got) != 1 || got[0].ID != w.ID || got[0].Attempt != 1 || got[0].Epoch != 1 || got[0].Dest != "b.example" || got[0].State != store.Leased {
		t.Fatalf("claimed %+v", got)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		in, _, err := tx.NextWork(store.Claim{Kind: "k", Lane: store.Small})
		if in < 30*time.Second || in > time.Minute {
			t.Errorf("next in %v, want the end of the lease", in)
		}
		return err
	}))

	do(t, s, func(tx *store.Tx) error { return tx.RetryWork(w.ID, 1, -1, "451 from b.example for a@b.example") })
	if r := look(t, s, w.ID); r.State != store.Ready || time.Until(r.NextAt) < 50*time.Minute || r.Error != "451 from b.example for a@b.example" || r.Owner != "" {
		t.Errorf("after the back-off was taken: %+v", r)
	}
	w2 := insert(t, s, store.Work{Kind: "k", Ref: "m5"})
	got = claim(t, s, "me", time.Minute, 10)
	if len(got) != 1 || got[0].ID != w2.ID {
		t.Fatalf("claimed %+v", got)
	}
	do(t, s, func(tx *store.Tx) error { return tx.RetryWork(w2.ID, 1, 0, "") })
	got = claim(t, s, "me", time.Minute, 10)
	if len(got) != 1 || got[0].Attempt != 2 || got[0].Epoch != 2 {
		t.Fatalf("claimed %+v", got)
	}
	do(t, s, func(tx *store.Tx) error { return tx.BuryWork(w2.ID, 2, "hopeless") })
	if r := look(t, s, w2.ID); r.State != store.Dead || r.Error != "hopeless" {
		t.Errorf("buried: %+v", r)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works("", 100)
		dead, err2 := tx.Works(store.Dead, 100)
		of, err3 := tx.WorkOf("m1")
		if len(all) != 5 || len(dead) != 1 || len(of) != 1 || of[0].ID != w.ID {
			t.Errorf("%d rows, %d dead, %d of m1", len(all), len(dead), len(of))
		}
		return errors.Join(err, err2, err3)
	}))
}

func workUnique(t *testing.T, s *store.Store) {
	w := insert(t, s, store.Work{Kind: "k", Ref: "m", Unique: "duty:1"})
	again := func() error {
		return s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertWork(&store.Work{Kind: "k", Ref: "m", Unique: "duty:1"}) })
	}
	var d *store.Duplicate
	if err := again(); !errors.As(err, &d) || d.First != w.ID {
		t.Errorf("again while ready: %v", err)
	}
	got := claim(t, s, "me", time.Minute, 1)
	want(t, again(), store.ErrDuplicate)
	do(t, s, func(tx *store.Tx) error { return tx.FinishWork(w.ID, got[0].Epoch) })
	must(t, again())
	insert(t, s, store.Work{Kind: "k", Ref: "m"}) // no key: any number
	insert(t, s, store.Work{Kind: "k", Ref: "m"})
}

// A lease that is over is claimed like work that is due; one that is renewed is not.
func lease(t *testing.T, s *store.Store) {
	w := insert(t, s, store.Work{Kind: "k", Ref: "m"})
	first := claim(t, s, "one", 50*time.Millisecond, 1)
	if len(first) != 1 {
		t.Fatal("nothing to claim")
	}
	do(t, s, func(tx *store.Tx) error { return tx.ExtendWork(w.ID, first[0].Epoch, time.Hour) })
	if got := claim(t, s, "two", time.Minute, 1); len(got) != 0 {
		t.Fatalf("claimed under a renewed lease: %+v", got)
	}
	do(t, s, func(tx *store.Tx) error { return tx.ExtendWork(w.ID, first[0].Epoch, 30*time.Millisecond) })
	var second []store.Work
	eventually(t, "the lease to end", func() bool { second = claim(t, s, "two", time.Minute, 1); return len(second) == 1 })
	if second[0].Epoch != 2 || second[0].Attempt != 2 || second[0].Owner != "two" {
		t.Errorf("second lease: %+v", second[0])
	}
}

// Whoever lost his lease changes nothing, also what else is in his transaction.
func leaseFence(t *testing.T, s *store.Store) {
	w := insert(t, s, store.Work{Kind: "k", Ref: "m"})
	claim(t, s, "one", time.Millisecond, 1)
	eventually(t, "the lease to end", func() bool { return len(claim(t, s, "two", time.Hour, 1)) == 1 })
	for name, settle := range map[string]func(*store.Tx) error{
		"finish": func(tx *store.Tx) error { return tx.FinishWork(w.ID, 1) },
		"retry":  func(tx *store.Tx) error { return tx.RetryWork(w.ID, 1, 0, "") },
		"bury":   func(tx *store.Tx) error { return tx.BuryWork(w.ID, 1, "") },
		"extend": func(tx *store.Tx) error { return tx.ExtendWork(w.ID, 1, time.Hour) },
	} {
		err := s.Tx(t.Context(), func(tx *store.Tx) error {
			must(t, tx.SetSetting("done by the loser", []byte(name), 0))
			return settle(tx)
		})
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := look(t, s, w.ID); r.State != store.Leased || r.Owner != "two" || r.Epoch != 2 {
		t.Errorf("the winner's lease: %+v", r)
	}
	want(t, s.View(t.Context(), func(tx *store.Tx) error { _, _, err := tx.Setting("done by the loser"); return err }), store.ErrNotFound)
	do(t, s, func(tx *store.Tx) error { return tx.FinishWork(w.ID, 2) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.FinishWork(w.ID, 2) }), store.ErrLeaseLost)
}

// Many who claim at once share the work: nothing twice, nothing left.
func claimOnce(t *testing.T, s *store.Store) {
	const pieces = 60
	do(t, s, func(tx *store.Tx) error {
		for i := range pieces {
			if err := tx.InsertWork(&store.Work{Kind: "k", Ref: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for {
				got := claim(t, s, fmt.Sprint(i), time.Minute, 5)
				if len(got) == 0 {
					return
				}
				for _, w := range got {
					mu.Lock()
					seen[w.ID]++
					mu.Unlock()
					do(t, s, func(tx *store.Tx) error { return tx.FinishWork(w.ID, w.Epoch) })
				}
			}
		})
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s claimed %d times", id, n)
		}
	}
	// SKIP LOCKED: a claimer may have gone home while another held the rest.
	if left := len(claim(t, s, "last", time.Minute, pieces)); left+len(seen) != pieces {
		t.Errorf("%d claimed, %d left", len(seen), left)
	}
}

// One destination takes no more leases than it may have, whoever claims, and keeps nobody else waiting.
func perDest(t *testing.T, s *store.Store) {
	c := store.Claim{Kind: "k", Lane: store.Small, Owner: "me", TTL: time.Hour, Limit: 3, PerDest: 2, Backoff: func(int64) time.Duration { return time.Hour }}
	take := func(t testing.TB) (got []store.Work) {
		do(t, s, func(tx *store.Tx) (err error) { got, err = tx.ClaimWork(c); return err })
		return got
	}
	do(t, s, func(tx *store.Tx) error {
		for range 30 {
			if err := tx.InsertWork(&store.Work{Kind: "k", Dest: "dead.example"}); err != nil {
				return err
			}
		}
		return nil
	})
	insert(t, s, store.Work{Kind: "k", Dest: "b.example"})
	insert(t, s, store.Work{Kind: "k"})
	insert(t, s, store.Work{Kind: "k"})
	insert(t, s, store.Work{Kind: "k"})
	insert(t, s, store.Work{Kind: "other", Dest: "dead.example"})
	var mu sync.Mutex
	by := map[string][]store.Work{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				got := take(t)
				mu.Lock()
				for _, w := range got {
					by[w.Dest] = append(by[w.Dest], w)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	dead := by["dead.example"]
	if len(dead) != 2 || len(by["b.example"]) != 1 || len(by[""]) != 3 {
		t.Fatalf("leases: %d, %d, %d without a destination", len(dead), len(by["b.example"]), len(by[""]))
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		in, ok, err := tx.NextWork(c)
		if ok && in < time.Minute {
			t.Errorf("next in %v, though nothing may be claimed", in)
		}
		return err
	}))
	for len(s.Woken()) > 0 {
		<-s.Woken()
	}
	do(t, s, func(tx *store.Tx) error { return tx.FinishWork(dead[0].ID, dead[0].Epoch) })
	if len(s.Woken()) == 0 {
		t.Error("nobody was woken for the destination's next")
	}
	do(t, s, func(tx *store.Tx) error { return tx.RetryWork(dead[1].ID, dead[1].Epoch, time.Hour, "") })
	if got := take(t); len(got) != 2 {
		t.Errorf("claimed %d, want two again", len(got))
	}
	c.PerDest = 0
	if got := take(t); len(got) != 3 {
		t.Errorf("claimed %d without a limit", len(got))
	}
}

func release(t *testing.T, s *store.Store) {
	insert(t, s, store.Work{Kind: "k", Ref: "mine"})
	claim(t, s, "me", time.Hour, 1)
	insert(t, s, store.Work{Kind: "k", Ref: "theirs"})
	claim(t, s, "former", time.Hour, 1)
	do(t, s, func(tx *store.Tx) error {
		n, err := tx.ReleaseWork("me")
		if n != 1 {
			t.Errorf("%d released", n)
		}
		return err
	})
	if got := claim(t, s, "me", time.Hour, 5); len(got) != 1 || got[0].Ref != "theirs" {
		t.Errorf("claimed %+v", got)
	}
}

func rollback(t *testing.T, s *store.Store) {
	count := func() (n int) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error { l, err := tx.Works("", 10); n = len(l); return err }))
		return n
	}
	after := false
	insertAnd := func(end func() error) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			tx.AfterCommit(func() { after = true })
			must(t, tx.InsertWork(&store.Work{Kind: "k"}))
			return end()
		}
	}
	want(t, s.Tx(t.Context(), insertAnd(func() error { return errStop })), errStop)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Tx(t.Context(), insertAnd(func() error { panic("bug") }))
	}()
	var ctx context.Context
	for _, pause := range []time.Duration{0, 20 * time.Millisecond} { // the driver may have rolled back by then or not
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(t.Context())
		if err := s.Tx(ctx, insertAnd(func() error { cancel(); time.Sleep(pause); return nil })); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled %v before the commit: %v", pause, err)
		}
	}
	want(t, s.Tx(ctx, insertAnd(func() error { return nil })), context.Canceled)
	if n := count(); n != 0 || after {
		t.Errorf("%d rows of transactions that failed; AfterCommit called: %v", n, after)
	}
	select {
	case <-s.Woken():
		t.Error("woken by a transaction that failed")
	default:
	}
	must(t, s.Tx(t.Context(), insertAnd(func() error { return nil })))
	if n := count(); n != 1 || !after {
		t.Errorf("%d rows; AfterCommit called: %v", n, after)
	}
	_, rs := accepted(t, s, "a@b.example") // a foreign key that leads nowhere
	if err := s.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertRecipient(&store.Recipient{Message: "none", Address: rs[0].Address})
	}); err == nil {
		t.Error("a recipient of no message")
	}
}

func viewReadOnly(t *testing.T, s *store.Store) {
	if err := s.View(t.Context(), func(tx *store.Tx) error { return tx.InsertWork(&store.Work{Kind: "k"}) }); err == nil {
		t.Error("written to in a view")
	}
}

// A view sees one moment.
func snapshot(t *testing.T, s *store.Store) {
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		before, err := tx.Works("", 10)
		must(t, err)
		insert(t, s, store.Work{Kind: "k"})
		after, err := tx.Works("", 10)
		if len(before) != 0 || len(after) != 0 {
			t.Errorf("%d rows, then %d", len(before), len(after))
		}
		return err
	}))
}

// Many clients at once: every transaction that returned nil is there, whole.
func concurrent(t *testing.T, s *store.Store) {
	const clients, each = 16, 10
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("u%d.%d@b.example", c, i)
				m := store.Message{Direction: transit.Outbound, Kind: transit.Mail, Dedupe: []byte(name)}
				if err := s.Tx(t.Context(), func(tx *store.Tx) error {
					m.ID = ""
					return errors.Join(tx.InsertMessage(&m),
						tx.InsertRecipient(&store.Recipient{Message: m.ID, Address: address(t, name)}),
						tx.InsertWork(&store.Work{Kind: "k", Ref: m.ID}))
				}); err != nil {
					t.Error(err)
					return
				}
				if err := s.View(t.Context(), func(tx *store.Tx) error {
					rs, err := tx.Recipients(m.ID)
					if len(rs) != 1 || rs[0].Address.String() != name {
						t.Errorf("recipients: %+v", rs)
					}
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works("", clients*each+1)
		if len(all) != clients*each {
			t.Errorf("%d pieces of work", len(all))
		}
		return err
	}))
}

func reopen(t *testing.T, open Opener) {
	s := open(t)
	_, rs := accepted(t, s, "lab@h.example")
	must(t, s.Close())
	s = open(t)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		r, err := tx.Recipient(rs[0].ID)
		if r.Address != rs[0].Address {
			t.Errorf("%+v", r)
		}
		return err
	}))
}
