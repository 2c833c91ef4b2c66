package smtpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"carepost/smtp"
)

// Server accepts mail by SMTP. It is made by New.
type Server struct {
	opts Options

	mu       sync.Mutex // guards what follows
	sessions map[*session]struct{}
	perPeer  map[netip.Prefix]int
}

// New returns a Server. Nothing is started.
func New(o Options) *Server {
	return &Server{opts: o.withDefaults(), sessions: map[*session]struct{}{}, perPeer: map[netip.Prefix]int{}}
}

// Serve takes sessions from l, and closes it when ctx ends. Then sessions between two messages are told 421, running messages have
// Timeouts.Shutdown to end, and Serve returns nil when all its sessions are over. An error says that l failed. A Server may serve
// several listeners at once; limits hold for all of them together.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return s.serve(ctx, l, false) }

// ServeTLS is Serve for sessions that begin with TLS (RFC 8314 §3.3). Options.TLS must be there.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener) error {
	if s.opts.TLS == nil {
		l.Close()
		return errors.New("smtpd: TLS without certificates")
	}
	return s.serve(ctx, l, true)
}

// serve takes sessions from l; wrapped ones begin with TLS.
func (s *Server) serve(ctx context.Context, l net.Listener, wrapped bool) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	// Accept outlives ctx by the time that running messages have to finish.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var all sync.WaitGroup
	mine := sync.Map{} // *session → nothing
	err := s.acceptLoop(ctx, l, wrapped, func(c *session) {
		mine.Store(c, nil)
		all.Go(func() {
			defer mine.Delete(c)
			defer s.leave(c)
			c.run(work)
		})
	})
	l.Close()

	mine.Range(func(c, _ any) bool { c.(*session).close(); return true })
	late := time.AfterFunc(s.opts.Timeouts.Shutdown, func() {
		cancel()
		mine.Range(func(c, _ any) bool { c.(*session).kill(); return true })
	})
	defer late.Stop()
	all.Wait()
	return err
}

func (s *Server) acceptLoop(ctx context.Context, l net.Listener, wrapped bool, start func(*session)) error {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("smtpd: accepting: %w", err)
		case err != nil: // no descriptors left, or a client gone before it was taken
			s.opts.Log.Warn("accepting", "error", err, "pause", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = 5 * time.Millisecond
		c := newSession(s, conn, wrapped)
		if r := s.enter(c); r != nil {
			if !wrapped { // a handshake is more than a client without room is worth
				conn.SetWriteDeadline(time.Now().Add(time.Second))
				conn.Write(r.AppendTo(nil))
			}
			conn.Close()
			continue
		}
		start(c)
	}
}

// enter counts a session in, or says why there is no room for it.
func (s *Server) enter(c *session) *smtp.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p := peerPrefix(c.peer); {
	case len(s.sessions) >= s.opts.Limits.Connections:
		return smtp.NewReply(421, "4.3.2", s.opts.Hostname+" is busy, try again later")
	case s.perPeer[p] >= s.opts.Limits.PerPeer:
		return smtp.NewReply(421, "4.7.0", s.opts.Hostname+" has too many connections from you")
	default:
		s.perPeer[p]++
	}
	s.sessions[c] = struct{}{}
	return nil
}

func (s *Server) leave(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
	p := peerPrefix(c.peer)
	if s.perPeer[p]--; s.perPeer[p] == 0 {
		delete(s.perPeer, p)
	}
}

// peerPrefix is what counts as one client: an IPv4 address, or the /64 that one IPv6 host may roam in.
func peerPrefix(p netip.AddrPort) netip.Prefix {
	a := p.Addr().Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	prefix, _ := a.Prefix(bits) // the zero Prefix for a peer without an address
	return prefix
}
