package dicom

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// source reads forward with a look-ahead of one buffer, and passes over what nobody wants: by moving on where the bytes lie in a file,
// by reading and forgetting where they come from a stream.
type source struct {
	at   io.ReaderAt // nil for a stream
	r    io.Reader   // nil for a file
	size int64       // of the file; -1 for a stream
	base int64       // offset of buf[0]
	lo   int
	hi   int
	buf  []byte
	err  error // kept once the stream has ended

	small []byte // where short values are put side by side
}

func (s *source) pos() int64 { return s.base + int64(s.lo) }

// left is how many bytes follow, or -1 where that is not known.
func (s *source) left() int64 {
	if s.size < 0 {
		return -1
	}
	return s.size - s.pos()
}

// peek gives the next n bytes without passing them, n ≤ len(buf). At the end it gives what is left, and io.EOF.
func (s *source) peek(n int) ([]byte, error) {
	for s.hi-s.lo < n {
		if s.err != nil {
			return s.buf[s.lo:s.hi], s.err
		}
		if s.lo > 0 {
			copy(s.buf, s.buf[s.lo:s.hi])
			s.base += int64(s.lo)
			s.hi -= s.lo
			s.lo = 0
		}
		s.fill()
	}
	return s.buf[s.lo : s.lo+n], nil
}

func (s *source) fill() {
	var n int
	var err error
	if s.at != nil {
		n, err = s.at.ReadAt(s.buf[s.hi:], s.base+int64(s.hi))
	} else {
		n, err = s.r.Read(s.buf[s.hi:])
	}
	s.hi += n
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the data end inside", ErrCut)
	}
	if s.err == nil {
		s.err = err
	}
}

// pass drops n bytes that peek has shown.
func (s *source) pass(n int) { s.lo += n }

// skip passes over n bytes; ErrCut when fewer follow.
func (s *source) skip(n int64) error {
	if n < 0 {
		return fmt.Errorf("%w: a length that leads back", ErrSyntax)
	}
	if have := int64(s.hi - s.lo); n <= have {
		s.lo += int(n)
		return nil
	}
	if s.at != nil {
		if n > s.left() {
			return s.cut(n)
		}
		s.base, s.lo, s.hi, s.err = s.pos()+n, 0, 0, nil
		return nil
	}
	want := n
	for n > 0 {
		got, err := s.peek(int(min(n, int64(len(s.buf)))))
		s.pass(len(got))
		n -= int64(len(got))
		if err != nil && n > 0 {
			if errors.Is(err, io.EOF) {
				return s.cut(want)
			}
			return err
		}
	}
	return nil
}

// Most values are short and many: they share blocks.
const (
	smallValue = 128
	smallBlock = 1 << 10
)

// read gives the next n bytes as a slice of their own. It grows with what is there, never with what is claimed.
func (s *source) read(n int64) ([]byte, error) {
	if left := s.left(); left >= 0 && n > left {
		return nil, s.cut(n)
	}
	if n <= smallValue {
		got, err := s.peek(int(n))
		if int64(len(got)) == n {
			if int64(cap(s.small)-len(s.small)) < n {
				s.small = make([]byte, 0, smallBlock)
			}
			from := len(s.small)
			s.small = append(s.small, got...)
			s.pass(len(got))
			return s.small[from:len(s.small):len(s.small)], nil
		}
		if errors.Is(err, io.EOF) {
			return nil, s.cut(n)
		}
		return nil, err
	}
	out := make([]byte, 0, min(n, int64(len(s.buf))))
	for n > 0 {
		got, err := s.peek(int(min(n, int64(len(s.buf)))))
		out = append(out, got...)
		s.pass(len(got))
		n -= int64(len(got))
		if err != nil && n > 0 {
			if errors.Is(err, io.EOF) {
				return nil, s.cut(n)
			}
			return nil, err
		}
	}
	return out, nil
}

func (s *source) cut(n int64) error {
	return fmt.Errorf("%w: %d bytes declared at offset %d are not all there", ErrCut, n, s.pos())
}

// capped ends in ErrLimit after n bytes: what a deflated data set may grow to. shared, if there is one, holds for others too.
type capped struct {
	r      io.Reader
	n      int64
	shared *atomic.Int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.n <= 0 || c.shared != nil && c.shared.Load() <= 0 {
		return 0, fmt.Errorf("%w: inflated data set", ErrLimit)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.n)])
	c.n -= int64(n)
	if c.shared != nil {
		c.shared.Add(-int64(n))
	}
	return n, err
}
