package ldapd

import (
	"errors"
	"io"
)

// What a request may be. Real ones have some hundred octets.
const (
	maxMessage = 16 << 10 // octets of a request
	maxDepth   = 16       // filters within one another
	maxFilters = 128      // parts of a filter
	maxAsked   = 128      // attributes asked for
	maxNamed   = 16       // addresses that a search names
	maxDN      = 2048     // octets of a name
)

// Tags of BER (X.690 §8.1.2) as RFC 4511 uses them.
const (
	tagBoolean  = 0x01
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagEnum     = 0x0a
	tagSequence = 0x30
	tagSet      = 0x31
)

var (
	errSyntax = errors.New("ldapd: that is no LDAP message") // the connection ends (RFC 4511 §4.1.1)
	errLimit  = errors.New("ldapd: the request is larger than any that makes sense")
)

// readMessage reads one LDAPMessage and returns what is in it, which lies in buf until the next call. Nothing is allocated for what
// is only claimed: a length beyond maxMessage is refused unread.
func readMessage(r io.Reader, buf *[maxMessage]byte) (body, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return nil, err
	}
	n := int(head[1])
	if head[0] != tagSequence || n == 0x80 || n > 0x84 { // RFC 4511 §5.1: the definite form
		return nil, errSyntax
	}
	if n > 0x80 {
		more := head[2 : 2+n-0x80]
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, err
		}
		n = 0
		for _, c := range more {
			n = n<<8 | int(c)
		}
	}
	if n > maxMessage {
		return nil, errSyntax
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

// body is a sequence of encodings.
type body []byte

// next takes the first encoding off b.
func (b *body) next() (tag byte, content body, err error) {
	p := *b
	if len(p) < 2 || p[0]&0x1f == 0x1f {
		return 0, nil, errSyntax
	}
	tag, n := p[0], int(p[1])
	p = p[2:]
	if n >= 0x80 {
		k := n - 0x80
		if k == 0 || k > 4 || len(p) < k {
			return 0, nil, errSyntax
		}
		n = 0
		for _, c := range p[:k] {
			n = n<<8 | int(c)
		}
		p = p[k:]
	}
	if n > len(p) {
		return 0, nil, errSyntax
	}
	*b = p[n:]
	return tag, p[:n], nil
}

// want takes an encoding of that tag.
func (b *body) want(tag byte) (body, error) {
	got, content, err := b.next()
	if err == nil && got != tag {
		err = errSyntax
	}
	return content, err
}

func (b *body) text() (string, error) {
	c, err := b.want(tagOctets)
	return string(c), err
}

// number reads an INTEGER or ENUMERATED from 0 to 2^31-1, which all of RFC 4511 are.
func (b *body) number(tag byte) (int, error) {
	c, err := b.want(tag)
	if err != nil || len(c) == 0 || len(c) > 4 || c[0] >= 0x80 {
		return 0, errSyntax
	}
	n := 0
	for _, x := range c {
		n = n<<8 | int(x)
	}
	return n, nil
}

func (b *body) boolean() (bool, error) {
	c, err := b.want(tagBoolean)
	if err != nil || len(c) != 1 {
		return false, errSyntax
	}
	return c[0] != 0, nil
}

// encode puts one encoding together.
func encode(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n+6)
	switch {
	case n < 0x80:
		out = append(out, tag, byte(n))
	case n < 1<<16:
		out = append(out, tag, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, tag, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func octets(s string) []byte { return encode(tagOctets, []byte(s)) }

func integer(tag byte, n int) []byte {
	return encode(tag, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}[leading(n):])
}

// leading is how many of four octets an integer does without (X.690 §8.3.2).
func leading(n int) int {
	for k := 3; k > 0; k-- {
		if n>>(8*(4-k)-1) == 0 {
			return k
		}
	}
	return 0
}
