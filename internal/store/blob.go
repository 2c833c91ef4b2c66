package store

// Blob is the row of one body. It has the fields of blob.Ref, so that one converts to the other: store.Blob(ref), blob.Ref(row).
type Blob struct {
	ID         string
	Key        string // name in the body store; empty when Inline
	Size       int64  // of the plaintext, bytes
	SHA256     []byte // of the plaintext; sealed in the row
	KID        string // store key that wraps the data key
	WrappedDEK []byte
	Inline     []byte // small bodies: the sealed bytes themselves
}

// InsertBlob adds a live body. Call it in the transaction that first refers to it, after blob.Draft.Commit.
func (tx *Tx) InsertBlob(b Blob) error { panic("unimplemented") }

// Blob reads a live body's row. ErrNotFound.
func (tx *Tx) Blob(id string) (Blob, error) { panic("unimplemented") }

// KillBlob marks a body dead; its bytes go later. Killing twice is harmless.
func (tx *Tx) KillBlob(id string) error { panic("unimplemented") }
