package store

import (
	"context"
	"sync/atomic"
	"time"
)

// How patient transactions wait where commits are shared.
const (
	patience = 4 * time.Millisecond // at most, for somebody else's commit

	// Lately is how long ago the last transaction in a hurry may have come for the next one to be expected.
	Lately = 10 * time.Millisecond
)

type patient struct{}

// Patient marks the transactions of steps that nobody outside waits for: while others are in a hurry, such a transaction may wait a few
// milliseconds for the commit of one of those instead of keeping the disk busy itself. It is as durable as any.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patient{}, true) }

// Hurried says that transactions come in which are in a hurry and which others had better make room for.
func (s *Store) Hurried() bool {
	e, ok := s.engine.(*sqlite)
	return ok && e.hurry.lately(time.Now())
}

// hurry notes when somebody was in a hurry.
type hurry struct{ last atomic.Int64 }

func (h *hurry) lately(now time.Time) bool {
	since := now.Sub(time.Unix(0, h.last.Load()))
	return 0 <= since && since <= Lately // less than nothing: the clock was set back
}

// spare says how long a transaction may wait for the commit of another.
func (h *hurry) spare(ctx context.Context) time.Duration {
	now := time.Now()
	if ctx.Value(patient{}) == nil {
		h.last.Store(now.UnixNano())
		return 0
	}
	if !h.lately(now) {
		return 0
	}
	return patience
}
