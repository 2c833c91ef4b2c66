package trust

import (
	"context"
	"sync"
	"time"
)

// A fetched CRL is used for an hour, however long it is good, so that a new one is seen; all together take 64 MiB at most.
const (
	crlAge      = time.Hour
	maxCRLBytes = 64 << 20
)

// crlCache keeps verified CRLs by URL.
type crlCache struct {
	mu    sync.Mutex
	lists map[string]keptCRL
	bytes int
	busy  map[string]chan struct{} // URLs being fetched; closed when done
}

type keptCRL struct {
	*list
	at time.Time // of fetching
}

// get returns the list of url if it need not be fetched anew.
func (c *crlCache) get(url string, now time.Time) (*list, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.lists[url]
	return k.list, ok && now.Sub(k.at).Abs() < crlAge && !now.After(k.NextUpdate)
}

// old returns the list of url whatever its age, nil if there is none.
func (c *crlCache) old(url string) *list {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists[url].list
}

func (c *crlCache) put(url string, l *list, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil {
		c.lists = map[string]keptCRL{}
	}
	c.drop(url)
	for c.bytes+len(l.raw) > maxCRLBytes && len(c.lists) > 0 {
		oldest := ""
		for u, k := range c.lists {
			if o, ok := c.lists[oldest]; !ok || k.at.Before(o.at) {
				oldest = u
			}
		}
		c.drop(oldest)
	}
	c.lists[url] = keptCRL{l, now}
	c.bytes += len(l.raw)
}

// drop is called with mu held.
func (c *crlCache) drop(url string) {
	if k, ok := c.lists[url]; ok {
		c.bytes -= len(k.raw)
		delete(c.lists, url)
	}
}

// begin waits until nobody else fetches url; release lets the next one in. It returns nil when ctx ends first.
func (c *crlCache) begin(ctx context.Context, url string) (release func()) {
	for {
		c.mu.Lock()
		other, busy := c.busy[url]
		if !busy {
			done := make(chan struct{})
			if c.busy == nil {
				c.busy = map[string]chan struct{}{}
			}
			c.busy[url] = done
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.busy, url)
				c.mu.Unlock()
				close(done)
			}
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil
		}
	}
}
