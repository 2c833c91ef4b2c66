package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"carepost/internal/crash"
	"carepost/internal/store"
)

// Job is leased work.
type Job struct {
	store.Work
	q *Queue

	moved   atomic.Int64 // when it last made progress, ns
	closing atomic.Bool  // a transaction that settles it was begun; it may fail yet, and the work go on
	settled atomic.Bool  // and committed
	lost    atomic.Bool
}

// Finish settles the work in tx: it is done. store.ErrLeaseLost.
func (j *Job) Finish(tx *store.Tx) error {
	return j.settle(tx, tx.FinishWork(j.ID, j.Epoch))
}

// Retry settles the work in tx: it is due again after the given time, or at its back-off when that is negative. store.ErrLeaseLost.
func (j *Job) Retry(tx *store.Tx, after time.Duration, reason string) error {
	return j.settle(tx, tx.RetryWork(j.ID, j.Epoch, after, clip(reason)))
}

// Bury settles the work in tx: nobody tries again, the row stays for the operator. store.ErrLeaseLost.
func (j *Job) Bury(tx *store.Tx, reason string) error {
	return j.settle(tx, tx.BuryWork(j.ID, j.Epoch, clip(reason)))
}

func (j *Job) settle(tx *store.Tx, err error) error {
	if err != nil {
		return fmt.Errorf("queue: settling %s %s: %w", j.Kind, j.ID, err)
	}
	j.closing.Store(true)
	tx.AfterCommit(func() { j.settled.Store(true) })
	return nil
}

// clip bounds what a server or a bug may have us keep.
func clip(reason string) string { return strings.ToValidUTF8(reason[:min(len(reason), 1<<10)], "") }

// Progress says that the work is moving; it is cheap. store.ErrLeaseLost if the lease is known to be lost.
func (j *Job) Progress() error {
	j.moved.Store(time.Now().UnixNano())
	if j.lost.Load() {
		return fmt.Errorf("queue: %s %s: %w", j.Kind, j.ID, store.ErrLeaseLost)
	}
	return nil
}

// Beat renews the lease now: the last look before a step that cannot be taken back. store.ErrLeaseLost.
func (j *Job) Beat(ctx context.Context) error {
	err := j.q.o.Store.Tx(ctx, func(tx *store.Tx) error { return tx.ExtendWork(j.ID, j.Epoch, j.q.o.TTL) })
	if errors.Is(err, store.ErrLeaseLost) {
		j.lost.Store(true)
	}
	if err != nil {
		return fmt.Errorf("queue: renewing the lease of %s %s: %w", j.Kind, j.ID, err)
	}
	return nil
}

var errPatience = errors.New("queue: no progress for too long")

// do runs one piece of work under a renewed lease and settles it if its handler did not.
func (q *Queue) do(ctx context.Context, h *handler, j *Job, p *place) {
	leased, stop := context.WithCancelCause(ctx)
	begun := time.Now()
	kept := later(q.o.TTL/3, func() { q.keep(leased, stop, h, j, begun) })
	watched := func() {}
	if h.Stalled > 0 {
		watched = later(h.Brisk, func() { p.watch(leased, h.Brisk, j) })
	}
	end := sync.OnceFunc(func() { stop(nil); kept(); watched() })
	defer end() // also when the handler ends its goroutine
	err := j.Safely(leased, h.Do)
	crash.Point("work.done")
	if cause := context.Cause(leased); err != nil && cause != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	end()

	log := q.o.Log.With("kind", j.Kind, "work", j.ID, "ref", j.Ref, "attempt", j.Attempt)
	switch {
	case j.settled.Load():
		if err != nil {
			log.Warn("work is settled, yet its handler says", "err", err)
		}
		return
	case j.lost.Load() || errors.Is(err, store.ErrLeaseLost):
		log.Warn("lease lost: the result is thrown away", "err", err)
		return
	}
	settle := func(tx *store.Tx) error { return j.Finish(tx) }
	switch {
	case err != nil && ctx.Err() != nil: // we stop: another process may have it at once
		settle = func(tx *store.Tx) error { return j.Retry(tx, 0, "stopped") }
	case err != nil:
		log.Warn("work will be tried again", "err", err)
		settle = func(tx *store.Tx) error { return j.Retry(tx, -1, err.Error()) }
	}
	if err := q.settle(ctx, settle); err != nil {
		log.Error("settling work; its lease will run out", "err", err)
	}
}

// settle runs the last transaction of a piece of work, again for a while if it fails: a disk that is full has room again a moment later, and
// the lease would keep others from the work. When ctx has ended it is tried once.
func (q *Queue) settle(ctx context.Context, fn func(*store.Tx) error) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(30*time.Second, q.o.TTL/2))
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := q.o.Store.Tx(last, fn)
		if err == nil || errors.Is(err, store.ErrLeaseLost) {
			return err
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
			continue
		case <-last.Done():
		case <-ctx.Done():
		}
		again.Stop()
		return err
	}
}

// Safely runs do and turns a panic into an error: one message must not take the others down. The queue runs handlers by it; a handler
// that gives up on what fails for ever wraps its own part in it, else it never learns of the panic.
func (j *Job) Safely(ctx context.Context, do func(context.Context, *Job) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// Not the value: it may hold content.
			j.q.o.Log.Error("panic in a handler", "kind", j.Kind, "work", j.ID, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("queue: panic in the handler")
		}
	}()
	return do(ctx, j)
}

// later runs f in a goroutine of its own once d has passed; most work is done before. The function returned sees to it that f will not
// run any more, or waits for its end.
func later(d time.Duration, f func()) func() {
	done := make(chan struct{})
	timer := time.AfterFunc(d, func() { defer close(done); f() })
	return func() {
		if !timer.Stop() {
			<-done
		}
	}
}

// keep renews the lease of j, which is of that age, each third of its time until ctx ends, while there is progress. When the lease is lost
// it stops the work.
func (q *Queue) keep(ctx context.Context, stop context.CancelCauseFunc, h *handler, j *Job, renewed time.Time) {
	tick := time.NewTicker(q.o.TTL / 3)
	defer tick.Stop()
	for first := true; ; first = false {
		if !first {
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		if ctx.Err() != nil || j.settled.Load() {
			return
		}
		if time.Since(time.Unix(0, j.moved.Load())) > h.Patience {
			stop(errPatience) // and the lease runs out
			return
		}
		begun := time.Now()
		err := q.o.Store.Tx(ctx, func(tx *store.Tx) error { return tx.ExtendWork(j.ID, j.Epoch, q.o.TTL) })
		switch {
		case err == nil:
			renewed = begun
		case errors.Is(err, store.ErrLeaseLost) && j.closing.Swap(false):
			// Perhaps by its own transaction; if that one failed after all, the next tick knows.
		case errors.Is(err, store.ErrLeaseLost), time.Since(renewed) > q.o.TTL:
			j.lost.Store(true)
			stop(store.ErrLeaseLost)
			return
		}
	}
}
