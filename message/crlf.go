package message

import (
	"bytes"
	"io"
)

// crlf appends p to dst with CRLF for every bare LF. last is the octet before p.
func crlf(dst, p []byte, last byte) []byte {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return append(dst, p...)
		}
		if i > 0 {
			last = p[i-1]
		}
		dst = append(dst, p[:i]...)
		if last != '\r' {
			dst = append(dst, '\r')
		}
		dst = append(dst, '\n')
		last = '\n'
		p = p[i+1:]
	}
	return dst
}

// BareLF returns the place of the first LF in p without a CR before it, or -1; last is the octet before p.
func BareLF(p []byte, last byte) int {
	// As a rule there is none, and lines are as long as the one before: then they need not be searched, only counted.
	lines, line, at := 0, 0, 0
	for ; at < len(p); at += line {
		if line == 0 || at+line > len(p) || p[at+line-1] != '\n' {
			if line = bytes.IndexByte(p[at:], '\n') + 1; line == 0 {
				break
			}
		}
		if end := at + line - 1; end == 0 && last != '\r' || end > 0 && p[end-1] != '\r' {
			return firstBareLF(p, last)
		}
		lines++
	}
	if lines != bytes.Count(p, []byte{'\n'}) {
		return firstBareLF(p, last)
	}
	return -1
}

// firstBareLF looks at one LF after the other.
func firstBareLF(p []byte, last byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			return -1
		}
		if i += at; i > 0 {
			last = p[i-1]
		}
		if last != '\r' {
			return i
		}
		at = i + 1
	}
}

// IndexDelimiter is bytes.Index for delimiters: LF, a dash, and as much of dashes and boundary as there is. It looks for the dash,
// since base64 has a line end every 76 characters, and no dashes.
func IndexDelimiter(w, delimiter []byte) int {
	if len(w) == 0 {
		return -1
	}
	const few = 16 // dashes that are no delimiter's
	at := 0
	for misses := 0; misses <= few+at/64; misses++ {
		i := bytes.IndexByte(w[at+1:], delimiter[1])
		if i < 0 {
			return -1
		}
		if at += i; bytes.HasPrefix(w[at:], delimiter) {
			return at
		}
		at++
	}
	if i := bytes.Index(w[at:], delimiter); i >= 0 { // a content full of dashes
		return at + i
	}
	return -1
}

type crlfWriter struct {
	w    io.Writer
	last byte
	buf  []byte
}

// NewCRLFWriter returns a writer that writes to w with CRLF for every bare LF: the canonical form of text (RFC 8551 §3.1.1). A
// bare CR stays. Nothing is held back between writes, and what is canonical already is not copied.
func NewCRLFWriter(w io.Writer) io.Writer { return &crlfWriter{w: w} }

func (c *crlfWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), chunkIn)
		out := p[:k]
		if BareLF(out, c.last) >= 0 {
			c.buf = crlf(c.buf[:0], out, c.last)
			out = c.buf
		}
		if _, err := c.w.Write(out); err != nil {
			return n, err
		}
		c.last = p[k-1]
		n += k
		p = p[k:]
	}
	return n, nil
}

type crlfReader struct {
	r    io.Reader
	last byte
	in   []byte
	buf  []byte
	out  []byte
	err  error
}

// NewCRLFReader returns a reader of r that gives CRLF for every bare LF; see NewCRLFWriter.
func NewCRLFReader(r io.Reader) io.Reader { return &crlfReader{r: r, in: make([]byte, chunkIn/2)} }

func (c *crlfReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		var n int
		n, c.err = c.r.Read(c.in)
		if n > 0 {
			c.buf = crlf(c.buf[:0], c.in[:n], c.last)
			c.out, c.last = c.buf, c.in[n-1]
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}
