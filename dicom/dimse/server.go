package dimse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"carepost/smtp"
)

// Handler takes the instances that a Server receives.
type Handler interface {
	// Store takes one instance: a DICOM Part 10 file, the data set as it came. What it answers goes to the caller once the data
	// set is read to its end; an error of r means that the instance did not arrive, and no answer will be read.
	// With Success the instance must be safe. ctx ends when the Server has waited long enough for its end.
	Store(ctx context.Context, a Association, i Instance, r io.Reader) Status
}

// Server accepts associations and gives their instances to its Handler, those of one association one after the other, those of several
// at once.
type Server struct {
	AETitle AETitle // that callers must call; "" = any
	Handler Handler

	TLS     *tls.Config                // certificates, and the authorities of callers; nil = no TLS. PS3.15 §B.12 comes on top
	Storage func(sopClass string) bool // classes that are taken; nil = IsStorage
	Known   func(netip.Addr) bool      // where callers are to be: others get no place of theirs, and Admit says what becomes of them. nil = anywhere
	Admit   func(Association) error    // a Reject goes to the caller; other errors are NoReason. nil = everybody
	Ended   func(Association, error)   // is told of every association that ends; nil error: it was released. A caller without
	Limits  Limits                     // titles never got as far as to say them
}

func (s *Server) storage(class string) bool {
	if s.Storage != nil {
		return s.Storage(class)
	}
	return IsStorage(class)
}

// pause is how long nothing is accepted where that has failed.
const pause = 100 * time.Millisecond

// Serve accepts associations at l until ctx ends or l is closed, and closes l. Instances under way have Limits.Grace to end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limits := s.Limits.defaulted()
	late, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { l.Close() })
	c := s.crowds(limits)
	var all sync.WaitGroup
	var failed error
	for {
		conn, err := l.Accept()
		if err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) { // no descriptors left, or a caller gone before it was taken
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		if err != nil {
			if ctx.Err() == nil {
				failed = fmt.Errorf("dimse: accepting: %w", err)
			}
			break
		}
		addr := remote(conn)
		room, ok := c.enter(addr)
		if !ok { // not even a refusal: it would take memory to read what is asked
			conn.Close()
			continue
		}
		all.Go(func() {
			defer c.leave(addr)
			if s.TLS != nil {
				conn = tls.Server(conn, smtp.HardenTLS(s.TLS))
			}
			s.one(ctx, late, conn, addr, room, limits)
		})
	}
	if stop() {
		l.Close()
	}
	s.drain(&all, limits, cut)
	return failed
}

// drain waits for what is under way, but not for ever.
func (s *Server) drain(all *sync.WaitGroup, limits Limits, cut context.CancelCauseFunc) {
	timer := time.AfterFunc(limits.Grace, func() { cut(errStopping) })
	all.Wait()
	timer.Stop()
	cut(errStopping)
}

var errStopping = errors.New("dimse: the server stops")

// crowd counts connections. Half as many again as there may be associations are heard, so that they can be told.
type crowd struct {
	mu   sync.Mutex
	most int
	all  int
	by   map[netip.Addr]int
}

// enter counts a connection in. room says that it may have an association, ok that it may speak.
func (c *crowd) enter(a netip.Addr) (room, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := max(1, c.most/2)
	if c.all >= c.most+c.most/2+1 || c.by[a] >= one+one/2+1 {
		return false, false
	}
	c.all++
	c.by[a]++
	return c.all <= c.most && c.by[a] <= one, true
}

func (c *crowd) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.by[a]--; c.by[a] == 0 {
		delete(c.by, a)
	}
}

// crowds are those whom the Server knows, and all others, who keep no place from them.
type crowds struct {
	known             func(netip.Addr) bool
	guests, strangers crowd
}

func (s *Server) crowds(limits Limits) *crowds {
	return &crowds{known: s.Known, guests: crowd{most: limits.Associations, by: map[netip.Addr]int{}},
		strangers: crowd{most: max(1, limits.Associations/4), by: map[netip.Addr]int{}}}
}

func (c *crowds) of(a netip.Addr) *crowd {
	if c.known == nil || c.known(a) {
		return &c.guests
	}
	return &c.strangers
}

func (c *crowds) enter(a netip.Addr) (room, ok bool) { return c.of(a).enter(a) }
func (c *crowds) leave(a netip.Addr)                 { c.of(a).leave(a) }

func remote(conn net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
