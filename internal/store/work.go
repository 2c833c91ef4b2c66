package store

import "time"

// Lane separates work by size, so that bodies of gigabytes do not starve letters.
type Lane string

const (
	Small Lane = "small"
	Huge  Lane = "huge"
)

// WorkState of a row in the queue. Finished work has no row.
type WorkState string

const (
	Ready  WorkState = "ready"
	Leased WorkState = "leased" // NextAt is the end of the lease
	Held   WorkState = "held"   // by the operator
	Dead   WorkState = "dead"   // buried: nobody will try again
)

// Work is one row of the queue.
type Work struct {
	ID       string // made by InsertWork when empty
	Kind     string // which handler
	Ref      string // id of what it is about
	Lane     Lane   // default Small
	Dest     string // destination domain, if any
	Priority int64
	Unique   string        // at most one ready, leased or held row has it; empty = any number
	After    time.Duration // on insertion: not before now plus this, by the engine's clock

	State   WorkState
	NextAt  time.Time
	Owner   string
	Epoch   int64  // counts leases; the fence
	Attempt int64  // counts claims, this one included
	Error   string // last one; sealed
	Created time.Time
}

// InsertWork puts w on the queue. *Duplicate if live work with the same Unique exists.
func (tx *Tx) InsertWork(w *Work) error { panic("unimplemented") }

// Work reads one row. ErrNotFound.
func (tx *Tx) Work(id string) (Work, error) { panic("unimplemented") }

// Works lists rows in some state (any when empty), soonest first, after the row with id after (from the start when empty).
func (tx *Tx) Works(state WorkState, limit int) ([]Work, error) { panic("unimplemented") }

// WorkOf lists live rows about ref.
func (tx *Tx) WorkOf(ref string) ([]Work, error) { panic("unimplemented") }

// Claim is what ClaimWork leases.
type Claim struct {
	Kind    string
	Lane    Lane
	Owner   string
	TTL     time.Duration
	Limit   int
	Backoff func(attempt int64) time.Duration // written with the claim: when to try again if this attempt says no more
}

// ClaimWork leases due work: ready rows, and leased ones whose lease is over. The engine's clock decides.
func (tx *Tx) ClaimWork(c Claim) ([]Work, error) { panic("unimplemented") }

// NextWork tells how long it is, by the engine's clock, until work of that kind and lane is due; ok is false if there is none.
func (tx *Tx) NextWork(kind string, l Lane) (in time.Duration, ok bool, err error) {
	panic("unimplemented")
}

// ExtendWork renews a lease for ttl from now. ErrLeaseLost.
func (tx *Tx) ExtendWork(id string, epoch int64, ttl time.Duration) error { panic("unimplemented") }

// FinishWork removes leased work. ErrLeaseLost.
func (tx *Tx) FinishWork(id string, epoch int64) error { panic("unimplemented") }

// RetryWork gives a lease back: due after the given time, or at the back-off written at the claim when that is negative. ErrLeaseLost.
func (tx *Tx) RetryWork(id string, epoch int64, after time.Duration, reason string) error {
	panic("unimplemented")
}

// BuryWork ends leased work for good but keeps the row for the operator. ErrLeaseLost.
func (tx *Tx) BuryWork(id string, epoch int64, reason string) error { panic("unimplemented") }

// ReleaseWork makes leases of all other owners ready at once and tells how many. For a process that owns the store alone.
func (tx *Tx) ReleaseWork(owner string) (int64, error) { panic("unimplemented") }
