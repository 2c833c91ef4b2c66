package dnsd

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// maxFailures in a row end a listener; before that they are taken to pass.
const (
	maxFailures = 100
	pause       = 50 * time.Millisecond
)

func (s *Server) serveUDP(ctx context.Context, p net.PacketConn) error {
	buf := make([]byte, queryMax)
	for failures := 0; ; {
		n, from, err := p.ReadFrom(buf)
		if err != nil {
			if failures++; !endure(ctx, err, failures) {
				return err
			}
			continue
		}
		failures = 0
		a := s.table.Load().answer(buf[:n], true)
		if a != nil {
			a = s.rates.limit(a, from)
		}
		if a != nil {
			p.WriteTo(a, from) // who did not get it asks again
		}
	}
}

// endure waits a moment after a failure that may pass, and says whether to go on.
func endure(ctx context.Context, err error, failures int) bool {
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) || failures > maxFailures {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

func (s *Server) serveTCP(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, s.options.MaxConns)
	var clients crowd
	for failures := 0; ; {
		conn, err := l.Accept()
		if err != nil {
			if failures++; !endure(ctx, err, failures) {
				return err
			}
			continue
		}
		failures = 0
		leave, ok := clients.enter(conn.RemoteAddr(), s.options.PerClient)
		if !ok {
			conn.Close() // RFC 7766 §6.2.2: the number of connections is limited, also for one client
			continue
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-slots }()
				defer leave()
				s.converse(ctx, conn)
			})
		default:
			conn.Close()
			leave()
		}
	}
}

// converse answers the queries of one connection, one after the other, until it idles, errs or has lasted long enough.
func (s *Server) converse(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	end := time.Now().Add(s.options.Lifetime)
	buf := make([]byte, queryMax)
	for {
		next := time.Now().Add(s.options.Idle)
		if next.After(end) {
			next = end
		}
		conn.SetDeadline(next) // for the query and the writing of its answer
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n < headerLen || n > queryMax {
			return
		}
		if _, err := io.ReadFull(conn, buf[:n]); err != nil {
			return
		}
		a := s.table.Load().answer(buf[:n], false)
		if a == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(a)), uint16(len(a))), a...)); err != nil {
			return
		}
	}
}
