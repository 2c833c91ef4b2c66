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

// take uses up one fetch and says whether there was one. A nil Budget never ends: each question has limits of its own besides.
func (b *Budget) take() bool { return b == nil || b.left.Add(-1) >= 0 }

// Left is how many fetches are left.
func (b *Budget) Left() int { return max(0, int(b.left.Load())) }
