package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"io"
)

// How much ciphertext is decrypted at once, multiples of the block: the first time, for small messages, and then.
const (
	firstChunk = 8 << 10
	chunkSize  = 32 << 10
)

// segments reads the octets of an encryptedContent that may be constructed (X.690 §8.7.3).
type segments struct {
	p     *parser
	base  int   // frames around the content
	left  int64 // octets of the open segment that are still to come
	empty int   // segments without octets of their own that may still come
}

// newSegments opens the content of which e is the header.
func newSegments(p *parser, e element) (*segments, error) {
	s := &segments{p: p, base: len(p.stack), empty: p.lim.EmptySegments}
	if e.tag&constructed == 0 {
		s.left = e.length
		return s, nil
	}
	return s, p.enter(e)
}

// fill reads octets until b is full or the content ends; then ended is true.
func (s *segments) fill(b []byte) (n int, ended bool, err error) {
	for {
		for s.left == 0 {
			if len(s.p.stack) == s.base {
				return n, true, nil
			}
			if err := s.open(); err != nil {
				return n, false, err
			}
		}
		if n == len(b) {
			return n, false, nil
		}
		m, err := io.ReadFull(s.p.r, b[n:n+int(min(s.left, int64(len(b)-n)))])
		n += m
		s.left -= int64(m)
		s.p.off += int64(m)
		if err != nil {
			return n, false, cut(err)
		}
	}
}

// open reads the header of the next segment, or the end of a constructed one.
func (s *segments) open() error {
	budget := s.p.budget
	e, ok, err := s.p.next()
	s.p.budget = budget // headers of segments are as many as the content is long
	if err != nil || !ok {
		return err
	}
	if e.tag&^constructed != tagOctetString {
		return syntax("something else than a segment")
	}
	if e.tag&constructed != 0 || e.length == 0 {
		if s.empty--; s.empty < 0 {
			return limit("empty segments")
		}
	}
	if e.tag&constructed != 0 {
		return s.p.enter(e)
	}
	s.left = e.length
	return nil
}

// plaintextReader decrypts chunk by chunk, and keeps the last block back until it is known to be the last.
type plaintextReader struct {
	seg  *segments
	dec  cipher.BlockMode
	buf  []byte // a block of plaintext kept back, then a chunk
	held bool   // that block is there
	out  []byte // plaintext not yet handed over
	err  error
}

// Read implements io.Reader.
func (r *plaintextReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.next()
	}
	n := copy(b, r.out)
	r.out = r.out[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: io.Copy without a buffer of its own.
func (r *plaintextReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if len(r.out) > 0 {
			n, err := w.Write(r.out)
			total += int64(n)
			r.out = r.out[n:]
			if err != nil {
				return total, err
			}
		}
		switch r.err {
		case nil:
			r.next()
		case io.EOF:
			if len(r.out) == 0 {
				return total, nil
			}
		default:
			return total, r.err
		}
	}
}

// next decrypts a chunk into out, or sets err, or both with the last one.
func (r *plaintextReader) next() {
	if r.held { // it is the end of the chunk before, whose octets have been handed over
		end := r.buf[len(r.buf)-aes.BlockSize:]
		if len(r.buf) < aes.BlockSize+chunkSize {
			r.buf = make([]byte, aes.BlockSize+chunkSize)
		}
		copy(r.buf, end)
	}
	chunk := r.buf[aes.BlockSize:]
	n, ended, err := r.seg.fill(chunk)
	if err != nil {
		r.err = constant(err)
		return
	}
	if n%aes.BlockSize != 0 { // so ended, since a chunk is a multiple
		r.err = ErrDecrypt
		return
	}
	r.dec.CryptBlocks(chunk[:n], chunk[:n])
	plain := chunk[:n]
	if r.held {
		plain = r.buf[:aes.BlockSize+n]
	}
	if !ended {
		keep := len(plain) - aes.BlockSize
		r.out, r.held = plain[:keep], true
		return
	}
	r.out, r.err = r.last(plain)
}

// last takes the padding off, and answers for it and for what follows the content with one error.
func (r *plaintextReader) last(plain []byte) ([]byte, error) {
	if err := r.seg.p.readTrailer(); err != nil {
		return nil, constant(err)
	}
	if len(plain) == 0 {
		return nil, ErrDecrypt
	}
	pad, good := padding([aes.BlockSize]byte(plain[len(plain)-aes.BlockSize:]))
	if good != 1 {
		return nil, ErrDecrypt
	}
	return plain[:len(plain)-pad], io.EOF
}

// readTrailer reads what follows encryptedContent, up to the end of the stream (RFC 5652 §6.1).
func (p *parser) readTrailer() error {
	if err := p.close("encryptedContent"); err != nil {
		return err
	}
	e, ok, err := p.next()
	if err != nil {
		return err
	}
	if !ok { // EnvelopedData is closed
		for _, what := range [...]string{"EnvelopedData", "ContentInfo"} {
			if err := p.close(what); err != nil {
				return err
			}
		}
		return p.finish()
	}
	if e.tag != tagContext1|constructed {
		return syntax("unknown field in EnvelopedData")
	}
	if err := p.skip(e); err != nil { // unprotectedAttrs: nobody vouches for them
		return err
	}
	return p.endContentInfo()
}

// padding returns how many octets of the last block are padding (RFC 5652 §6.3), and 1 if they are right. Without early exit.
func padding(block [aes.BlockSize]byte) (n, good int) {
	n = int(block[aes.BlockSize-1])
	good = subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, aes.BlockSize)
	for i, b := range block {
		content := subtle.ConstantTimeLessOrEq(n, aes.BlockSize-1-i) // block[i] stands before the padding
		good &= content | subtle.ConstantTimeByteEq(b, byte(n))
	}
	return n, good
}

// constant makes one error of everything that the message can be blamed for. Errors of the reader below stay what they are.
func constant(err error) error {
	if errors.Is(err, ErrSyntax) || errors.Is(err, ErrLimit) {
		return ErrDecrypt
	}
	return boundary(err)
}
