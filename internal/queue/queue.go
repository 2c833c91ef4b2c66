// Package queue does leased work: rows of the table work, claimed by the engine's clock, renewed while they make progress, and settled in the
// transaction that holds their result. It knows nothing of mail.
//
// A lease has an epoch. Settling work under an old epoch is store.ErrLeaseLost: the result is thrown away, for another worker has
// the work. So every step is done at least once, and its transaction takes effect exactly once.
package queue

import (
	"context"
	"log/slog"
	"time"

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

	// Do does the work and settles it by Finish, Retry or Bury of the Job in its own transaction. If it returns without that, nil
	// finishes the work and an error has it tried again at its back-off. ctx ends when the lease is lost.
	Do func(ctx context.Context, j *Job) error

	Backoff  func(attempt int64) time.Duration // default Backoff
	Patience time.Duration                     // a lease is not renewed after this long without Progress; default 10 min
}

// Backoff waits 5 s, 15 s, 1 min, 5 min, 15 min, 30 min, then an hour each, within a tenth more or less.
func Backoff(attempt int64) time.Duration { panic("unimplemented") }

// Queue runs handlers.
type Queue struct{}

// New makes a queue; Run starts it.
func New(o Options, handlers ...Handler) (*Queue, error) { panic("unimplemented") }

// Run works until ctx ends, then waits for what is being done; leases not settled by then are given back. On a store that this
// process owns alone, leases of earlier owners are released first.
func (q *Queue) Run(ctx context.Context) error { panic("unimplemented") }

// Claim leases up to n pieces of due work without running them.
func (q *Queue) Claim(ctx context.Context, kind string, lane store.Lane, n int) ([]*Job, error) {
	panic("unimplemented")
}

// Job is leased work.
type Job struct {
	store.Work
}

// Finish settles the work in tx: it is done. store.ErrLeaseLost.
func (j *Job) Finish(tx *store.Tx) error { panic("unimplemented") }

// Retry settles the work in tx: it is due again after the given time, or at its back-off when that is negative. store.ErrLeaseLost.
func (j *Job) Retry(tx *store.Tx, after time.Duration, reason string) error { panic("unimplemented") }

// Bury settles the work in tx: nobody tries again, the row stays for the operator. store.ErrLeaseLost.
func (j *Job) Bury(tx *store.Tx, reason string) error { panic("unimplemented") }

// Progress says that the work is moving; it is cheap. store.ErrLeaseLost if the lease is known to be lost.
func (j *Job) Progress() error { panic("unimplemented") }

// Beat renews the lease now: the last look before a step that cannot be taken back. store.ErrLeaseLost.
func (j *Job) Beat(ctx context.Context) error { panic("unimplemented") }
