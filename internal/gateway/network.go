package gateway

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/fetch"
	"carepost/internal/relay"
	"carepost/internal/transit"
	"carepost/resolver"
	"carepost/trust"
)

// Network says how to reach others. It may be exchanged while the gateway runs.
type Network struct {
	Servers   []string                 // DNS servers, host:port
	Stub      map[addr.Domain][]string // zones whose servers are known: trials, split DNS
	Routes    map[addr.Domain]string   // domain → host:port, instead of MX
	Through   []relay.Through          // servers that send for us
	RelayPort int                      // of MX hosts [25]; a trial on one machine has others
	Trial     Trial
	Discovery Discovery
}

// Discovery says how certificates of others are looked for.
type Discovery struct {
	NoLDAP   bool          // DNS alone is asked
	Deadline time.Duration // for one recipient; zero = 20 s
	Stale    time.Duration // for how long what has ended serves where there is no answer; zero = 24 h, less than zero = not at all
	Remember bool          // certificates of signed mail that was trusted serve where nothing was found or answered
}

// Trial lets fetches reach what they must not reach otherwise.
type Trial struct {
	Prefixes []netip.Prefix // for example 127.0.0.0/8
	Ports    []uint16
	Places   []netip.AddrPort // each with its own port alone
}

// outside is the way to others: agent.Directory, agent.Judge and flow.Transport.
type outside struct {
	finder *discovery.Finder
	judge  *trust.Judge
	relay  *relay.Client
	fetch  *fetch.Client
}

func (g *Gateway) newOutside(n Network) *outside {
	dns := &resolver.Client{Servers: n.Servers, Stub: n.Stub, Cache: resolver.NewCache(0, g.opts.Clock)}
	fetcher := fetch.New(fetch.Options{AllowPrefixes: n.Trial.Prefixes, AllowPorts: n.Trial.Ports, AllowPlaces: n.Trial.Places})
	finder := &discovery.Finder{
		Resolver: dns, Fetcher: fetcher, Dial: fetcher.DialLDAP, Deadline: n.Discovery.Deadline,
		Cache: discovery.NewCache(0, n.Discovery.Stale, g.opts.Clock),
	}
	if n.Discovery.Remember {
		finder.Remembered = func(ctx context.Context, a addr.Address) (out []*x509.Certificate, err error) {
			for _, d := range g.domains() { // whoever asks judges what comes by his own anchors
				if out, err = g.flow.Remembered(ctx, d, a); len(out) > 0 || err != nil {
					break
				}
			}
			return out, err
		}
	}
	if n.Discovery.NoLDAP {
		finder.Dial = nil
	}
	judge := trust.NewJudge(fetcher)
	judge.Shelf = shelf{g.store}
	return &outside{
		finder: finder, judge: judge,
		relay: relay.New(relay.Options{Hostname: g.opts.Hostname, Routes: n.Routes, Through: n.Through, Resolver: dns, Port: n.RelayPort}),
		fetch: fetcher,
	}
}

// relayWarnings are what an operator must know of servers that send for us.
func (g *Gateway) relayWarnings() (out []string) {
	for _, t := range g.ways.now.Load().relay.Troubles() {
		out = append(out, fmt.Sprintf("mail waits since %s: %s (%s); it is tried again, carepost fetch tries at once", t.Since.Local().Format("2006-01-02 15:04"), t.Text, t.Server))
	}
	return out
}

// Reach exchanges the ways to others. What is under way goes on by the old ones.
func (g *Gateway) Reach(n Network) { g.ways.now.Store(g.newOutside(n)) }

// ways leads to the outside as it is at the moment.
type ways struct{ now atomic.Pointer[outside] }

// Lookup finds certificates of strangers.
func (w *ways) Lookup(ctx context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error) {
	return w.now.Load().finder.Lookup(ctx, a)
}

// issuers brings what certificates point to.
func (w *ways) issuers() trust.Fetcher { return w.now.Load().fetch }

// Judge says whether a certificate may be trusted.
func (w *ways) Judge(ctx context.Context, q trust.Question) trust.Verdict {
	return w.now.Load().judge.Judge(ctx, q)
}

// Fetch brings what is behind a URL.
func (w *ways) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	return w.now.Load().fetch.Fetch(ctx, url, max)
}

// Deliver hands sealed mail to other servers.
func (w *ways) Deliver(ctx context.Context, c transit.Consignment) transit.Outcome {
	return w.now.Load().relay.Deliver(ctx, c)
}
