package auditor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// Bounds of a connection.
const (
	maxWrite  = 64 << 10 // octets that are gathered for one write
	maxSpoken = 64 << 10 // octets that a server may say, which has nothing to say
)

var (
	errEnded = errors.New("the server ended the connection")
	errSpeak = errors.New("the server speaks; a syslog server does not")
	errMute  = errors.New("the server did not answer the end of the connection (RFC 5425 §4.4)")
)

// session is one connection.
type session struct {
	conn    *tls.Conn
	started time.Time
	ended   chan struct{} // closed when we have ended it
	over    chan error    // how it came to its end: nil where the server answered ours
}

// dial connects and shakes hands.
func dial(ctx context.Context, server string, o Options) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Times.Dial)
	defer cancel()
	c := &tls.Config{}
	if o.TLS != nil {
		var err error
		if c, err = o.TLS(); err != nil {
			return nil, err
		}
		c = c.Clone()
	}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(server)
		if err != nil {
			return nil, err
		}
		c.ServerName = host
	}
	conn, err := (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn.(*tls.Conn), started: time.Now(), ended: make(chan struct{}), over: make(chan error, 1)}
	go s.listen()
	return s, nil
}

// listen waits for the end of the connection. With TLS 1.3, that our certificate is refused is told here as well.
func (s *session) listen() {
	n, err := io.Copy(io.Discard, io.LimitReader(s.conn, maxSpoken))
	select {
	case <-s.ended:
	default:
		if err == nil {
			err = errEnded
		}
	}
	if n == maxSpoken {
		err = errSpeak
	}
	s.over <- err
}

// write sends b, or as much of it as anybody knows.
func (s *session) write(b []byte, most time.Duration) error {
	select {
	case err := <-s.over:
		return s.because(err)
	default:
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	if _, err := s.conn.Write(b); err != nil {
		return s.because(err)
	}
	return nil
}

// because is what the server said of it, if that comes to be known: what fails first is often the write.
func (s *session) because(err error) error {
	select {
	case said := <-s.over:
		if said != nil && !errors.Is(said, errEnded) {
			return said
		}
	case <-time.After(100 * time.Millisecond):
	}
	return err
}

// stay waits, unless the connection breaks or ctx ends.
func (s *session) stay(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case err := <-s.over:
		return err
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}

// end ends the connection in order. nil: everything before has been read.
func (s *session) end(most time.Duration) error {
	select {
	case err := <-s.over:
		return err
	default:
		close(s.ended)
	}
	if err := s.conn.SetDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	if err := s.conn.CloseWrite(); err != nil {
		return err
	}
	if tcp, ok := s.conn.NetConn().(*net.TCPConn); ok {
		if err := tcp.CloseWrite(); err != nil {
			return err
		}
	}
	err := <-s.over
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return errMute
	}
	return err
}
