// Package blob keeps bodies: sealed, durable, readable at any offset.
//
// A body is written to a Draft that nobody but its writer can read; Commit makes it durable and gives the Ref to be put in a row
// (store.Blob) by the transaction that accepts it. Bodies of up to InlineSize bytes are carried in the Ref itself and become durable with
// that transaction. Every body has a random key of its own and a name that is used once: nothing is shared, replaced or reused.
//
// Bodies are DARE 2.0 streams (github.com/minio/sio): packages of 64 KiB, AES-256-GCM. The data key is wrapped by package vault.
package blob

import (
	"errors"

	"carepost/internal/transit"
	"carepost/internal/vault"
)

// ErrDamaged says that the stored bytes are not those that were written: changed, cut, lengthened or missing.
var ErrDamaged = errors.New("blob: body is damaged")

// InlineSize is the size in bytes up to which a body is kept in its Ref.
const InlineSize = 32 << 10

// Options of a Store.
type Options struct {
	Dir   string // data directory: Dir/drafts and Dir/b are made (0700)
	Box   *vault.Box
	Clock transit.Clock // default time.Now
}

// Ref names a committed body. It has the fields of store.Blob, so that one converts to the other.
type Ref struct {
	ID         string
	Key        string // b/yyyy/mm/dd/hh/id; empty when Inline
	Size       int64  // of the plaintext, bytes
	SHA256     []byte // of the plaintext
	KID        string // store key that wraps the data key
	WrappedDEK []byte
	Inline     []byte // small bodies: the sealed bytes themselves
}

// Store is a directory of bodies.
type Store struct{}

// New makes the directories and removes drafts that a former process left. The caller owns the directory (store.Open locks it).
func New(o Options) (*Store, error) { panic("unimplemented") }

// Create begins a body. `defer d.Discard()` right after.
func (s *Store) Create() (*Draft, error) { panic("unimplemented") }

// Open opens a committed body. ErrDamaged if its size is wrong or it is missing; reading may say so later.
func (s *Store) Open(r Ref) (*Body, error) { panic("unimplemented") }

// Remove deletes the bytes of a body that no row refers to (its transaction was rolled back, or its row is long dead).
func (s *Store) Remove(r Ref) error { panic("unimplemented") }
