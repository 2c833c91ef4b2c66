package ldap

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"sync"
)

const (
	maxMessage  = 256 << 10 // octets of one message
	maxSession  = 1 << 20   // octets of all messages of a session
	maxMessages = 1000      // of a session
	maxElements = 4096      // of one message; reading one costs some hundred octets
	maxDepth    = 10        // elements one inside the other: an entry with controls has seven
)

// guard is a connection that yields whole messages which have been measured, and ends with the first that may not pass.
type guard struct {
	net.Conn
	in       *bufio.Reader
	message  bytes.Reader // what is left of the present one
	octets   int          // of all so far
	messages int

	mu  sync.Mutex
	bad error // why nothing passes any more
}

func newGuard(c net.Conn) *guard { return &guard{Conn: c, in: bufio.NewReader(c)} }

// failure is what the server did, if that is why the connection ended.
func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bad
}

func (g *guard) Read(p []byte) (int, error) {
	if g.message.Len() == 0 {
		m, err := g.next()
		if err == ErrLimit || err == ErrMalformed {
			g.mu.Lock()
			g.bad = err
			g.mu.Unlock()
		}
		if err != nil {
			return 0, err
		}
		g.message.Reset(m)
	}
	return g.message.Read(p)
}

// next reads one message (RFC 4511 §4.1.1) whole.
func (g *guard) next() ([]byte, error) {
	if g.messages++; g.messages > maxMessages {
		return nil, ErrLimit
	}
	head, err := g.in.Peek(2)
	if err != nil {
		return nil, err
	}
	size := 2
	if head[1] > 0x80 && head[1] <= 0x88 { // the length follows in so many octets
		size += int(head[1] & 0x7f)
		if head, err = g.in.Peek(size); err != nil {
			return nil, err
		}
	}
	length, rest, ok := length(head[1:])
	switch {
	case head[0] != 0x30 || !ok || len(rest) > 0:
		return nil, ErrMalformed
	case length > maxMessage || g.octets+size+length > maxSession:
		return nil, ErrLimit
	}
	g.octets += size + length
	var b bytes.Buffer // grows by what comes, not by what is claimed
	if _, err := io.CopyN(&b, g.in, int64(size+length)); err != nil {
		return nil, err
	}
	n := 0
	return b.Bytes(), measure(b.Bytes()[size:], 1, &n)
}

// length reads a definite length (RFC 4511 §5.1) and returns what follows it. One of a gigabyte or more is no less for that: it comes back
// as more than any limit.
func length(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) == 0 || b[0] == 0x80:
		return 0, nil, false
	case b[0] < 0x80:
		return int(b[0]), b[1:], true
	}
	octets := int(b[0] & 0x7f)
	if octets > 8 || len(b) < 1+octets {
		return 0, nil, false
	}
	for _, c := range b[1 : 1+octets] {
		if n = n<<8 | int(c); n > maxSession {
			n = maxSession + 1 // and more: it stays above every limit
		}
	}
	return n, b[1+octets:], true
}

// measure counts the elements of b and what is inside them.
func measure(b []byte, depth int, n *int) error {
	if depth > maxDepth {
		return ErrLimit
	}
	for len(b) > 0 {
		if *n++; *n > maxElements {
			return ErrLimit
		}
		if b[0]&0x1f == 0x1f { // LDAP has no tags above 30
			return ErrMalformed
		}
		size, rest, ok := length(b[1:])
		if !ok || size > len(rest) {
			return ErrMalformed
		}
		if b[0]&0x20 != 0 {
			if err := measure(rest[:size], depth+1, n); err != nil {
				return err
			}
		}
		b = rest[size:]
	}
	return nil
}
