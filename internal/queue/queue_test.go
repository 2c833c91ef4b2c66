package queue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

func add(t *testing.T, s *store.Store, w store.Work) string {
	t.Helper()
	if w.Kind == "" {
		w.Kind = "k"
	}
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { w.ID = ""; return tx.InsertWork(&w) }); err != nil {
		t.Fatal(err)
	}
	return w.ID
}

// left gives the row of some work; ok is false when it is finished.
func left(t *testing.T, s *store.Store, id string) (w store.Work, ok bool) {
	t.Helper()
	err := s.View(context.WithoutCancel(t.Context()), func(tx *store.Tx) (err error) { w, err = tx.Work(id); return err })
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return w, err == nil
}

// run runs a queue until the returned function is called.
func run(t *testing.T, o Options, hs ...Handler) (stop func()) {
	t.Helper()
	q, err := New(o, hs...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("in vain: %s", what)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	s := storetest.SQLite(t)
	do := func(context.Context, *Job) error { return nil }
	for name, hs := range map[string][]Handler{
		"no kind": {{Do: do}}, "no Do": {{Kind: "k"}}, "twice": {{Kind: "k", Do: do}, {Kind: "k", Lane: store.Small, Do: do}},
	} {
		if _, err := New(Options{Store: s}, hs...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no store: accepted")
	}
	if _, err := New(Options{Store: s}, Handler{Kind: "k", Do: do}, Handler{Kind: "k", Lane: store.Huge, Do: do}); err != nil {
		t.Errorf("two lanes: %v", err)
	}
}

// Nil finishes, an error waits for the back-off, a panic is an error, and what the handler settled stays settled.
func TestOutcomes(t *testing.T) {
	s := storetest.SQLite(t)
	hour := func(int64) time.Duration { return time.Hour }
	run(t, Options{Store: s}, Handler{Kind: "k", Workers: 3, Backoff: hour, Do: func(ctx context.Context, j *Job) error {
		settle := func(f func(*store.Tx) error) error { return s.Tx(ctx, f) }
		switch j.Ref {
		case "error":
			return errors.New("not now")
		case "panic":
			panic("bug")
		case "finish":
			return settle(j.Finish)
		case "bury":
			return settle(func(tx *store.Tx) error { return j.Bury(tx, "never") })
		case "rolled back": // Finish was called, but its transaction failed
			return settle(func(tx *store.Tx) error { return errors.Join(j.Finish(tx), errors.New("and then this")) })
		}
		return nil
	}})
	for ref, want := range map[string]store.WorkState{"nil": "", "error": store.Ready, "panic": store.Ready, "finish": "", "bury": store.Dead, "rolled back": store.Ready} {
		id := add(t, s, store.Work{Ref: ref})
		eventually(t, ref, func() bool {
			w, ok := left(t, s, id)
			if want == "" {
				return !ok
			}
			return ok && w.State == want && w.Attempt == 1 && w.Error != ""
		})
		if w, ok := left(t, s, id); ok && w.State == store.Ready && time.Until(w.NextAt) < 50*time.Minute {
			t.Errorf("%s: due again at %v", ref, w.NextAt)
		}
	}
}

// A handler that decides about the errors of others learns of their panics too.
func TestSafely(t *testing.T) {
	s := storetest.SQLite(t)
	run(t, Options{Store: s}, Handler{Kind: "k", Do: func(ctx context.Context, j *Job) error {
		if err := j.Safely(ctx, func(context.Context, *Job) error { panic("bug") }); err == nil {
			t.Error("no error of a panic")
		}
		if err := j.Safely(ctx, func(context.Context, *Job) error { return errPatience }); !errors.Is(err, errPatience) {
			t.Errorf("error %v", err)
		}
		return s.Tx(ctx, func(tx *store.Tx) error { return j.Bury(tx, "given up") })
	}})
	id := add(t, s, store.Work{})
	eventually(t, "the burial", func() bool { w, ok := left(t, s, id); return ok && w.State == store.Dead })
}

// What is put in while the queue sleeps is done at once, and what is due later is done when it is due, however rarely it polls.
func TestWakeUp(t *testing.T) {
	s := storetest.SQLite(t)
	did := make(chan string, 2)
	run(t, Options{Store: s, Poll: time.Hour}, Handler{Kind: "k", Do: func(_ context.Context, j *Job) error { did <- j.Ref; return nil }})
	begun := time.Now()
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { // in one, however slow the machine is
		return errors.Join(tx.InsertWork(&store.Work{Kind: "k", Ref: "later", After: 300 * time.Millisecond}), tx.InsertWork(&store.Work{Kind: "k", Ref: "now"}))
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"now", "later"} {
		select {
		case got := <-did:
			if got != want {
				t.Errorf("did %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("never did %q", want)
		}
	}
	if d := time.Since(begun); d < 300*time.Millisecond {
		t.Errorf("due after 300 ms, done after %v", d)
	}
}

// Huge work does not keep small work waiting, and no more workers run than were asked for.
func TestLanesAndWorkers(t *testing.T) {
	s := storetest.SQLite(t)
	hold, small := make(chan struct{}), make(chan struct{}, 20)
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	var now, most atomic.Int32
	run(t, Options{Store: s},
		Handler{Kind: "k", Lane: store.Huge, Workers: 2, Do: func(context.Context, *Job) error {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-hold
			now.Add(-1)
			return nil
		}},
		Handler{Kind: "k", Do: func(context.Context, *Job) error { small <- struct{}{}; return nil }})
	var huge []string
	for range 6 {
		huge = append(huge, add(t, s, store.Work{Lane: store.Huge}))
	}
	eventually(t, "two huge ones", func() bool { return now.Load() == 2 })
	for range 10 {
		add(t, s, store.Work{})
	}
	for range 10 {
		wait(t, "small work", small)
	}
	release()
	eventually(t, "the rest", func() bool {
		for _, id := range huge {
			if _, ok := left(t, s, id); ok {
				return false
			}
		}
		return true
	})
	if most.Load() != 2 {
		t.Errorf("%d huge ones at once", most.Load())
	}
}

// A lease is renewed while the work moves.
func TestHeartbeat(t *testing.T) {
	s := storetest.SQLite(t)
	const ttl = time.Second // a busy machine may be late by much of it
	runs, finish := make(chan struct{}, 9), make(chan struct{})
	run(t, Options{Store: s, TTL: ttl, Poll: 10 * time.Millisecond}, Handler{Kind: "k", Workers: 2, Do: func(ctx context.Context, j *Job) error {
		runs <- struct{}{}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
				if err := j.Progress(); err != nil {
					return err
				}
			}
		}
	}})
	id := add(t, s, store.Work{})
	wait(t, "the start", runs)
	begun := time.Now()
	eventually(t, "three leases long", func() bool { return time.Since(begun) > 3*ttl })
	close(finish)
	eventually(t, "the end", func() bool { _, ok := left(t, s, id); return !ok })
	if len(runs) > 0 {
		t.Error("done twice")
	}
}

// A lease is renewed on after a transaction that was to settle the work has failed.
func TestHeartbeatAfterAFailedEnd(t *testing.T) {
	s := storetest.SQLite(t)
	const ttl = time.Second
	runs, finish := make(chan struct{}, 9), make(chan struct{})
	run(t, Options{Store: s, TTL: ttl, Poll: 10 * time.Millisecond}, Handler{Kind: "k", Workers: 2, Do: func(ctx context.Context, j *Job) error {
		runs <- struct{}{}
		if err := s.Tx(ctx, func(tx *store.Tx) error { return errors.Join(j.Finish(tx), errors.New("no")) }); err == nil {
			t.Error("the transaction did not fail")
		}
		select {
		case <-finish:
		case <-ctx.Done():
		}
		return context.Cause(ctx)
	}})
	id := add(t, s, store.Work{})
	wait(t, "the start", runs)
	begun := time.Now()
	eventually(t, "two leases long", func() bool { return time.Since(begun) > 2*ttl })
	close(finish)
	eventually(t, "the end", func() bool { _, ok := left(t, s, id); return !ok })
	if len(runs) > 0 {
		t.Error("done twice")
	}
}

// A destination that does not answer takes two workers, not all; its next work starts when one of them is free, however rarely the
// queue polls.
func TestDeadDestination(t *testing.T) {
	s := storetest.SQLite(t)
	hold, alive := make(chan struct{}), make(chan struct{}, 20)
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	var now, most, dead atomic.Int32
	run(t, Options{Store: s, Poll: time.Hour}, Handler{Kind: "k", Workers: 4, Do: func(_ context.Context, j *Job) error {
		if j.Dest != "dead.example" {
			alive <- struct{}{}
			return nil
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-hold
		now.Add(-1)
		dead.Add(1)
		return nil
	}})
	for range 12 {
		add(t, s, store.Work{Dest: "dead.example"})
	}
	eventually(t, "two for the dead", func() bool { return now.Load() == 2 })
	for range 6 {
		add(t, s, store.Work{Dest: "b.example"})
		add(t, s, store.Work{})
	}
	for range 12 {
		wait(t, "work for the living", alive)
	}
	release()
	eventually(t, "the rest", func() bool { return dead.Load() == 12 })
	if most.Load() != 2 {
		t.Errorf("%d for one destination at once", most.Load())
	}
}

// Work that does not move is stopped, and another attempt is made when its lease is over.
func TestPatience(t *testing.T) {
	s := storetest.SQLite(t)
	causes := make(chan error, 1)
	run(t, Options{Store: s, TTL: 90 * time.Millisecond, Poll: 10 * time.Millisecond},
		Handler{Kind: "k", Patience: 20 * time.Millisecond, Backoff: func(int64) time.Duration { return 0 },
			Do: func(ctx context.Context, j *Job) error {
				if j.Attempt > 1 {
					return nil
				}
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return ctx.Err()
			}})
	id := add(t, s, store.Work{})
	if err := <-causes; !errors.Is(err, errPatience) {
		t.Errorf("stopped by %v", err)
	}
	eventually(t, "the second attempt", func() bool { _, ok := left(t, s, id); return !ok })
}

// Who loses the lease is told by ctx, Progress and Beat, and his result does not count.
func TestLeaseLost(t *testing.T) {
	s := storetest.SQLite(t)
	started, told, hold := make(chan struct{}), make(chan error, 4), make(chan struct{})
	defer close(hold)
	run(t, Options{Store: s, Owner: "one", TTL: 300 * time.Millisecond}, Handler{Kind: "k", Do: func(ctx context.Context, j *Job) error {
		close(started)
		<-ctx.Done()
		told <- context.Cause(ctx)
		told <- j.Progress()
		told <- j.Beat(context.WithoutCancel(ctx))
		told <- s.Tx(context.WithoutCancel(ctx), j.Finish)
		<-hold
		return nil // and this is no settling either
	}})
	id := add(t, s, store.Work{})
	wait(t, "the start", started)
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.ReleaseWork("two"); return err }); err != nil {
		t.Fatal(err)
	}
	two, err := New(Options{Store: s, Owner: "two", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// The first owner has no worker left to claim it again.
	jobs, err := two.Claim(t.Context(), "k", "", 5)
	if err != nil || len(jobs) != 1 || jobs[0].Epoch != 2 {
		t.Fatalf("second claim: %v, %v", jobs, err)
	}
	for range cap(told) {
		if err := <-told; !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("told %v", err)
		}
	}
	if w, ok := left(t, s, id); !ok || w.Owner != "two" {
		t.Errorf("the work of the second: %+v, %v", w, ok)
	}
	if err := s.Tx(t.Context(), jobs[0].Finish); err != nil {
		t.Errorf("the second: %v", err)
	}
}

// A queue that stops gives its work back; the next one has it at once.
func TestStopAndStart(t *testing.T) {
	s := storetest.SQLite(t)
	started := make(chan struct{}, 1)
	stop := run(t, Options{Store: s, Owner: "one"}, Handler{Kind: "k", Do: func(ctx context.Context, _ *Job) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	id := add(t, s, store.Work{})
	wait(t, "the start", started)
	stop()
	if w, ok := left(t, s, id); !ok || w.State != store.Ready || time.Until(w.NextAt) > time.Second {
		t.Errorf("after the stop: %+v", w)
	}
	run(t, Options{Store: s, Owner: "two"}, Handler{Kind: "k", Do: func(context.Context, *Job) error { return nil }})
	eventually(t, "the second queue", func() bool { _, ok := left(t, s, id); return !ok })
}

// Leases of a process that is gone do not have to run out: who owns the store alone takes them over.
func TestLeasesOfTheDead(t *testing.T) {
	dir, kek := filepath.Join(t.TempDir(), "data"), storetest.Keeper(t)
	open := func() *store.Store {
		s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: kek})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open()
	id := add(t, s, store.Work{})
	dead, err := New(Options{Store: s, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if jobs, err := dead.Claim(t.Context(), "k", "", 1); len(jobs) != 1 || err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open()
	run(t, Options{Store: s}, Handler{Kind: "k", Do: func(context.Context, *Job) error { return nil }})
	eventually(t, "the heir", func() bool { _, ok := left(t, s, id); return !ok })
}

// Two nodes on one PostgreSQL share the work: each piece takes effect once.
func TestTwoNodes(t *testing.T) {
	dsn, kek := storetest.Postgres(t), storetest.Keeper(t)
	const pieces = 40
	var mu sync.Mutex
	by := map[string]int{}
	var stores []*store.Store
	for range 2 {
		s, err := store.Open(t.Context(), store.Options{DSN: dsn, KEK: kek})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		stores = append(stores, s)
	}
	for i := range pieces {
		add(t, stores[0], store.Work{Ref: fmt.Sprint(i)})
	}
	for _, s := range stores {
		run(t, Options{Store: s, Poll: 20 * time.Millisecond}, Handler{Kind: "k", Workers: 3, Do: func(ctx context.Context, j *Job) error {
			return s.Tx(ctx, func(tx *store.Tx) error {
				tx.AfterCommit(func() { mu.Lock(); by[j.Ref]++; mu.Unlock() })
				return j.Finish(tx)
			})
		}})
	}
	eventually(t, "all of it", func() bool { mu.Lock(); defer mu.Unlock(); return len(by) == pieces })
	for ref, n := range by {
		if n != 1 {
			t.Errorf("%s took effect %d times", ref, n)
		}
	}
}

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int64]time.Duration{-1: 5 * time.Second, 0: 5 * time.Second, 1: 5 * time.Second, 3: time.Minute, 7: time.Hour, 1 << 60: time.Hour} {
		for range 50 {
			if got := Backoff(attempt); got < want*9/10 || got > want*11/10 {
				t.Errorf("attempt %d waits %v", attempt, got)
			}
		}
	}
}

// Servers that say nothing hold no workers: with more dead destinations than there are workers, the living are served, and no more
// hang than may.
func TestStalledWorkGivesItsWorkerBack(t *testing.T) {
	s := storetest.SQLite(t)
	hold, alive := make(chan struct{}), make(chan struct{}, 20)
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	var now, most, ended atomic.Int32
	run(t, Options{Store: s, Poll: time.Hour}, Handler{Kind: "k", Workers: 2, Stalled: 5, Brisk: 10 * time.Millisecond, Do: func(_ context.Context, j *Job) error {
		if j.Dest == "alive.example" {
			alive <- struct{}{}
			return nil
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-hold
		now.Add(-1)
		ended.Add(1)
		return nil
	}})
	for d := range 2 {
		add(t, s, store.Work{Dest: fmt.Sprintf("dead%d.example", d)})
		add(t, s, store.Work{Dest: fmt.Sprintf("dead%d.example", d)})
	}
	eventually(t, "four that hang", func() bool { return now.Load() == 4 })
	for range 10 {
		add(t, s, store.Work{Dest: "alive.example"})
	}
	for range 10 {
		wait(t, "work for the living", alive)
	}
	for d := range 5 {
		add(t, s, store.Work{Dest: fmt.Sprintf("dead%d.example", d+2)})
		add(t, s, store.Work{Dest: fmt.Sprintf("dead%d.example", d+2)})
	}
	eventually(t, "seven that hang", func() bool { return now.Load() == 7 })
	release()
	eventually(t, "the end", func() bool { return ended.Load() == 14 })
	if most.Load() != 7 {
		t.Errorf("%d at once, with 2 workers and room for 5 that hang", most.Load())
	}
}

// Work that moves keeps its worker, however long it takes.
func TestMovingWorkKeepsItsWorker(t *testing.T) {
	s := storetest.SQLite(t)
	var now, most atomic.Int32
	run(t, Options{Store: s}, Handler{Kind: "k", Workers: 1, Stalled: 5, Brisk: 5 * time.Second, Do: func(_ context.Context, j *Job) error {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		return j.Progress()
	}})
	var ids []string
	for range 20 {
		ids = append(ids, add(t, s, store.Work{}))
	}
	eventually(t, "all of it", func() bool { _, ok := left(t, s, ids[19]); return !ok })
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestLane(t *testing.T) {
	if Lane(HugeSize-1) != store.Small || Lane(HugeSize) != store.Huge || Lane(0) != store.Small {
		t.Error("gigabytes in the letters' way")
	}
}
