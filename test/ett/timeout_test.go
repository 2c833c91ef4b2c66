package ett

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carepost/internal/smtpd"
	"carepost/internal/transit"
)

// single is a listener with one connection.
type single struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *single) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *single) Addr() net.Addr { return &net.TCPAddr{} }

// Who says nothing more is sent away, with 421, after the five minutes of RFC 5321 §4.5.3.2.7 and not before: before each command, and
// within the content.
func TestSMTP13_CommandTimeout(t *testing.T) {
	for name, said := range map[string][]string{
		"nothing": {}, "EHLO": {"EHLO edge.example"}, "MAIL": {"EHLO edge.example", "MAIL FROM:<a@ett.example>"},
		"RCPT": {"EHLO edge.example", "MAIL FROM:<a@ett.example>", "RCPT TO:<desk@north.example>"},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { silent(t, said) }) })
	}
}

// silent says some lines and waits to be sent away.
func silent(t *testing.T, said []string) {
	us, them := net.Pipe()
	defer us.Close()
	l := &single{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- them
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- smtpd.New(smtpd.Options{Hostname: "mx.north.example", Accept: func(context.Context, transit.Envelope, io.Reader) (string, error) {
			return "", io.ErrUnexpectedEOF
		}}).Serve(ctx, l)
	}()
	r := bufio.NewReader(us)
	answer := func() (last string) {
		for {
			line, err := r.ReadString('\n')
			if err != nil || len(line) > 3 && line[3] == ' ' {
				return line
			}
		}
	}
	for _, line := range said {
		answer()
		io.WriteString(us, line+"\r\n")
	}
	answer()
	begin := time.Now()
	if line := answer(); !strings.HasPrefix(line, "421 ") {
		t.Errorf("the last word is %q", line)
	}
	if waited := time.Since(begin); waited < 5*time.Minute || waited > 6*time.Minute {
		t.Errorf("it came after %s", waited)
	}
	cancel()
	<-served
}
