package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// A fetched list or OCSP answer is used for an hour, however long it is good, so that a new one is seen; all together take 64 MiB at
// most, where each counts for its bytes and what it takes once it is read.
const (
	statusAge      = time.Hour
	maxStatusBytes = 64 << 20
	statusOverhead = 4 << 10
)

// source is where a status is from. The issuer belongs to it: whoever is trusted somewhere may point to the URL of another issuer, and
// must not leave his own list there for others to find.
type source struct {
	url    string
	issuer [32]byte // SHA-256 of name and key
	serial string   // what an OCSP answer is about, as bytes; "" for a list
}

func sourceOf(url string, issuer *x509.Certificate) source {
	h := sha256.New()
	h.Write(issuer.RawSubject) // DER: it tells its own length
	h.Write(issuer.RawSubjectPublicKeyInfo)
	return source{url: url, issuer: [32]byte(h.Sum(nil))}
}

// kept is a verified list or OCSP answer; one of the two. It does not change, but for used and tried.
type kept struct {
	list    *list
	reply   *reply
	issuer  *x509.Certificate
	subject *x509.Certificate // whom a reply is about
	at      time.Time         // of fetching
	used    time.Time         // by a question; held by the cache's lock
	tried   time.Time         // to fetch it anew, beforehand; likewise
}

func (k *kept) size() int {
	if k.list != nil {
		return len(k.list.raw) + statusOverhead
	}
	return len(k.reply.raw) + statusOverhead
}

// span is from when to when the status is good, as whoever made it says.
func (k *kept) span() (this, next time.Time) {
	if k.list != nil {
		return k.list.ThisUpdate, k.list.NextUpdate
	}
	return k.reply.this, k.reply.next
}

// fresh says that it need not be fetched anew.
func (k *kept) fresh(now time.Time) bool {
	_, next := k.span()
	return now.Sub(k.at).Abs() < statusAge && !now.After(next)
}

// statusCache keeps verified statuses by their source.
type statusCache struct {
	mu    sync.Mutex
	all   map[source]*kept
	bytes int
	busy  map[source]chan struct{} // sources being asked; closed when done
}

// get returns what is kept from there, nil if there is nothing, and whether it need not be fetched anew.
func (c *statusCache) get(from source, now time.Time) (_ *kept, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.all[from]
	if k == nil {
		return nil, false
	}
	if now.After(k.used) {
		k.used = now
	}
	return k, k.fresh(now)
}

// put keeps k, and lets others go, those unused for longest first.
func (c *statusCache) put(from source, k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[source]*kept{}
	}
	if old := c.all[from]; old != nil && old.used.After(k.used) {
		k.used = old.used
	}
	c.drop(from)
	for c.bytes+k.size() > maxStatusBytes && len(c.all) > 0 {
		var oldest source
		for s, k := range c.all {
			if o, ok := c.all[oldest]; !ok || k.used.Before(o.used) {
				oldest = s
			}
		}
		c.drop(oldest)
	}
	c.all[from] = k
	c.bytes += k.size()
}

// drop is called with mu held.
func (c *statusCache) drop(from source) {
	if k, ok := c.all[from]; ok {
		c.bytes -= k.size()
		delete(c.all, from)
	}
}

// begin waits until nobody else asks there; release lets the next one in. It returns nil when ctx ends first.
func (c *statusCache) begin(ctx context.Context, from source) (release func()) {
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
