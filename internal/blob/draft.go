package blob

// Draft is a body being written. It is for one goroutine.
type Draft struct{}

// ID is the id that the Ref will have.
func (d *Draft) ID() string { panic("unimplemented") }

// Write appends to the body.
func (d *Draft) Write(p []byte) (int, error) { panic("unimplemented") }

// Size is the number of bytes written so far.
func (d *Draft) Size() int64 { panic("unimplemented") }

// Body ends the writing and opens the draft for reading by its writer. The Body lives until Commit or Discard.
func (d *Draft) Body() (*Body, error) { panic("unimplemented") }

// Commit ends the writing and makes the body durable: bytes, name and the names of new directories. Its row is the caller's
// next step; a crash before that leaves bytes that nothing refers to and nobody can read.
func (d *Draft) Commit() (Ref, error) { panic("unimplemented") }

// Discard forgets the draft. After Commit it does nothing.
func (d *Draft) Discard() { panic("unimplemented") }
