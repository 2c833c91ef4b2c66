// Package ldapd publishes certificates by LDAP: a read-only directory that answers anonymous searches over TCP.
//
// It follows RFC 4511 (LDAP v3), RFC 4512 §5.1 (root DSE), RFC 4513 §5.1.1 (anonymous bind), RFC 4514 (names as text), RFC 4522 and
// 4523 (certificates go by userCertificate;binary, asked with or without), RFC 2798 (inetOrgPerson), RFC 2849 (LDIF), and for what
// is asked the S&I Certificate Discovery guide as its conformance tests show it: mail=ADDRESS, mail=DOMAIN, and both with a
// demand for userCertificate.
//
//	dc=north,dc=example
//	└ ou=certificates
//	  ├ mail=north.example        the organisation's, for everybody to see
//	  └ mail=lab@north.example    for those who ask for that address
//
// A publisher does not give the list of its people away. The entry of an address is shown only to who names it in full, by a filter
// with mail=ADDRESS (or cn, sn) or by its distinguished name; a search that would have shown others, such as mail=* or mail=l*,
// ends with sizeLimitExceeded whoever there is, so that not even their number is told.
//
// It departs from RFC 4511 and 4512: nothing is written (unwillingToPerform), no authentication besides the anonymous, no StartTLS
// (what is here is public and signed), no schema is published, an empty base means the whole directory, and a search takes no
// longer than its few entries need, so that timeLimit is read and never reached.
package ldapd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options sets a Server up. Zero fields take the default in brackets.
type Options struct {
	Directory Directory
	MaxConns  int           // connections at a time [64]; one more is closed at once
	PerClient int           // of these from one client [a quarter, at least 2]; an IPv6 client is a /64
	Rate      int           // operations of one client a second [500]; more of them wait. Each address that a search names is one
	Idle      time.Duration // a connection without a request is closed after this [30 s]
	Lifetime  time.Duration // the longest a connection may last [5 min]
}

// Server answers for its directory.
type Server struct {
	options Options
	tree    atomic.Pointer[tree]
}

// New checks the directory and returns a server for it. It starts nothing.
func New(o Options) (*Server, error) {
	if o.MaxConns <= 0 {
		o.MaxConns = 64
	}
	if o.PerClient <= 0 {
		o.PerClient = max(o.MaxConns/4, 2)
	}
	if o.Rate <= 0 {
		o.Rate = 500
	}
	if o.Idle <= 0 {
		o.Idle = 30 * time.Second
	}
	if o.Lifetime <= 0 {
		o.Lifetime = 5 * time.Minute
	}
	s := &Server{options: o}
	return s, s.Replace(o.Directory)
}

// Replace puts other directories, one for each domain, in the place of all there are; each search sees the old ones or the new. Wrong ones
// change nothing.
func (s *Server) Replace(ds ...Directory) error {
	t, err := newTree(ds...)
	if err != nil {
		return err
	}
	s.tree.Store(t)
	return nil
}

// A listener that fails is tried again, with a pause, until it has failed maxFailures times in a row.
const (
	maxFailures = 100
	pause       = 50 * time.Millisecond
)

// Serve answers on l until ctx ends, and closes it; then it returns nil when the connections are closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	context.AfterFunc(ctx, func() { l.Close() })
	slots := make(chan struct{}, s.options.MaxConns)
	clients := newCrowd(s.options)
	for failures := 0; ; {
		conn, err := l.Accept()
		if err != nil {
			if failures++; ctx.Err() != nil {
				return nil
			} else if errors.Is(err, net.ErrClosed) || failures > maxFailures {
				return fmt.Errorf("ldapd: %w", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		failures = 0
		who, ok := clients.enter(conn.RemoteAddr())
		if !ok {
			conn.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-slots }()
				defer clients.leave(who)
				s.converse(ctx, conn, func(n int) { clients.wait(ctx, who, n) })
			})
		default:
			conn.Close()
			clients.leave(who)
		}
	}
}
