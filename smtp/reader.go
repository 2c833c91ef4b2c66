package smtp

import (
	"bytes"
	"errors"
	"io"
)

// What a Reader refuses. After ErrBareByte the two sides no longer agree where lines end, so the session must be closed.
var (
	ErrBareByte    = errors.New("smtp: CR or LF alone, or NUL") // RFC 5321 §2.3.8, §4.1.1.4
	ErrLineTooLong = errors.New("smtp: line too long")          // drained up to its end; the next line can be read
	ErrFlood       = errors.New("smtp: line without end")       // more than can be drained
)

const (
	smallBuffer = 4 << 10  // enough for commands
	keptBuffer  = 16 << 10 // what a session may keep between messages
	largeBuffer = 64 << 10 // while content passes
	maxDrain    = 64 << 10 // of a command line that is too long
)

// Reader reads lines and content from one connection. It reads ahead; Buffered tells how far. Memory is 4 KiB, at most 16 KiB
// waiting after a message, at most 64 KiB while content passes.
type Reader struct {
	src     io.Reader
	buf     []byte
	r, w    int
	content bool  // passes: the buffer grows with what comes
	err     error // of src, given once everything before it has been read
}

// NewReader returns a Reader over src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src, buf: make([]byte, smallBuffer)} }

// Buffered is the number of bytes that came from the peer and have not been read yet.
func (r *Reader) Buffered() int { return r.w - r.r }

// ready is what has been read ahead.
func (r *Reader) ready() []byte { return r.buf[r.r:r.w] }

// fill reads more bytes behind those that are there. It returns the error of src only when no bytes came with it.
func (r *Reader) fill() error {
	if r.r == r.w {
		switch {
		case r.content && r.w == len(r.buf) && r.w < largeBuffer: // the last read could have been longer
			r.buf = make([]byte, 2*r.w)
		case !r.content && len(r.buf) > keptBuffer: // what came with the end of content has been read
			r.buf = make([]byte, smallBuffer)
		}
		r.r, r.w = 0, 0
	}
	if r.w == len(r.buf) {
		copy(r.buf, r.ready())
		r.r, r.w = 0, r.w-r.r
	}
	if r.w == len(r.buf) {
		return ErrLineTooLong
	}
	for range 100 {
		if r.err != nil {
			err := r.err
			r.err = nil // a deadline may be moved and the reading go on; src gives lasting errors again
			return err
		}
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		r.err = err
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// endContent goes back to what commands need.
func (r *Reader) endContent() {
	r.content = false
	if len(r.buf) > keptBuffer && r.Buffered() <= smallBuffer {
		b := make([]byte, smallBuffer)
		r.w = copy(b, r.ready())
		r.r, r.buf = 0, b
	}
}

// ReadLine reads one line of at most limit octets, CR LF included, and returns it without them. The line is good until the next
// call. limit must not be over 4096.
//
// ErrBareByte: the line is none. ErrLineTooLong: it has been thrown away up to its end; ErrFlood: it had none in 64 KiB. An EOF in
// the middle of a line is io.ErrUnexpectedEOF.
func (r *Reader) ReadLine(limit int) ([]byte, error) {
	for seen := 0; ; {
		line := r.ready()
		n, err := lineEnd(line, seen)
		if err != nil {
			return nil, err
		}
		if n > limit || n == 0 && len(line) >= limit {
			return nil, r.drainLine()
		}
		if n > 0 {
			r.r += n
			return line[:n-2], nil
		}
		seen = len(line)
		if err := r.fill(); err != nil {
			if err == io.EOF && seen > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// lineEnd returns the length of the line at the front of b with its CR LF, 0 when it is not whole. The first seen bytes held no
// end. Bytes after the line are not looked at.
func lineEnd(b []byte, seen int) (int, error) {
	start := max(seen-1, 0)
	end := len(b)
	lf := bytes.IndexByte(b[start:], '\n')
	if lf >= 0 {
		lf += start
		if lf == 0 || b[lf-1] != '\r' {
			return 0, ErrBareByte
		}
		end = lf - 1
	} else if end > 0 && b[end-1] == '\r' {
		end-- // its LF may come yet
	}
	if s := b[start:max(start, end)]; bytes.IndexByte(s, '\r') >= 0 || bytes.IndexByte(s, 0) >= 0 {
		return 0, ErrBareByte
	}
	return lf + 1, nil
}

// drainLine throws the rest of a line away and returns ErrLineTooLong, or why it could not.
func (r *Reader) drainLine() error {
	for gone := 0; gone < maxDrain; {
		n, err := lineEnd(r.ready(), 0)
		if err != nil {
			return err
		}
		if n > 0 {
			r.r += n
			return ErrLineTooLong
		}
		keep := 0
		if b := r.ready(); len(b) > 0 && b[len(b)-1] == '\r' {
			keep = 1
		}
		gone += r.Buffered() - keep
		r.r = r.w - keep
		if err := r.fill(); err != nil {
			return err
		}
	}
	return ErrFlood
}
