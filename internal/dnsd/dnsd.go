// Package dnsd publishes zones: an authoritative name server over UDP and TCP for what a Health Domain needs: MX, address, CERT, SRV, TXT, NS, CAA and TLSA records.
//
// It follows RFC 1034 and 1035, RFC 2181 §9 (truncation), RFC 2308 (negative answers), RFC 6891 (EDNS0), RFC 7766 (TCP), RFC 8482
// (ANY), RFC 4398 and Direct 5 (CERT records of type 1 with the DER certificate, or type 4 with its URL), RFC 2782 (SRV), RFC 8659
// (CAA) and RFC 6698 (TLSA). Answers over UDP are limited for each client (Rate).
//
// It departs from RFC 1034: no recursion, no zone transfer, no wildcards, no CNAME and no delegation inside a zone, no DNSSEC
// (who wants it signs our zone file with a name server that does).
package dnsd

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options sets a Server up. Zero fields take the default in brackets.
type Options struct {
	Zones     []Zone
	MaxConns  int           // TCP connections at a time [64]; one more is closed at once
	PerClient int           // of these from one client [a quarter, at least 2]
	Idle      time.Duration // a TCP connection without a query is closed after this [10 s]
	Lifetime  time.Duration // the longest a TCP connection may last [60 s]
	Rate      Rate          // of answers over UDP
}

// Server answers for its zones.
type Server struct {
	options Options
	table   atomic.Pointer[table]
	rates   *rates
}

// New checks the zones and returns a server for them. It starts nothing.
func New(o Options) (*Server, error) {
	if o.MaxConns <= 0 {
		o.MaxConns = 64
	}
	if o.PerClient <= 0 {
		o.PerClient = max(o.MaxConns/4, 2)
	}
	if o.Idle <= 0 {
		o.Idle = 10 * time.Second
	}
	if o.Lifetime <= 0 {
		o.Lifetime = time.Minute
	}
	s := &Server{options: o, rates: newRates(o.Rate)}
	return s, s.Replace(o.Zones...)
}

// Replace puts other zones in place of all zones; each query sees the old ones or the new. Wrong zones change nothing.
func (s *Server) Replace(zones ...Zone) error {
	t, err := newTable(zones)
	if err != nil {
		return err
	}
	s.table.Store(t)
	return nil
}

// Serve answers on both until ctx ends, and closes them; then it returns nil. Either may be nil. On hosts with several addresses
// pass one pair per address: a UDP answer leaves from the address that its socket is bound to.
func (s *Server) Serve(ctx context.Context, p net.PacketConn, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2) // of both loops; a cause of the caller's ctx is no failure
	var wg sync.WaitGroup
	run := func(listening io.Closer, loop func(context.Context) error) {
		context.AfterFunc(ctx, func() { listening.Close() })
		wg.Go(func() {
			if err := loop(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("dnsd: %w", err)
				cancel()
			}
		})
	}
	if p != nil {
		run(p, func(ctx context.Context) error { return s.serveUDP(ctx, p) })
	}
	if l != nil {
		run(l, func(ctx context.Context) error { return s.serveTCP(ctx, l) })
	}
	<-ctx.Done()
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
