package gatewaytest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Valve stands before an installation's SMTP port. Shut, it lets nobody through: the server is down.
type Valve struct {
	Addr string
	shut atomic.Bool
}

// Shut has every new connection end at once.
func (v *Valve) Shut() { v.shut.Store(true) }

// Open lets connections through.
func (v *Valve) Open() { v.shut.Store(false) }

func newValve(tb testing.TB, to string) *Valve {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	v := &Valve{Addr: l.Addr().String()}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go v.pass(c, to)
		}
	}()
	return v
}

func (v *Valve) pass(c net.Conn, to string) {
	defer c.Close()
	if v.shut.Load() {
		return
	}
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(s, c); s.(*net.TCPConn).CloseWrite() })
	wg.Go(func() { io.Copy(c, s); c.(*net.TCPConn).CloseWrite() })
	wg.Wait()
}
