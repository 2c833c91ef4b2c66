package admind

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// Pair serves s within this process, over socket pairs, and gives a client for it. stop ends both; it returns when the last
// request has ended.
func Pair(s *Server) (c *Client, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pairs{conns: make(chan net.Conn), closed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ctx, p)
	}()
	c = NewClient(p.dial)
	return c, func() {
		c.Close()
		cancel()
		<-done
	}
}

// pairs is a listener whose connections are made by dial. The kernel tells the peer of a pair as of any unix socket.
type pairs struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pairs) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pairs) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pairs) Addr() net.Addr { return &net.UnixAddr{Name: "pair", Net: "unix"} }

func (p *pairs) dial(ctx context.Context) (net.Conn, error) {
	a, b, err := pair()
	if err != nil {
		return nil, err
	}
	select {
	case p.conns <- a:
		return b, nil
	case <-p.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	a.Close()
	b.Close()
	return nil, err
}

func pair() (a, b net.Conn, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, e := net.FileConn(f) // has a descriptor of its own
		f.Close()
		conns[i], err = c, errors.Join(err, e)
	}
	if err != nil {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return conns[0], conns[1], nil
}
