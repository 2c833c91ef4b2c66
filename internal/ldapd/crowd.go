package ldapd

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxClients is how many clients are remembered, those without a connection among them.
const maxClients = 4096

// crowd counts the connections and operations of each client, so that one of them does not take the places of all, and nobody
// guesses addresses faster than the rate.
type crowd struct {
	most     int           // connections of one
	interval time.Duration // between his operations, on average

	mu   sync.Mutex
	from map[netip.Prefix]*client
}

type client struct {
	conns int
	next  time.Time // when all that he asked for has been paid for
}

func newCrowd(o Options) *crowd {
	return &crowd{most: o.PerClient, interval: time.Second / time.Duration(o.Rate), from: make(map[netip.Prefix]*client)}
}

// enter lets a client in who has fewer connections than he may; leave is then called once.
func (c *crowd) enter(a net.Addr) (who netip.Prefix, ok bool) {
	who = clientOf(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from[who] == nil {
		if len(c.from) >= maxClients {
			c.forget()
		}
		c.from[who] = new(client)
	}
	if c.from[who].conns >= c.most {
		return who, false
	}
	c.from[who].conns++
	return who, true
}

// forget makes room: first those whose operations are paid for go, then all without a connection. Those with one are few.
func (c *crowd) forget() {
	now := time.Now()
	for who, x := range c.from {
		if x.conns == 0 && x.next.Before(now) {
			delete(c.from, who)
		}
	}
	for who, x := range c.from {
		if len(c.from) >= maxClients && x.conns == 0 {
			delete(c.from, who)
		}
	}
}

func (c *crowd) leave(who netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.from[who]
	if x.conns--; x.conns == 0 && x.next.Before(time.Now()) {
		delete(c.from, who)
	}
}

// wait returns when n more operations of a connected client are due: at once, as long as he keeps below a second's worth.
func (c *crowd) wait(ctx context.Context, who netip.Prefix, n int) {
	now := time.Now()
	c.mu.Lock()
	x := c.from[who]
	if x.next.Before(now) {
		x.next = now
	}
	x.next = x.next.Add(time.Duration(n) * c.interval)
	due := x.next.Sub(now) - time.Second
	c.mu.Unlock()
	if due <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(due):
	}
}

// clientOf is who is counted; all that have no IP address are one.
func clientOf(a net.Addr) netip.Prefix {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	p, err := ip.Prefix(min(ip.BitLen(), 64))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
