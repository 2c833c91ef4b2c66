package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"io"

	"carepost/cms/internal/cbc"
)

// How much ciphertext is decrypted at once, multiples of the block: the first few times, for small messages, and then.
const (
	firstChunk = 8 << 10
	chunkSize  = 32 << 10
	fewChunks  = 4
)

// plaintext is where a plaintextReader gets its chunks from.
type plaintext interface {
	// next returns a chunk, which lasts until the next call; io.EOF with the last one or behind it. No other error comes with a
	// chunk, and none is followed by another call.
	next() ([]byte, error)
}

// plaintextReader hands over what a plaintext yields.
type plaintextReader struct {
	from plaintext
	out  []byte // not yet handed over
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
		r.out, r.err = r.from.next()
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
			r.out, r.err = r.from.next()
		case io.EOF:
			if len(r.out) == 0 {
				return total, nil
			}
		default:
			return total, r.err
		}
	}
}

// cbcContent decrypts the content of an EnvelopedData chunk by chunk, and keeps the last block back until it is known to be the
// last.
type cbcContent struct {
	seg  *segments
	dec  cipher.BlockMode
	buf  []byte // a block of plaintext kept back, then a chunk
	held bool   // that block is there

	chunks int // that are done with
}

// newCBC makes the plaintext of c.
func newCBC(p *parser, c encryptedContent, cek []byte) (*cbcContent, error) {
	seg, err := newSegments(p, c.header)
	if err != nil {
		return nil, err
	}
	dec, err := cbc.NewDecrypter(cek, c.iv)
	return &cbcContent{seg: seg, dec: dec, buf: make([]byte, aes.BlockSize+firstChunk)}, err
}

// next implements plaintext.
func (c *cbcContent) next() ([]byte, error) {
	if c.held { // it is the end of the chunk before, whose octets have been handed over
		end := c.buf[len(c.buf)-aes.BlockSize:]
		if c.chunks++; c.chunks == fewChunks {
			c.buf = make([]byte, aes.BlockSize+chunkSize)
		}
		copy(c.buf, end)
	}
	chunk := c.buf[aes.BlockSize:]
	n, ended, err := c.seg.fill(chunk)
	if err != nil {
		return nil, constant(err)
	}
	if n%aes.BlockSize != 0 { // so ended, since a chunk is a multiple
		return nil, ErrDecrypt
	}
	c.dec.CryptBlocks(chunk[:n], chunk[:n])
	plain := chunk[:n]
	if c.held {
		plain = c.buf[:aes.BlockSize+n]
	}
	if ended {
		return c.last(plain)
	}
	c.held = true
	return plain[:len(plain)-aes.BlockSize], nil
}

// last takes the padding off, and answers for it and for what follows the content with one error.
func (c *cbcContent) last(plain []byte) ([]byte, error) {
	if err := c.seg.p.readTrailer(); err != nil {
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
	return p.endEnveloped(tagContext1 | constructed)
}

// endEnveloped reads what follows the last field of an EnvelopedData or AuthEnvelopedData that somebody vouches for: attributes of
// this tag, which are skipped, or nothing; and the end of the stream.
func (p *parser) endEnveloped(attributes byte) error {
	e, ok, err := p.next()
	if err != nil {
		return err
	}
	if !ok { // it is closed
		for _, what := range [...]string{"the content", "ContentInfo"} {
			if err := p.close(what); err != nil {
				return err
			}
		}
		return p.finish()
	}
	if e.tag != attributes {
		return syntax("unknown last field")
	}
	if err := p.skip(e); err != nil {
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
