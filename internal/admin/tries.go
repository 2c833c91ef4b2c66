package admin

import (
	"crypto/sha256"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"carepost/addr"
)

// How failures are counted. An attacker is held up; the owner of an account whom somebody attacks from elsewhere, and the office where one
// program has an old password, are not.
const (
	freePair    = 5  // failures of one client with one name before it waits
	freePeer    = 20 // of one client with any names
	freeAccount = 20 // with one name from anywhere
	// Who has signed in with a name lately, from where he is now, waits for his own failures only.

	firstWait   = time.Second      // doubled with each failure more
	longestWait = 10 * time.Minute // and no further
	forgive     = 10 * time.Minute // one failure is forgotten in this time
	remember    = 30 * 24 * time.Hour
	mostCounts  = 20000 // about 4 MiB
)

// tries counts what failed. Nothing of it is kept on disk.
type tries struct {
	mu     sync.Mutex
	counts map[key]count
}

// key of a count: what is counted, and a digest of whom.
type key [1 + sha256.Size]byte

// count of one key.
type count struct {
	failed float64   // as of at, before forgiving
	at     time.Time // of the last failure
	until  time.Time // no further try before
	good   time.Time // of the last success; of pairs only
}

// keys of one try.
type keys struct{ pair, peer, account key }

func newTries() *tries { return &tries{counts: map[key]count{}} }

// keysOf names a try. An IPv6 host may roam in its /64; an address can be written in many ways.
func keysOf(peer netip.Addr, user string) keys {
	peer = peer.Unmap().WithZone("")
	bits := peer.BitLen()
	if peer.Is6() {
		bits = 64
	}
	network, _ := peer.Prefix(bits)
	if a, err := addr.Parse(user); err == nil {
		user = a.Key() // Direct 4.1.1
	}
	return keys{digest('b', network.String()+" "+user), digest('p', network.String()), digest('a', user)}
}

func digest(kind byte, s string) (k key) {
	k[0] = kind
	sum := sha256.Sum256([]byte(s))
	copy(k[1:], sum[:])
	return k
}

// held says how long this try must wait; 0 is not at all.
func (t *tries) held(k keys, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	pair := t.counts[k.pair]
	wait := pair.until.Sub(now)
	if !pair.known(now) {
		wait = max(wait, t.counts[k.peer].until.Sub(now), t.counts[k.account].until.Sub(now))
	}
	return max(wait, 0)
}

// failed counts a failure.
func (t *tries) failed(k keys, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(k.pair, freePair, now)
	t.add(k.peer, freePeer, now)
	t.add(k.account, freeAccount, now)
}

func (t *tries) add(k key, free int, now time.Time) {
	c, there := t.counts[k]
	if !there {
		t.room(now)
	}
	c.failed = c.left(now) + 1
	c.at = now
	if over := int(math.Ceil(c.failed)) - free; over > 0 {
		c.until = now.Add(min(firstWait<<min(over-1, 20), longestWait))
	}
	t.counts[k] = c
}

// passed takes note of a success. The counts of the client and of the account stay: who has an account of his own must not clear his
// guesses at another with it.
func (t *tries) passed(k keys, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.counts[k.pair]; !there {
		t.room(now)
	}
	t.counts[k.pair] = count{good: now}
}

// left is what has not been forgiven yet.
func (c count) left(now time.Time) float64 {
	return max(0, c.failed-max(0, float64(now.Sub(c.at))/float64(forgive)))
}

// known says of a pair's count that this client has signed in with this name lately.
func (c count) known(now time.Time) bool { return !c.good.IsZero() && now.Sub(c.good) <= remember }

// room makes room for one more count: what says nothing any more goes, and when that is not enough, the quarter that has been quiet
// longest. Clients that have signed in go last, lest a flood of failures make strangers of them; but not when they are more than half, for
// who has an account could be many clients.
func (t *tries) room(now time.Time) {
	if len(t.counts) < mostCounts {
		return
	}
	maps.DeleteFunc(t.counts, func(_ key, c count) bool { return c.left(now) == 0 && !c.known(now) })
	if len(t.counts) < mostCounts*3/4 {
		return
	}
	known := 0
	for _, c := range t.counts {
		if c.known(now) {
			known++
		}
	}
	byAge := slices.SortedFunc(maps.Keys(t.counts), func(a, b key) int {
		x, y := t.counts[a], t.counts[b]
		if xk, yk := x.known(now), y.known(now); xk != yk && known <= mostCounts/2 {
			if xk {
				return 1
			}
			return -1
		}
		return x.last().Compare(y.last())
	})
	for _, k := range byAge[:mostCounts/4] {
		delete(t.counts, k)
	}
}

// last is when the count changed last.
func (c count) last() time.Time {
	if c.good.After(c.at) {
		return c.good
	}
	return c.at
}
