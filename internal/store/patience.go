package store

import (
	"context"
	"sync/atomic"
	"time"
)

// How patient transactions wait where commits are shared.
const (
	patience = 4 * time.Millisecond  // at most, for somebody else's commit
	lately   = 10 * time.Millisecond // how long ago the last hurried commit may be for the next one to be expected
)

type patient struct{}

// Patient marks the transactions of steps that nobody outside waits for: while others are in a hurry, such a transaction may wait a few
// milliseconds for the commit of one of those instead of keeping the disk busy itself. It is as durable as any.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patient{}, true) }

// hurry notes when somebody was in a hurry.
type hurry struct{ last atomic.Int64 }

// spare says how long a transaction may wait for the commit of another.
func (h *hurry) spare(ctx context.Context) time.Duration {
	now := time.Now().UnixNano()
	if ctx.Value(patient{}) == nil {
		h.last.Store(now)
		return 0
	}
	if time.Duration(now-h.last.Load()) > lately {
		return 0
	}
	return patience
}
