package blob

// Body is a body open for reading; a transit.Body. It is safe for concurrent use, and quick when read in order.
type Body struct{}

// Size in bytes.
func (b *Body) Size() int64 { panic("unimplemented") }

// ReadAt reads verified plaintext. ErrDamaged.
func (b *Body) ReadAt(p []byte, off int64) (int, error) { panic("unimplemented") }

// Close ends the reading.
func (b *Body) Close() error { panic("unimplemented") }
