package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// longest is how long the path of a unix socket may be (unix(7): 108 bytes with the final NUL).
const longest = 107

// dialSocket connects to a unix socket. The error wraps fs.ErrNotExist or syscall.ECONNREFUSED where nobody listens.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	short, done, err := within(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// listenSocket listens on a unix socket that its owner alone may connect to. A socket that a former process left is replaced; the caller
// holds the lock of the installation, so nobody listens there.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	short, done, err := within(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the short name may lead elsewhere by then: Close
	// Who connects before is in a directory that is ours alone, and the kernel tells who he is. A umask would be that of the whole process.
	if err := os.Chmod(short, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return &socketListener{l, path}, nil
}

// socketListener takes its name away when it is closed.
type socketListener struct {
	net.Listener
	path string
}

func (l *socketListener) Close() error {
	err := l.Listener.Close()
	if err == nil {
		os.Remove(l.path)
	}
	return err
}

// within gives a path that is short enough, by way of the open directory.
func within(path string) (short string, done func(), err error) {
	if len(path) <= longest {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
