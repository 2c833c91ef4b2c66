package blob

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"github.com/minio/sio"
)

// Body is a body open for reading; a transit.Body. It is safe for concurrent use, and quick when read in order.
//
// It opens one package of the sealed stream at a time and keeps the last one: reading in order opens each package once, reading elsewhere
// opens the package there.
type Body struct {
	id   string
	size int64
	file *os.File // closed by Close, if set

	mu      sync.Mutex
	sealed  io.ReaderAt
	dek     []byte
	stream  io.Reader // at package next, or nil
	next    int64
	kept    int64 // number of the package in block, or -1
	block   []byte
	lent    bool // block belongs to a draft
	nothing bool // closed
}

// The form of DARE 2.0.
const (
	payload = 64 << 10
	sealing = 32 // header and tag of a package
)

func newBody(sealed io.ReaderAt, dek []byte, id string, size int64) *Body {
	return &Body{id: id, size: size, sealed: sealed, dek: dek, kept: -1}
}

// plainBody is for a draft that is still in memory: p is the draft's, which closes the Body before it takes it back.
func plainBody(p []byte, id string) *Body {
	b := &Body{id: id, size: int64(len(p)), block: p, lent: true}
	if len(p) == 0 {
		b.kept = -1
	}
	return b
}

// Size in bytes.
func (b *Body) Size() int64 { return b.size }

// ReadAt reads verified plaintext. ErrDamaged.
func (b *Body) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("blob: negative offset")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nothing {
		return 0, fmt.Errorf("blob: %w", os.ErrClosed)
	}
	for n < len(p) {
		if off >= b.size {
			return n, io.EOF
		}
		if err := b.load(off / payload); err != nil {
			return n, err
		}
		c := copy(p[n:], b.block[off%payload:])
		n += c
		off += int64(c)
	}
	return n, nil
}

// load opens package t.
func (b *Body) load(t int64) error {
	if b.kept == t {
		return nil
	}
	if b.stream == nil || b.next != t {
		if err := b.seek(t); err != nil {
			return err
		}
	}
	b.kept = -1
	if b.block == nil {
		b.block = make([]byte, min(payload, b.size))
	}
	b.block = b.block[:min(payload, b.size-t*payload)]
	_, err := io.ReadFull(b.stream, b.block)
	if err == nil && (t+1)*payload >= b.size {
		err = atEnd(b.stream)
	}
	if err != nil {
		b.stream = nil
		return b.damaged(err)
	}
	b.kept, b.next = t, t+1
	return nil
}

// seek begins a stream at package t: its number is part of what the package's tag covers.
func (b *Body) seek(t int64) (err error) {
	if t >= math.MaxUint32 || b.sealed == nil {
		return b.damaged(io.ErrUnexpectedEOF)
	}
	c := config(b.dek)
	c.SequenceNumber = uint32(t)
	from := t * (payload + sealing)
	b.stream, err = sio.DecryptReader(io.NewSectionReader(b.sealed, from, math.MaxInt64-from), c)
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	b.next = t
	return nil
}

var errTooLong = errors.New("more bytes than there should be")

// atEnd checks that the stream ends here and that its last package was marked as the last.
func atEnd(r io.Reader) error {
	switch n, err := r.Read(make([]byte, 1)); {
	case n > 0:
		return errTooLong
	case err == io.EOF:
		return nil
	default:
		return err
	}
}

// damaged tells damage from a disk that cannot be read.
func (b *Body) damaged(err error) error {
	var bad sio.Error
	if errors.As(err, &bad) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err == errTooLong {
		return fmt.Errorf("%w: %s: %v", ErrDamaged, b.id, err)
	}
	return fmt.Errorf("blob: reading %s: %w", b.id, err)
}

// Close ends the reading.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nothing {
		return nil
	}
	b.nothing = true
	if !b.lent {
		clear(b.block)
	}
	b.block, b.stream = nil, nil
	if b.file == nil {
		return nil
	}
	if err := b.file.Close(); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}
