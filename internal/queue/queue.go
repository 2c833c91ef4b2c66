// Package queue does leased work: rows of the table work, claimed by the engine's clock, renewed while they make progress, and settled in the
// transaction that holds their result. It knows nothing of mail.
//
// A lease has an epoch. Settling work under an old epoch is store.ErrLeaseLost: the result is thrown away, for another worker has
// the work. So every step is done at least once, and its transaction takes effect exactly once.
package queue

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"time"

	"carepost/internal/crash"
	"carepost/internal/store"
)

// Options of a Queue. Zero fields have defaults.
type Options struct {
	Store *store.Store
	Owner string        // name of this process among those that share the store; default a fresh id
	TTL   time.Duration // of a lease; default 60 s, renewed every third of it
	Poll  time.Duration // how often to look when nothing calls; default 1 s, with jitter
	Log   *slog.Logger  // default discards
}

// Handler does one kind of work in one lane.
type Handler struct {
	Kind    string
	Lane    store.Lane // default store.Small
	Workers int        // default 1
	Stalled int        // beside the Workers, how many may hang: work that has not moved for a while gives its place to other work
	PerDest int        // most at once for one destination, on all nodes together; default 2. Work without a destination is not counted

	// Do does the work and settles it by Finish, Retry or Bury of the Job in its own transaction. If it returns without that, nil
	// finishes the work and an error has it tried again at its back-off. ctx ends when the lease is lost or the queue stops.
	Do func(ctx context.Context, j *Job) error

	Backoff  func(attempt int64) time.Duration // default Backoff
	Patience time.Duration                     // a lease is not renewed after this long without Progress; default 10 min
	Yield    time.Duration                     // while others are in a hurry (store.Hurried), claims are that far apart, unless work falls behind: what is done together shares commits
	Brisk    time.Duration                     // work that has not made Progress for this long counts as Stalled; default 10 s
}

// batch is how much work one claim takes at most.
const batch = 10

// lag is how long work may have waited before its handler yields no more.
const lag = 10 * time.Second

// Backoff waits 5 s, 15 s, 1 min, 5 min, 15 min, 30 min, then an hour each, within a tenth more or less.
func Backoff(attempt int64) time.Duration {
	steps := [...]time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	return jitter(steps[min(max(attempt, 1), int64(len(steps)))-1])
}

// jitter changes d by up to a tenth, so that what fell together does not rise together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + mrand.N(d/5+1)
}

// Queue runs handlers.
type Queue struct {
	o        Options
	handlers []*handler
}

// handler is a Handler with its defaults and the bell that rings for it.
type handler struct {
	Handler
	bell chan struct{}
}

// New makes a queue; Run starts it.
func New(o Options, handlers ...Handler) (*Queue, error) {
	if o.Store == nil {
		return nil, errors.New("queue: options: want a Store")
	}
	o.Owner = cmp.Or(o.Owner, rand.Text())
	o.TTL = cmp.Or(o.TTL, time.Minute)
	o.Poll = cmp.Or(o.Poll, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{o: o}
	seen := make(map[string]bool)
	for _, h := range handlers {
		h.Lane = cmp.Or(h.Lane, store.Small)
		h.Workers = max(h.Workers, 1)
		h.PerDest = cmp.Or(h.PerDest, 2)
		h.Patience = cmp.Or(h.Patience, 10*time.Minute)
		h.Brisk = cmp.Or(h.Brisk, 10*time.Second)
		if h.Backoff == nil {
			h.Backoff = Backoff
		}
		name := h.Kind + "/" + string(h.Lane)
		if h.Kind == "" || h.Do == nil || seen[name] {
			return nil, fmt.Errorf("queue: handler %q: want a kind, a Do, and one handler for each lane", name)
		}
		seen[name] = true
		q.handlers = append(q.handlers, &handler{Handler: h, bell: make(chan struct{}, 1)})
	}
	return q, nil
}

// Run works until ctx ends, then waits for what is being done; leases not settled by then are given back. On a store that this
// process owns alone, leases of earlier owners are released first. There is one Run per store and process.
func (q *Queue) Run(ctx context.Context) error {
	ctx = store.Patient(ctx)
	if q.o.Store.Exclusive() {
		var n int64
		if err := q.o.Store.Tx(ctx, func(tx *store.Tx) (err error) { n, err = tx.ReleaseWork(q.o.Owner); return err }); err != nil {
			return fmt.Errorf("queue: releasing old leases: %w", err)
		}
		if n > 0 {
			q.o.Log.Info("leases of a former process released", "count", n)
		}
	}
	var wg sync.WaitGroup
	for _, h := range q.handlers {
		wg.Go(func() { q.serve(ctx, h) })
	}
	for {
		select {
		case <-q.o.Store.Woken():
			may := q.o.Store.Due()
			for _, h := range q.handlers {
				if !may(store.Due{Kind: h.Kind, Lane: h.Lane}) {
					continue
				}
				select {
				case h.bell <- struct{}{}:
				default: // it rings already
				}
			}
		case <-ctx.Done():
			wg.Wait()
			return nil
		}
	}
}

// serve claims work for h as long as it has idle workers.
func (q *Queue) serve(ctx context.Context, h *handler) {
	var wg sync.WaitGroup
	defer wg.Wait()
	busy := make(chan struct{}, h.Workers)    // one token for each piece of work being done
	stalled := make(chan struct{}, h.Stalled) // or for each that hangs
	rung := true                              // there may be work
	var claimed time.Time                     // when there was some
	behind := false                           // it had waited for too long
	for {
		select {
		case busy <- struct{}{}: // somebody is idle
			<-busy
		case <-ctx.Done():
			return
		}
		select {
		case <-h.bell:
			rung = true
		default:
		}
		if pause := h.Yield - time.Since(claimed); pause > 0 && !behind && q.o.Store.Hurried() {
			rest(ctx, pause)
			continue
		}
		room := min(h.Workers-len(busy), batch)
		jobs, idle, err := q.due(ctx, h, room, rung)
		if err != nil && ctx.Err() == nil {
			q.o.Log.Error("looking for work", "kind", h.Kind, "err", err)
		}
		if len(jobs) > 0 {
			claimed = time.Now()
			behind = claimed.Sub(jobs[0].Created) > lag
		}
		for _, j := range jobs {
			busy <- struct{}{} // room was counted above, and only this loop adds
			wg.Go(func() {
				p := &place{busy: busy, stalled: stalled}
				defer p.leave()
				crash.Point("work.claimed")
				q.do(ctx, h, j, p)
			})
		}
		if rung = len(jobs) == room; rung {
			continue
		}
		timer := time.NewTimer(idle)
		select {
		case <-h.bell:
			rung = true
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// rest waits for the end of ctx, or that long.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// due claims up to n pieces of due work; where there are fewer, it tells how long to wait before looking again. It looks before it asks for
// the writer, unless it was rung that there is work.
func (q *Queue) due(ctx context.Context, h *handler, n int, rung bool) (jobs []*Job, idle time.Duration, err error) {
	idle = jitter(q.o.Poll)
	var in time.Duration
	var ok bool
	next := func(tx *store.Tx) (err error) {
		if in, ok, err = tx.NextWork(q.claimOf(h)); err == nil && !ok {
			in = idle
		}
		return err
	}
	if !rung {
		if err := q.o.Store.View(ctx, next); err != nil {
			return nil, idle, err
		}
		if in > 0 {
			return nil, min(idle, in), nil
		}
	}
	in = idle
	if jobs, err = q.claim(ctx, h, n, next); len(jobs) == 0 && in == 0 {
		in = idle // somebody else has it
	}
	return jobs, min(idle, in), err
}

// Claim leases up to n pieces of due work without running them.
func (q *Queue) Claim(ctx context.Context, kind string, lane store.Lane, n int) ([]*Job, error) {
	return q.claim(ctx, &handler{Handler: Handler{Kind: kind, Lane: cmp.Or(lane, store.Small), Backoff: Backoff}}, n, nil)
}

func (q *Queue) claimOf(h *handler) store.Claim {
	return store.Claim{Kind: h.Kind, Lane: h.Lane, PerDest: h.PerDest, Owner: q.o.Owner, TTL: q.o.TTL, Backoff: h.Backoff}
}

// claim leases up to n pieces of work. When there are fewer, it runs short in the same transaction.
func (q *Queue) claim(ctx context.Context, h *handler, n int, short func(*store.Tx) error) ([]*Job, error) {
	var rows []store.Work
	err := q.o.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		c := q.claimOf(h)
		c.Limit = n
		if rows, err = tx.ClaimWork(c); err == nil && len(rows) < n && short != nil {
			err = short(tx)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue: claiming %s: %w", h.Kind, err)
	}
	jobs := make([]*Job, len(rows))
	for i, w := range rows {
		jobs[i] = &Job{Work: w, q: q}
		jobs[i].moved.Store(time.Now().UnixNano())
	}
	return jobs, nil
}
