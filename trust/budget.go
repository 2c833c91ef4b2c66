package trust

import "sync/atomic"

// Budget bounds what the questions about one message may fetch together. It is safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of so many fetches.
func NewBudget(fetches int) *Budget {
	b := &Budget{}
	b.left.Store(int64(fetches))
	return b
}
