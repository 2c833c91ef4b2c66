package store

import (
	"context"
	"sync"
	"time"
)

// ticks is the clock of the queue where the engine is in this process. It is that of the machine, but never goes back: when
// the machine's clock is set back, it goes on from where it was, at the pace of the monotonic clock, so that neither
// leases nor waiting work are due later than was meant. The last time seen is kept in a row, so that this holds over a restart too.
//
// A clock that was ahead and is put right leaves ticks ahead. That harms nothing: times of the queue are compared with it alone.
type ticks struct {
	read func() (wall int64, mono time.Duration) // ms since 1970; time since anything fixed

	mu   sync.Mutex
	base int64         // the time, in ms,
	at   time.Duration // when read said so
	kept int64         // in the row
}

// keepEvery is how far, in ms, the row may lag behind.
const keepEvery = 1000

func newTicks() *ticks {
	start := time.Now()
	return &ticks{read: func() (int64, time.Duration) {
		now := time.Now()
		return now.UnixMilli(), now.Sub(start) // by the monotonic readings
	}}
}

// now is the time in ms.
func (c *ticks) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono := c.read()
	now := c.base + (mono - c.at).Milliseconds()
	if wall > now {
		c.base, c.at, now = wall, mono, wall
	}
	return now
}

// seen has the clock go on from the time in the row.
func (c *ticks) seen(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, c.at = c.read()
	c.base, c.kept = at, at
}

// stale says that the row should be written anew; kept, that it was.
func (c *ticks) stale(now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now >= c.kept+keepEvery
}

func (c *ticks) keep(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = max(c.kept, now)
}

// openTicks has the queue's time go on from where a former process left it.
func (s *Store) openTicks(ctx context.Context) error {
	if s.ticks == nil {
		return nil
	}
	var at int64
	err := s.View(ctx, func(tx *Tx) error { return tx.one(`SELECT at FROM last_seen WHERE id = 1`, nil, &at) })
	if err == nil {
		s.ticks.seen(at)
	}
	return err
}
