package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// A fetched CRL is used for an hour, however long it is good, so that a new one is seen; all together take 64 MiB at most, where each
// counts for its bytes and what it takes once it is read.
const (
	crlAge      = time.Hour
	maxCRLBytes = 64 << 20
	crlOverhead = 4 << 10
)

// source is where a CRL is from. The issuer belongs to it: whoever is trusted somewhere may point to the URL of another issuer, and
// must not leave his own list there for others to find.
type source struct {
	url    string
	issuer [32]byte // SHA-256 of name and key
}

func sourceOf(url string, issuer *x509.Certificate) source {
	h := sha256.New()
	h.Write(issuer.RawSubject) // DER: it tells its own length
	h.Write(issuer.RawSubjectPublicKeyInfo)
	return source{url, [32]byte(h.Sum(nil))}
}

// crlCache keeps verified CRLs by their source.
type crlCache struct {
	mu    sync.Mutex
	lists map[source]keptCRL
	bytes int
	busy  map[source]chan struct{} // sources being asked; closed when done
}

type keptCRL struct {
	*list
	at time.Time // of fetching
}

func (l *list) size() int { return len(l.raw) + crlOverhead }

// get returns the list from there if it need not be fetched anew.
func (c *crlCache) get(from source, now time.Time) (*list, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.lists[from]
	return k.list, ok && now.Sub(k.at).Abs() < crlAge && !now.After(k.NextUpdate)
}

// old returns the list from there whatever its age, nil if there is none.
func (c *crlCache) old(from source) *list {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists[from].list
}

func (c *crlCache) put(from source, l *list, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil {
		c.lists = map[source]keptCRL{}
	}
	c.drop(from)
	for c.bytes+l.size() > maxCRLBytes && len(c.lists) > 0 {
		var oldest source
		for s, k := range c.lists {
			if o, ok := c.lists[oldest]; !ok || k.at.Before(o.at) {
				oldest = s
			}
		}
		c.drop(oldest)
	}
	c.lists[from] = keptCRL{l, now}
	c.bytes += l.size()
}

// drop is called with mu held.
func (c *crlCache) drop(from source) {
	if k, ok := c.lists[from]; ok {
		c.bytes -= k.size()
		delete(c.lists, from)
	}
}

// begin waits until nobody else asks there; release lets the next one in. It returns nil when ctx ends first.
func (c *crlCache) begin(ctx context.Context, from source) (release func()) {
	for {
		c.mu.Lock()
		other, busy := c.busy[from]
		if !busy {
			done := make(chan struct{})
			if c.busy == nil {
				c.busy = map[source]chan struct{}{}
			}
			c.busy[from] = done
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.busy, from)
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
