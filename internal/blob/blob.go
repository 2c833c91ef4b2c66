// Package blob keeps bodies: sealed, durable, readable at any offset.
//
// A body is written to a Draft that nobody but its writer can read; Commit makes it durable and gives the Ref to be put in a row
// (store.Blob) by the transaction that accepts it. Bodies of up to InlineSize bytes are carried in the Ref itself and become durable with
// that transaction. Every body has a random key of its own and a name that is used once: nothing is shared, replaced or reused.
//
// Bodies are DARE 2.0 streams (github.com/minio/sio): packages of 64 KiB, AES-256-GCM, the last one marked. The data key is wrapped
// by package vault under the body's id; while a draft is written its key is in memory only.
//
// What is written leaves Options.Reserve bytes of the disk free, so that bodies are refused while the database still has room.
package blob

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/minio/sio"

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

	// Reserve is how many bytes of the disk must stay free: below that Create and Write answer an error that wraps syscall.ENOSPC.
	Reserve int64 // default 64 MiB; negative: none
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

// Store is a directory of bodies. It is safe for concurrent use.
type Store struct {
	dir     string
	box     *vault.Box
	clock   transit.Clock
	reserve int64
	free    func(dir string) (int64, error) // bytes of the disk that are free
	frozen  bool                            // for reading only
	small   sync.Pool                       // *[InlineSize]byte for drafts; all zero

	mu      sync.Mutex
	durable map[string]bool // directories whose names are known to be on the disk; at most those of one hour
}

const drafts = "drafts"

// New makes the directories and removes drafts that a former process left. The caller owns the directory (store.Open locks it).
func New(o Options) (*Store, error) {
	if o.Dir == "" || o.Box == nil {
		return nil, errors.New("blob: options: want Dir and Box")
	}
	s := newStore(o)
	for _, name := range []string{drafts, "b"} {
		if err := vault.MakeDir(filepath.Join(o.Dir, name)); err != nil {
			return nil, fmt.Errorf("blob: %w", err)
		}
	}
	left, err := os.ReadDir(filepath.Join(o.Dir, drafts))
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	for _, e := range left { // nobody has their keys
		if err := os.Remove(filepath.Join(o.Dir, drafts, e.Name())); err != nil {
			return nil, fmt.Errorf("blob: removing a stale draft: %w", err)
		}
	}
	return s, nil
}

// ReadOnly is a Store of bodies that are there already, a backup's for example: nothing is made or removed.
func ReadOnly(o Options) (*Store, error) {
	if o.Dir == "" || o.Box == nil {
		return nil, errors.New("blob: options: want Dir and Box")
	}
	s := newStore(o)
	s.frozen = true
	return s, nil
}

func newStore(o Options) *Store {
	s := &Store{dir: o.Dir, box: o.Box, clock: o.Clock, reserve: cmp.Or(o.Reserve, Reserve), free: free, durable: make(map[string]bool)}
	if s.clock == nil {
		s.clock = time.Now
	}
	s.small.New = func() any { return new([InlineSize]byte) }
	return s
}

var errFrozen = errors.New("blob: this store is for reading only")

// Create begins a body. `defer d.Discard()` right after. The error wraps syscall.ENOSPC when the disk is nearly full.
func (s *Store) Create() (*Draft, error) {
	if s.frozen {
		return nil, errFrozen
	}
	if err := s.room(); err != nil {
		return nil, err
	}
	now := s.clock()
	d := &Draft{s: s, id: vault.NewID(now), made: now, dek: make([]byte, 32), sum: sha256.New()}
	rand.Read(d.dek)
	return d, nil
}

// config is how bodies are sealed: nothing older, nothing else.
func config(dek []byte) sio.Config {
	return sio.Config{Key: dek, MinVersion: sio.Version20, MaxVersion: sio.Version20, CipherSuites: []byte{sio.AES_256_GCM}}
}

// Open opens a committed body. ErrDamaged if its size is wrong or it is missing; reading may say so later.
func (s *Store) Open(r Ref) (*Body, error) {
	dek, err := s.box.UnwrapKey(r.ID, r.WrappedDEK)
	if err != nil {
		return nil, fmt.Errorf("blob: body %s: %w", r.ID, err)
	}
	sealed, err := sio.EncryptedSize(uint64(max(r.Size, 0)))
	if err != nil || r.Size < 0 {
		return nil, fmt.Errorf("%w: %s: impossible size", ErrDamaged, r.ID)
	}
	if r.Key == "" {
		if uint64(len(r.Inline)) != sealed {
			return nil, fmt.Errorf("%w: %s: wrong size", ErrDamaged, r.ID)
		}
		return newBody(bytes.NewReader(r.Inline), dek, r.ID, r.Size), nil
	}
	if !filepath.IsLocal(r.Key) {
		return nil, fmt.Errorf("%w: %s: its name leads elsewhere", ErrDamaged, r.ID)
	}
	f, err := os.Open(filepath.Join(s.dir, r.Key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s: missing", ErrDamaged, r.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("blob: %w", err)
	}
	if uint64(info.Size()) != sealed {
		f.Close()
		return nil, fmt.Errorf("%w: %s: wrong size", ErrDamaged, r.ID)
	}
	b := newBody(f, dek, r.ID, r.Size)
	b.file = f
	return b, nil
}

// Remove deletes the bytes of a body that no row refers to (its transaction was rolled back, or its row is long dead). Removing
// twice is harmless.
func (s *Store) Remove(r Ref) error {
	if s.frozen {
		return errFrozen
	}
	if r.Key == "" {
		return nil
	}
	if !filepath.IsLocal(r.Key) {
		return fmt.Errorf("%w: %s: its name leads elsewhere", ErrDamaged, r.ID)
	}
	if err := os.Remove(filepath.Join(s.dir, r.Key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}

// place makes the directory for bodies of that hour durable and returns the key of a body in it.
func (s *Store) place(id string, made time.Time) (key string, err error) {
	rel := filepath.Join("b", made.UTC().Format("2006/01/02/15"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.durable[rel] {
		if err := vault.MakeDir(filepath.Join(s.dir, rel)); err != nil {
			return "", err
		}
		clear(s.durable)
		s.durable[rel] = true
	}
	return filepath.Join(rel, id), nil
}

// forget has place look at the directory of that key again; false if it would have anyhow.
func (s *Store) forget(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rel := filepath.Dir(key)
	known := s.durable[rel]
	delete(s.durable, rel)
	return known
}
