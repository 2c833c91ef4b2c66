package admind

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// peer is the user at the other end, as the kernel noted when the connection was made (unix(7), SO_PEERCRED).
func peer(c net.Conn) (uid int, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return -1, errors.New("admind: not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("admind: peer: %w", err)
	}
	uid = -1
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if failed = err; err == nil {
			uid = int(cred.Uid)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return -1, fmt.Errorf("admind: peer: %w", err)
	}
	return uid, nil
}
