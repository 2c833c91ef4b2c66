package resolver

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxTTL         = time.Hour   // nothing is believed for longer
	maxNegativeTTL = time.Minute // a correction at the publisher shows soon
	maxCached      = 16 << 10    // octets of one answer in memory, about; a bigger one is asked for again
	perRecord      = 128         // what a record takes besides its octets
	defaultCache   = 1000        // answers: at most 16 MB, about
)

// Cache keeps answers for their TTL, at most an hour, and denials with an SOA for at most a minute. It is bounded in number and
// size, and safe for concurrent use. A nil Cache keeps nothing.
type Cache struct {
	max int
	now func() time.Time

	mu      sync.Mutex
	entries map[cacheKey]cacheEntry
}

type cacheKey struct {
	name name
	kind uint16
}

type cacheEntry struct {
	records []dns.RR
	proven  bool
	expires time.Time
}

// NewCache returns a cache of at most max answers (zero = 1000) that reads the time from now.
func NewCache(max int, now func() time.Time) *Cache {
	if max <= 0 {
		max = defaultCache
	}
	return &Cache{max: max, now: now, entries: make(map[cacheKey]cacheEntry)}
}

// Flush forgets everything.
func (c *Cache) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// get returns what is kept for n, with the rest of its TTL.
func (c *Cache) get(n name, kind uint16) (answer, bool) {
	if c == nil {
		return answer{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{n, kind}
	e, ok := c.entries[key]
	if !ok {
		return answer{}, false
	}
	left := e.expires.Sub(c.now())
	if left <= 0 {
		delete(c.entries, key)
		return answer{}, false
	}
	return answer{e.records, left, e.proven}, true
}

func (c *Cache) put(n name, kind uint16, a answer) {
	if c == nil || a.ttl <= 0 {
		return
	}
	size := 0
	for _, rr := range a.records {
		size += dns.Len(rr) + perRecord
	}
	if size > maxCached {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.entries) >= c.max {
		c.shrink(now)
	}
	c.entries[cacheKey{n, kind}] = cacheEntry{a.records, a.proven, now.Add(a.ttl)}
}

// shrink makes room: what has expired goes, or else whatever the map shows first, which is as good as chance.
func (c *Cache) shrink(now time.Time) {
	for k, e := range c.entries {
		if !e.expires.After(now) {
			delete(c.entries, k)
		}
	}
	for k := range c.entries {
		if len(c.entries) < c.max {
			return
		}
		delete(c.entries, k)
	}
}
