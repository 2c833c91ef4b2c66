package discovery

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	longest   = time.Hour       // nothing is believed for longer, whatever its TTL
	shortly   = time.Minute     // that nothing is published: a correction at the publisher shows soon
	directory = 5 * time.Minute // what LDAP says, which has no TTL
	failed    = 5 * time.Second // that there was no answer: recipients of one message share it
	dead      = time.Minute     // that an LDAP server does not answer: its deadline is paid once
	outdated  = 24 * time.Hour  // after its end, what was published serves where there is no answer

	maxCached = 10_000 // answers
	maxHeld   = 64 << 20
	perAnswer = 512 // octets an answer takes besides its certificates
	perCert   = 8   // times its octets that a certificate takes once it is read
)

// Cache keeps what was found for its TTL, shares look-ups that are under way, and remembers which servers are dead. It is bounded in
// number and size, and safe for concurrent use. What is kept is what was published at a name, not whose it is: that is asked anew of
// every address. An answer that has ended is asked for again, and serves for a day more where there is none, marked as stale.
type Cache struct {
	now   func() time.Time
	stale time.Duration
	max   int

	mu      sync.Mutex
	entries map[key]*entry
	flights map[key]*flight
	held    int
}

// key is what was asked: a name in DNS or a mail value, a way to ask, a server.
type key struct{ kind, name string }

type entry struct {
	answer  *answer
	err     error // no answer; answer has the steps alone
	expires time.Time
	ends    time.Time // of its use where there is no newer one
	again   time.Time // until then nobody asks for a newer one
	size    int
}

// flight is a look-up under way.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int
	answer  *answer
	err     error
}

// NewCache returns a cache of at most max answers (zero = 10,000) that reads the time from now. stale is for how long what has ended
// serves where there is no answer: zero = 24 hours, less than zero = not at all.
func NewCache(max int, stale time.Duration, now func() time.Time) *Cache {
	if max <= 0 {
		max = maxCached
	}
	if stale == 0 {
		stale = outdated
	}
	c := &Cache{now: now, stale: stale, max: max}
	c.Flush()
	return c
}

// Flush forgets everything. What is under way is not kept when it comes.
func (c *Cache) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.flights, c.held = make(map[key]*entry), make(map[key]*flight), 0
}

// reply is an answer as one look-up gets it.
type reply struct {
	*answer
	err    error
	left   time.Duration // of its TTL
	cached bool
	stale  bool
}

// do answers k from what is kept, or asks: once for all who want to know at the time. ask runs in its own time, at most limit, and ends
// early when nobody waits any more.
func (c *Cache) do(ctx context.Context, k key, limit time.Duration, ask func(context.Context) (*answer, error)) reply {
	c.mu.Lock()
	if e, ok := c.entries[k]; ok {
		switch now := c.now(); {
		case now.Before(e.expires):
			c.mu.Unlock()
			return reply{answer: e.answer, err: e.err, left: e.expires.Sub(now), cached: true}
		case now.Before(e.again):
			c.mu.Unlock()
			return reply{answer: e.answer, cached: true, stale: true}
		}
	}
	f, ok := c.flights[k]
	if !ok {
		fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		f = &flight{done: make(chan struct{}), cancel: cancel}
		c.flights[k] = f
		go c.fly(fctx, k, f, ask)
	}
	f.waiting++
	c.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
		c.leave(k, f)
		return c.outdated(k, reply{answer: &answer{}, err: ctx.Err()})
	}
	if f.err != nil {
		return c.outdated(k, reply{answer: f.answer, err: f.err})
	}
	return reply{answer: f.answer, left: f.answer.ttl}
}

func (c *Cache) leave(k key, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if c.flights[k] == f { // nobody is to join one that was given up
			delete(c.flights, k)
		}
	}
}

func (c *Cache) fly(ctx context.Context, k key, f *flight, ask func(context.Context) (*answer, error)) {
	defer f.cancel()
	a, err := ask(ctx)
	if a == nil {
		a = &answer{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.answer, f.err = a, err
	if c.flights[k] == f { // else it was flushed or given up meanwhile
		delete(c.flights, k)
		if err == nil || !errors.Is(ctx.Err(), context.Canceled) {
			c.put(k, a, err)
		}
	}
	close(f.done)
}

// outdated answers with what has ended, where that is something and not over for good; r otherwise.
func (c *Cache) outdated(k key, r reply) reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok && e.err == nil && e.answer.published() && c.now().Before(e.ends) && !errors.Is(r.err, context.Canceled) {
		return reply{answer: e.answer, stale: true, cached: true}
	}
	return r
}

// put keeps an answer, or for a moment that there was none: beside what has ended and may serve yet.
func (c *Cache) put(k key, a *answer, err error) {
	now := c.now()
	old := c.entries[k]
	e := &entry{answer: a, err: err, size: a.size()}
	switch {
	case err != nil && old != nil && old.err == nil && old.answer.published() && now.Before(old.ends):
		old.again = now.Add(failed)
		return // it serves
	case err != nil:
		wait := failed
		if k.kind == kindServer {
			wait = dead
		}
		e.expires, e.ends = now.Add(wait), now.Add(wait)
	case a.pending != nil:
		return // it is not whole: it is asked for again, and the Fetcher knows whether that is worth while
	case a.ttl <= 0 || e.size > maxHeld/16:
		c.remove(k)
		return
	default:
		e.expires = now.Add(a.ttl)
		if e.ends = e.expires; a.published() && c.stale > 0 && k.kind != kindServer {
			e.ends = e.expires.Add(c.stale)
		}
	}
	c.remove(k)
	c.shrink(now, e.size)
	c.entries[k] = e
	c.held += e.size
}

func (c *Cache) remove(k key) {
	if e, ok := c.entries[k]; ok {
		c.held -= e.size
		delete(c.entries, k)
	}
}

// shrink makes room for size more octets: what is over goes, or else whatever the map shows first, which is as good as chance.
func (c *Cache) shrink(now time.Time, size int) {
	if len(c.entries) < c.max && c.held+size <= maxHeld {
		return
	}
	for k, e := range c.entries {
		if !now.Before(e.ends) {
			c.remove(k)
		}
	}
	for k := range c.entries {
		if len(c.entries) < c.max*15/16 && c.held+size <= maxHeld*15/16 {
			return
		}
		c.remove(k)
	}
}

// failure says that an answer of k failed a moment ago, as for dead servers.
func (c *Cache) failure(k key) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok && c.now().Before(e.expires) {
		return e.err
	}
	return nil
}

// fail keeps that k does not answer.
func (c *Cache) fail(k key, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(k)
	c.put(k, &answer{}, err)
}
