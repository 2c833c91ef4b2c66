package smtp

import (
	"errors"
	"io"
	"math"
	"strings"
)

// ErrNoLineEnd says that content does not end with CR LF.
var ErrNoLineEnd = errors.New("smtp: content does not end with CR LF")

// ParseBDAT reads the arguments of BDAT (RFC 3030 §2): a size in octets, of at most 63 bits, and perhaps LAST. After a refusal nobody
// knows where the chunk ends, so the session must be closed.
func ParseBDAT(args string) (size int64, last bool, refused *Reply) {
	number, word, more := strings.Cut(args, " ")
	if more {
		if !strings.EqualFold(word, "LAST") {
			return 0, false, NewReply(501, "5.5.4", "BDAT wants a size, and LAST or nothing")
		}
		last = true
	}
	size, ok := parseSize(number)
	if !ok {
		return 0, false, NewReply(501, "5.5.4", "BDAT wants a size of at most 63 bits")
	}
	return size, last, nil
}

// parseSize reads 1*20DIGIT of RFC 1870 and RFC 3030, up to 63 bits.
func parseSize(s string) (int64, bool) {
	if len(s) < 1 || len(s) > 20 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// ChunkReader reads one chunk, which follows a BDAT command at once. It is made by Reader.Chunk. io.EOF comes after its last octet; a
// connection that ends before is io.ErrUnexpectedEOF.
type ChunkReader struct {
	r    *Reader
	left int64
}

// Chunk reads the next size octets from r as they are; see Lines for what must be asked of them. Until it has returned an error, r
// must not be read otherwise.
func (r *Reader) Chunk(size int64) *ChunkReader {
	r.content = true
	return &ChunkReader{r: r, left: size}
}

// Left is how many octets of the chunk have not been read.
func (c *ChunkReader) Left() int64 { return c.left }

// Read implements io.Reader.
func (c *ChunkReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		c.r.endContent()
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if c.r.Buffered() == 0 {
		if err := c.r.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	b := c.r.ready()
	n := copy(p, b[:min(int64(len(b)), c.left)])
	c.r.r += n
	c.left -= int64(n)
	return n, nil
}
