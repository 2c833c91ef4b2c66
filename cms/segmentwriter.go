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
	firstRoom     = 8 << 10 // for plaintext, until there is more
)

// envelopedWriter encrypts segment by segment.
type envelopedWriter struct {
	w    io.Writer
	head []byte // not yet written
	enc  contentEncrypter
	buf  []byte // a segment's header, then n octets of plaintext, room for more and for a block; grows to segmentSize
	n    int
	err  error
}

var errClosed = errors.New("cms: encrypting: the writer is closed")

// Write implements io.Writer.
func (e *envelopedWriter) Write(p []byte) (int, error) {
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

// flush encrypts and writes what is in buf: whole blocks, but for the last of GCM.
func (e *envelopedWriter) flush() {
	if e.head != nil {
		if _, e.err = e.w.Write(e.head); e.err != nil {
			return
		}
		e.head = nil
	}
	if e.err = e.enc.encrypt(e.buf[segmentHeader : segmentHeader+e.n]); e.err != nil {
		e.err = fmt.Errorf("cms: encrypting: %w", e.err)
		return
	}
	// Two length octets always: minimal for whole segments, and BER does not mind for the last.
	e.buf[0], e.buf[1], e.buf[2], e.buf[3] = tagOctetString, 0x82, byte(e.n>>8), byte(e.n)
	_, e.err = e.w.Write(e.buf[:segmentHeader+e.n])
	e.n = 0
}

// Close pads, writes the last segment and ends the encoding.
func (e *envelopedWriter) Close() error {
	if e.err != nil {
		if e.err == errClosed {
			return nil
		}
		return e.err
	}
	e.n += e.enc.pad(e.buf[segmentHeader+e.n:], e.n)
	if e.n > 0 || e.head != nil {
		e.flush()
	}
	if e.err == nil {
		_, e.err = e.w.Write(e.enc.trailer())
	}
	if e.err != nil {
		return e.err
	}
	e.err = errClosed
	return nil
}
