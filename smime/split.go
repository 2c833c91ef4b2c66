package smime

import (
	"bytes"
	"errors"
	"io"

	"carepost/message"
)

// Sizes of the splitter.
const (
	firstWindow    = 8 << 10 // for small messages
	windowBytes    = 32 << 10
	maxPadding     = 1000    // white space after a delimiter on its line
	maxNeedle      = 48      // what bytes.Index finds fast; the rest of the boundary is compared
	maxDropped     = 4 << 10 // octets before the first delimiter, and again behind the last
	maxEmptyReads  = 100
	boundaryOctets = 70 // RFC 2046 §5.1.1
)

// errCut: the body ended before the multipart was closed. Open makes ErrDecrypt of it, since a cut inside the ciphertext and
// one before it was made must not be told apart.
var errCut = errors.New("the multipart is not closed")

// splitter cuts a multipart body into its sections by bytes: preamble, parts, epilogue (RFC 2046 §5.1.1). It hands out each
// section as a reader of exactly the bytes that were transmitted; the line end before a delimiter belongs to the delimiter.
// The memory is one window, and no byte is looked at more than a few times.
type splitter struct {
	r      io.Reader
	rerr   error // of r, after what the window holds
	buf    []byte
	lo, hi int    // the window: buf[lo:hi] is not handed out yet
	full   bool   // r had as much as there was room for
	delim  []byte // "\n--" and the boundary
	needle []byte // the beginning of delim that is searched for

	bol    bool   // the window begins on a new line, whose line end was handed out or belongs to the delimiter before
	out    []byte // of this section, handed out by chunk and not read yet
	ended  bool   // the section is at its end
	closed bool   // and the delimiter that ended it was the closing one
	err    error  // sticky
}

func newSplitter(r io.Reader, boundary string) *splitter {
	delim := []byte("\n--" + boundary)
	return &splitter{
		r: r, buf: make([]byte, firstWindow), bol: true,
		delim: delim, needle: delim[:min(len(delim), maxNeedle)],
	}
}

// validBoundary is the grammar of RFC 2046 §5.1.1.
func validBoundary(b string) bool {
	if len(b) == 0 || len(b) > boundaryOctets || b[len(b)-1] == ' ' {
		return false
	}
	for i := range len(b) {
		c := b[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case bytes.IndexByte([]byte("'()+_,-./:=? "), c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Read reads the current section.
func (s *splitter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.out) == 0 {
		var err error
		if s.out, err = s.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// WriteTo writes what is left of the current section, without copying it first.
func (s *splitter) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(s.out) == 0 {
			if s.out, err = s.chunk(); err == io.EOF {
				return n, nil
			} else if err != nil {
				return n, err
			}
		}
		k, err := w.Write(s.out)
		n += int64(k)
		s.out = s.out[k:]
		if err != nil {
			return n, err
		}
	}
}

// next drops what is left of the current section and goes on to the one after it. It reports whether the delimiter between the
// two was the closing one, so that the next section is the epilogue.
func (s *splitter) next() (closed bool, err error) {
	if _, err := s.WriteTo(io.Discard); err != nil {
		return false, err
	}
	s.ended = false
	return s.closed, nil
}

// chunk returns the next bytes of the section, some, or io.EOF at its end. They are valid until the next call.
func (s *splitter) chunk() ([]byte, error) {
	for {
		if s.ended {
			return nil, io.EOF
		}
		if s.err != nil {
			return nil, s.err
		}
		if p := s.scan(); len(p) > 0 {
			return p, nil
		}
	}
}

// scan takes one step: it returns bytes of the section, or finds its end, or fills the window, or fails.
func (s *splitter) scan() []byte {
	w := s.buf[s.lo:s.hi]
	at := 0 // of the delimiter's dashes
	switch i := message.IndexDelimiter(w, s.needle); {
	case s.bol && couldBegin(w, s.delim[1:]):
	case i >= 0 && couldBegin(w[i:], s.delim):
		at = i + 1
	case i >= 0:
		return s.take(i + 1)
	case s.rerr != nil:
		return s.cut()
	case len(w) > len(s.delim):
		return s.take(len(w) - len(s.delim)) // the rest may be the beginning of CR and delimiter
	default:
		s.fill()
		return nil
	}
	end, closing, verdict := s.delimiter(w[at:])
	content := max(at-1, 0)
	if content > 0 && w[content-1] == '\r' {
		content--
	}
	switch {
	case verdict == isOpen && content > 0:
		return s.take(content) // what stands before it, to have room for more of it
	case verdict == isOpen && s.rerr == nil:
		s.fill()
		return nil
	case verdict == isOpen:
		return s.cut()
	case verdict == isOther:
		s.err = structure("a line that begins like a boundary and goes on")
		return nil
	}
	p := w[:content]
	s.lo += at + end
	s.bol, s.ended, s.closed = true, true, closing
	return p
}

// couldBegin says whether w begins with p, as far as w goes. An empty w says nothing, and does not begin anything.
func couldBegin(w, p []byte) bool {
	n := min(len(w), len(p))
	return n > 0 && bytes.Equal(w[:n], p[:n])
}

// take hands out the first n bytes of the window.
func (s *splitter) take(n int) []byte {
	p := s.buf[s.lo : s.lo+n]
	s.lo += n
	s.bol = false
	return p
}

// cut ends everything: r is at its end, or failed, inside a section.
func (s *splitter) cut() []byte {
	s.err = s.rerr
	if s.rerr == io.EOF {
		s.err = errCut
	}
	return nil
}

type delimiterVerdict uint8

const (
	isOpen      delimiterVerdict = iota // more bytes must tell
	isDelimiter                         // the line is a delimiter
	isOther                             // the line begins like one
)

// delimiter reads a delimiter line at w, dashes first: its length with the line end, and whether it closes the multipart.
func (s *splitter) delimiter(w []byte) (n int, closing bool, v delimiterVerdict) {
	if len(w) < len(s.delim)+1 { // dashes, boundary and two more; the LF is not counted
		if s.rerr != io.EOF || len(w) < len(s.delim)-1 {
			return 0, false, isOpen
		}
	}
	n = len(s.delim) - 1
	if !bytes.Equal(w[:n], s.delim[1:]) {
		return 0, false, isOther
	}
	if bytes.HasPrefix(w[n:], []byte("--")) {
		n, closing = n+2, true
	}
	for ; n < len(w) && (w[n] == ' ' || w[n] == '\t'); n++ {
		if n > len(s.delim)+maxPadding {
			return 0, false, isOther
		}
	}
	switch rest := w[n:]; {
	case bytes.HasPrefix(rest, []byte("\n")):
		return n + 1, closing, isDelimiter
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return n + 2, closing, isDelimiter
	case len(rest) == 0 && closing && s.rerr == io.EOF:
		return n, true, isDelimiter
	case len(rest) == 0, len(rest) == 1 && (rest[0] == '\r' || rest[0] == '-'):
		return 0, false, isOpen
	}
	return 0, false, isOther
}

// fill reads more into the window.
func (s *splitter) fill() {
	if s.full && len(s.buf) < windowBytes {
		larger := make([]byte, windowBytes)
		s.lo, s.hi, s.buf = 0, copy(larger, s.buf[s.lo:s.hi]), larger
	}
	if s.lo > 0 {
		s.hi = copy(s.buf, s.buf[s.lo:s.hi])
		s.lo = 0
	}
	for range maxEmptyReads {
		n, err := s.r.Read(s.buf[s.hi:])
		s.hi += n
		s.full = s.hi == len(s.buf)
		if err != nil {
			s.rerr = err
			return
		}
		if n > 0 {
			return
		}
	}
	s.rerr = io.ErrNoProgress
}

// preamble drops what stands before the first delimiter, as next does, where it is fit to be dropped.
func (s *splitter) preamble() (closed bool, err error) {
	for n := 0; ; {
		p, err := s.chunk()
		if err == io.EOF {
			s.ended = false
			return s.closed, nil
		}
		if err != nil {
			return false, err
		}
		if n += len(p); n > maxDropped || !plainText(p) {
			return false, errCut
		}
	}
}

// epilogue reads what follows the closing delimiter up to the end of r, and says whether it is fit to be dropped.
func (s *splitter) epilogue() error {
	for n := 0; ; s.fill() {
		if n += s.hi - s.lo; n > maxDropped || !plainText(s.buf[s.lo:s.hi]) {
			return errCut
		}
		s.lo, s.hi = 0, 0
		if s.rerr == io.EOF {
			return nil
		}
		if s.rerr != nil {
			return s.rerr
		}
	}
}

// plainText says whether p can be printed: what stands in a message and is neither signed nor delivered must be short text. See the
// package comment.
func plainText(p []byte) bool {
	for _, c := range p {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
