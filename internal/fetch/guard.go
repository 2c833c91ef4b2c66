package fetch

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// guard sees the address of every connection just before it is made.
func (c *Client) guard(_ context.Context, network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return errGuard
	}
	if c.place(to) {
		return nil
	}
	ip := to.Addr().Unmap()
	if c.allowed(ip) {
		if webPort(to.Port()) || slices.Contains(c.o.AllowPorts, to.Port()) {
			return nil
		}
		return errGuard
	}
	if !webPort(to.Port()) || !public(ip) {
		return errGuard
	}
	return nil
}

// special are the blocks of global unicast form that are not the public Internet (RFC 6890 and its registries), and those that
// carry an IPv4 address inside, which may be any.
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), // documentation
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // Teredo and other protocols
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
}

// global is where public IPv6 addresses are given out; NAT64, local and mapped addresses lie outside.
var global = netip.MustParsePrefix("2000::/3")

// public reports whether ip is an address of the public Internet.
func public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !global.Contains(ip) {
		return false
	}
	return !slices.ContainsFunc(special[:], func(p netip.Prefix) bool { return p.Contains(ip) })
}

// A failure is remembered for half a minute, of 1024 URLs at most; one that a server without answers gave at once (it is being
// started, say) for as long as costs neither side much.
const (
	failedFor = 30 * time.Second
	shortly   = 3 * time.Second
	atOnce    = 200 * time.Millisecond
	maxFailed = 1024
)

// remembered is for how long.
func remembered(err error, took time.Duration) time.Duration {
	if took < atOnce && errors.Is(err, errRefused) {
		return shortly
	}
	return failedFor
}

// memory keeps failures. The zero memory is empty.
type memory struct {
	mu sync.Mutex
	m  map[string]failure
}

type failure struct {
	err   error
	until time.Time
}

func (m *memory) get(url string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f, ok := m.m[url]; ok && now.Before(f.until) {
		return f.err
	}
	return nil
}

func (m *memory) put(url string, err error, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil || len(m.m) >= maxFailed {
		m.m = map[string]failure{}
	}
	m.m[url] = failure{err, until}
}
