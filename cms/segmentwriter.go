package cms

import (
	"crypto/aes"
	"errors"
	"fmt"
	"io"
)

// segmentSize is the length of the OCTET STRING segments: a multiple of the cipher's block and of a line of base64.
const (
	segmentSize   = 57 * 1024
	segmentHeader = 4       // octets of tag and length of a whole segment
	firstRoom     = 8 << 10 // of content, until there is more
)

// segmentWriter writes a container segment by segment.
type segmentWriter struct {
	w    io.Writer
	head []byte // not yet written
	in   container
	buf  []byte // a segment's header, then n octets of content, room for more and for a block; grows to segmentSize
	n    int
	err  error
}

func newSegmentWriter(w io.Writer, in container, head []byte) *segmentWriter {
	return &segmentWriter{w: w, in: in, head: head, buf: make([]byte, segmentHeader+firstRoom+aes.BlockSize)}
}

var errClosed = errors.New("cms: writing: the writer is closed")

// Write implements io.Writer.
func (e *segmentWriter) Write(p []byte) (int, error) {
	done := 0
	for e.err == nil && done < len(p) {
		room := len(e.buf) - segmentHeader - aes.BlockSize
		if e.n == room {
			room = min(2*room, segmentSize)
			e.buf = append(make([]byte, 0, segmentHeader+room+aes.BlockSize), e.buf...)
			e.buf = e.buf[:cap(e.buf)]
		}
		n := copy(e.buf[segmentHeader+e.n:segmentHeader+room], p[done:])
		done += n
		if e.n += n; e.n == segmentSize {
			e.flush()
		}
	}
	return done, e.err
}

// flush writes what is in buf: whole blocks, but for the last.
func (e *segmentWriter) flush() {
	if e.head != nil {
		if _, e.err = e.w.Write(e.head); e.err != nil {
			return
		}
		e.head = nil
	}
	if e.err = e.in.transform(e.buf[segmentHeader : segmentHeader+e.n]); e.err != nil {
		e.err = fmt.Errorf("cms: writing: %w", e.err)
		return
	}
	// Two length octets always: minimal for whole segments, and BER does not mind for the last.
	e.buf[0], e.buf[1], e.buf[2], e.buf[3] = tagOctetString, 0x82, byte(e.n>>8), byte(e.n)
	_, e.err = e.w.Write(e.buf[:segmentHeader+e.n])
	e.n = 0
}

// Close pads, writes the last segment and ends the encoding.
func (e *segmentWriter) Close() error {
	if e.err != nil {
		if e.err == errClosed {
			return nil
		}
		return e.err
	}
	e.n += e.in.pad(e.buf[segmentHeader+e.n:], e.n)
	if e.n > 0 || e.head != nil {
		e.flush()
	}
	if e.err == nil {
		_, e.err = e.w.Write(e.in.trailer())
	}
	if e.err != nil {
		return e.err
	}
	e.err = errClosed
	return nil
}
