package message

import (
	"bytes"
	"errors"
	"io"

	"github.com/segmentio/asm/base64"
)

// Sizes of the base64 codec: a line is 57 octets in, 76 out (RFC 2045 §6.8). A tile of 64 lines stays in the first-level cache
// between encoding and wrapping; 16 tiles go out in one write. Buffers are small at first, since most messages are: they grow when they
// have been full smallTimes.
const (
	lineIn    = 57
	lineOut   = 76
	tileLines = 64
	tiles     = 16
	tileIn    = tileLines * lineIn
	tileOut   = tileLines * (lineOut + 2)
	firstIn   = 8 << 10
	chunkIn   = 32 << 10

	smallTimes = 8
)

type base64Writer struct {
	w      io.Writer
	err    error
	closed bool
	in     []byte // less than a tile
	flat   [tileLines * lineOut]byte
	out    []byte // one tile, then tiles of them
	times  int    // that out was full
}

var errClosedWriter = errors.New("message: write after Close")

// NewBase64Writer returns a writer that encodes to w in lines of 76 columns with CRLF (RFC 2045 §6.8). Close writes what is
// left and a final line end; it leaves w open. Memory does not grow with the input.
func NewBase64Writer(w io.Writer) io.WriteCloser {
	return &base64Writer{w: w, in: make([]byte, 0, tileIn), out: make([]byte, 0, tileOut)}
}

func (b *base64Writer) Write(p []byte) (int, error) {
	if b.closed {
		return 0, errClosedWriter
	}
	n := len(p)
	for len(p) > 0 && b.err == nil {
		if len(b.in) == 0 && len(p) >= tileIn {
			b.tile(p[:tileIn])
			p = p[tileIn:]
			continue
		}
		k := min(len(p), tileIn-len(b.in))
		b.in = append(b.in, p[:k]...)
		p = p[k:]
		if len(b.in) == tileIn {
			b.tile(b.in)
			b.in = b.in[:0]
		}
	}
	return n - len(p), b.err
}

func (b *base64Writer) Close() error {
	if b.closed {
		return b.err
	}
	b.closed = true
	if b.err == nil && len(b.in) > 0 {
		b.tile(b.in)
	}
	b.flush()
	return b.err
}

// tile encodes at most one tile; less than one only at the end.
func (b *base64Writer) tile(p []byte) {
	n := base64.StdEncoding.EncodedLen(len(p))
	base64.StdEncoding.Encode(b.flat[:n], p)
	for flat := b.flat[:n]; len(flat) > 0; {
		k := min(lineOut, len(flat))
		b.out = append(b.out, flat[:k]...)
		b.out = append(b.out, '\r', '\n')
		flat = flat[k:]
	}
	if len(b.out) == cap(b.out) {
		b.flush()
		if b.times++; b.times == smallTimes {
			b.out = make([]byte, 0, tiles*tileOut)
		}
	}
}

func (b *base64Writer) flush() {
	if b.err != nil || len(b.out) == 0 {
		return
	}
	_, b.err = b.w.Write(b.out)
	b.out = b.out[:0]
}

// strict refuses padding bits that are not zero: one content has one encoding.
var strict = base64.StdEncoding.Strict()

type base64Reader struct {
	r    io.Reader
	err  error  // after what out holds
	done bool   // padding was seen: nothing but white space may follow
	in   []byte // text; in front the 0 to 3 characters that wait for the rest of their quantum
	wait int    // how many
	full int    // how many reads filled in
	buf  []byte
	out  []byte // decoded and not yet read
}

// NewBase64Reader returns a reader that decodes r. Spaces, tabs and line ends are passed over wherever they stand, lines may be
// of any length; everything else outside the alphabet, missing, early or inexact padding is an error that wraps ErrEncoding.
// What was decoded before it is still returned. Memory does not grow with the input.
func NewBase64Reader(r io.Reader) io.Reader { return &base64Reader{r: r} }

func (b *base64Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// WriteTo decodes the whole input to w (io.WriterTo).
func (b *base64Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(b.out) > 0 {
			k, err := w.Write(b.out)
			n += int64(k)
			b.out = b.out[k:]
			if err != nil {
				return n, err
			}
		}
		if b.err == io.EOF {
			return n, nil
		}
		if b.err != nil {
			return n, b.err
		}
		b.fill()
	}
}

// fill reads one chunk and decodes the whole quanta of it.
func (b *base64Reader) fill() {
	b.grow()
	n, err := b.r.Read(b.in[b.wait:])
	if b.wait+n == len(b.in) {
		b.full++
	}
	text := compact(b.in[:b.wait], b.in[b.wait:b.wait+n])
	whole := len(text) &^ 3
	k, ok := b.decode(text[:whole])
	if !ok {
		// White space inside a line, or rubbish: take out the one, refuse the other.
		text = stripSpace(text)
		whole = len(text) &^ 3
		if k, ok = b.decode(text[:whole]); !ok {
			b.out, b.err = b.buf[:k/3*3], badEncoding("not base64")
			return
		}
	}
	b.out = b.buf[:k]
	b.wait = copy(b.in, text[whole:])
	switch {
	case err == io.EOF && len(stripSpace(b.in[:b.wait])) > 0:
		b.err = badEncoding("base64 that is cut off")
	case err != nil:
		b.err = err
	}
}

// grow makes the buffers, and larger ones for what is seen not to be small.
func (b *base64Reader) grow() {
	size := firstIn
	if b.in != nil {
		if size = chunkIn; b.full != smallTimes || size == len(b.in) {
			return
		}
	}
	in := make([]byte, size)
	copy(in, b.in[:b.wait])
	b.in, b.buf = in, make([]byte, size/4*3+64)
}

// decode decodes text, whole quanta, into buf and says how many octets came out, and whether text was these quanta and nothing
// else. The standard decoder passes over line ends: then fewer come out.
func (b *base64Reader) decode(text []byte) (n int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if b.done {
		return 0, false
	}
	n, err := strict.Decode(b.buf, text)
	padding := 2 - len(bytes.TrimRight(text[len(text)-2:], "="))
	if err != nil || n != len(text)/4*3-padding {
		return n, false
	}
	b.done = padding > 0
	return n, true
}

// compact appends p to dst without line ends; p may lie behind dst in the same memory. Lines are as long as the one before, as
// long as that fits: then they are not searched. What was so passed over, and other white space, is rare, and found when it
// does not decode.
func compact(dst, p []byte) []byte {
	for line := 0; len(p) > 0; { // the length of a line with its end
		if line == 0 || line > len(p) || p[line-1] != '\n' {
			if line = bytes.IndexByte(p, '\n') + 1; line == 0 {
				return append(dst, p...)
			}
		}
		end := line - 1
		if end > 0 && p[end-1] == '\r' {
			end--
		}
		dst = append(dst, p[:end]...)
		p = p[line:]
	}
	return dst
}

// stripSpace takes all white space out of p, in place.
func stripSpace(p []byte) []byte {
	out := p[:0]
	for _, c := range p {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return out
}
