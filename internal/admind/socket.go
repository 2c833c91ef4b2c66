package admind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Socket is the name of the socket in the data directory.
const Socket = "admin.sock"

// longest path of a socket that the system takes (unix(7): 108 bytes with a NUL).
const longest = 107

// Listen makes the socket at path, for our user alone. One that a former process left is replaced: the caller holds the lock of
// the installation, so that no other gateway can be there.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("admind: %w", err)
	}
	var l net.Listener
	err := short(path, func(name string) (err error) {
		// The data directory is 0700: nobody else is there between bind and chmod.
		if l, err = net.Listen("unix", name); err != nil {
			return err
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		if l != nil {
			l.Close()
		}
		return nil, fmt.Errorf("admind: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by its short name it could not be found later
	return &socket{Listener: l, path: path}, nil
}

// socket removes its file when it is closed.
type socket struct {
	net.Listener
	path string
	once sync.Once
}

func (s *socket) Close() error {
	s.once.Do(func() { os.Remove(s.path) })
	return s.Listener.Close()
}

// Dialer connects to the socket at path. The error wraps fs.ErrNotExist or syscall.ECONNREFUSED where no gateway runs.
func Dialer(path string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (c net.Conn, err error) {
		err = short(path, func(name string) (err error) {
			c, err = (&net.Dialer{}).DialContext(ctx, "unix", name)
			return err
		})
		return c, err
	}
}

// short gives fn a name of path that the system takes for a socket, whatever the length of path.
func short(path string, fn func(name string) error) error {
	if len(path) <= longest {
		return fn(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// InProcess serves s within this process, over socket pairs, and gives a client for it. stop ends both; it returns when the
// last request has ended.
func (s *Server) InProcess(ctx context.Context) (c *Client, stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
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
