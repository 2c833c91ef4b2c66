package ett

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// transaction is a message that the tool's mail server took.
type transaction struct {
	from string
	to   []string
	data []byte
	tls  bool
}

// server is the tool's mail server: it refuses whom the tool does not know, and hands the rest over.
type server struct {
	addr    string
	cert    tls.Certificate
	refuses func(rcpt string) bool
	take    func(transaction)
}

// listen serves until the end of the test.
func (s *server) listen(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
}

// serve is one session (RFC 5321), with STARTTLS.
func (s *server) serve(c net.Conn) {
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	defer func() { c.Close() }()
	r, secure := textproto.NewReader(bufio.NewReader(c)), false
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	say("220 mx.ett.example ESMTP")
	var x transaction
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			if secure {
				say("250-mx.ett.example\r\n250 8BITMIME")
			} else {
				say("250-mx.ett.example\r\n250-8BITMIME\r\n250 STARTTLS")
			}
		case "STARTTLS":
			say("220 go ahead")
			upgraded := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.cert}})
			c, r, secure = upgraded, textproto.NewReader(bufio.NewReader(upgraded)), true
		case "MAIL":
			x = transaction{from: path(rest), tls: secure}
			say("250 ok")
		case "RCPT":
			if to := path(rest); s.refuses(to) {
				say("550 5.1.1 nobody has that address")
			} else {
				x.to = append(x.to, to)
				say("250 ok")
			}
		case "DATA":
			say("354 go on")
			if x.data, err = io.ReadAll(r.DotReader()); err != nil {
				return
			}
			x.data = crlf(x.data)
			s.take(x)
			say("250 taken")
		case "RSET", "NOOP":
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

// path is what stands between the angle brackets of MAIL or RCPT.
func path(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

// client says SMTP by hand.
type client struct {
	conn net.Conn
	text *textproto.Conn
}

// dial connects and reads the greeting.
func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	c := &client{conn, textproto.NewConn(conn)}
	_, _, err = c.text.ReadResponse(220)
	return c, err
}

// say sends a line and gives the answer.
func (c *client) say(format string, args ...any) (code int, text string, err error) {
	if err := c.text.PrintfLine(format, args...); err != nil {
		return 0, "", err
	}
	return c.hear()
}

// hear reads an answer; a refusal is an answer.
func (c *client) hear() (code int, text string, err error) {
	code, text, err = c.text.ReadResponse(0)
	if refused := (*textproto.Error)(nil); errors.As(err, &refused) {
		return refused.Code, refused.Msg, nil
	}
	return code, text, err
}

// starttls goes on under TLS.
func (c *client) starttls(cfg *tls.Config) error {
	if code, text, err := c.say("STARTTLS"); err != nil || code != 220 {
		return fmt.Errorf("STARTTLS: %d %s, %v", code, text, err)
	}
	conn := tls.Client(c.conn, cfg)
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.text = conn, textproto.NewConn(conn)
	return nil
}

// send is one transaction. The last answer of the server is the result.
func (c *client) send(from string, to []string, message []byte) (answer string, err error) {
	steps := []string{"MAIL FROM:<" + from + ">"}
	for _, a := range to {
		steps = append(steps, "RCPT TO:<"+a+">")
	}
	for _, s := range append(steps, "DATA") {
		if code, text, err := c.say("%s", s); err != nil || code >= 400 {
			return "", fmt.Errorf("%s: %d %s, %v", s, code, text, err)
		}
	}
	w := c.text.DotWriter()
	if _, err := w.Write(message); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	code, text, err := c.hear()
	if err != nil || code != 250 {
		return "", fmt.Errorf("after the content: %d %s, %v", code, text, err)
	}
	return text, nil
}

// close ends the session.
func (c *client) close() {
	c.say("QUIT")
	c.conn.Close()
}
