package dnsd

import (
	"net"
	"net/netip"
	"sync"
)

// crowd counts the TCP connections of each client, so that one of them does not take the places of all. An IPv6 client is a whole
// /64: he has all its addresses. The zero crowd is empty.
type crowd struct {
	mu   sync.Mutex
	from map[netip.Prefix]int
}

// enter lets a client in who has fewer than max connections; leave is then called once.
func (c *crowd) enter(client net.Addr, max int) (leave func(), ok bool) {
	who := clientOf(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from[who] >= max {
		return nil, false
	}
	if c.from == nil {
		c.from = make(map[netip.Prefix]int)
	}
	c.from[who]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.from[who]--; c.from[who] == 0 {
			delete(c.from, who)
		}
	}, true
}

// clientOf is who is counted; all that have no IP address are one.
func clientOf(a net.Addr) netip.Prefix {
	ip := ipOf(a)
	p, err := ip.Prefix(min(ip.BitLen(), 64))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
