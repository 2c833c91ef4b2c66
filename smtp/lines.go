package smtp

import (
	"bytes"
	"encoding/binary"
)

// Lines checks that content is made of lines as RFC 5321 §2.3.8 wants them: CR LF everywhere, neither of the two alone, no NUL. The
// zero value stands at the beginning of content.
type Lines struct{ at place }

type place uint8

const (
	begin  place = iota // of a line
	inside              // a line
	cr                  // between CR and LF
)

// Check looks at the next piece of content; a CR LF may lie across two pieces. It returns ErrBareByte, which is lasting only if the
// caller makes it so.
func (l *Lines) Check(p []byte) error {
	_, err := l.span(p, false)
	return err
}

// Whole says that the content so far ends with CR LF, or is empty.
func (l *Lines) Whole() bool { return l.at == begin }

// span passes over b and returns how far it got: to the end of b, to what is wrong, or, with dots, up to a dot that begins a line.
func (l *Lines) span(b []byte, dots bool) (int, error) {
	for i := 0; i < len(b); {
		switch {
		case l.at == cr:
			if b[i] != '\n' {
				return i, ErrBareByte
			}
			i++
			l.at = begin
			continue
		case dots && l.at == begin && b[i] == '.':
			return i, nil
		}
		rest := b[i:]
		end := bytes.IndexByte(rest, '\r')
		text := rest
		if end >= 0 {
			text = rest[:end]
		}
		if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, 0) >= 0 {
			return i, ErrBareByte
		}
		if end < 0 {
			l.at = inside
			return len(b), nil
		}
		i += end + 1
		l.at = cr
	}
	return len(b), nil
}

// EightBit reports whether p holds an octet over 127, so that it wants 8BITMIME (RFC 6152).
func EightBit(p []byte) bool {
	for ; len(p) >= 8; p = p[8:] {
		if binary.LittleEndian.Uint64(p)&0x8080808080808080 != 0 {
			return true
		}
	}
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
