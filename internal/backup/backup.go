// Package backup writes an installation into a directory of its own, proves that such a directory is whole, and makes an installation of it
// again.
package backup

import (
	"context"
	"errors"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// Errors that callers branch on.
var (
	ErrExists     = errors.New("backup: there is something already")             // where a new directory was to be made
	ErrIncomplete = errors.New("backup: bodies are missing in the installation") // the backup is made, as good as it can be
	ErrDamaged    = errors.New("backup: it is not what was written")
	ErrKEK        = errors.New("backup: the key-encryption key does not open it")
)

// Options of Create. Store, Blobs and Dir are needed.
type Options struct {
	Store *store.Store
	Blobs *blob.Store
	Dir   string        // the installation: carepost.toml, data, dns, keys
	By    audit.Actor   // default "backup"
	KEK   vault.Keeper  // default the one in Dir/keys/kek
	Clock transit.Clock // default time.Now

	Progress func(done, total int64) // in bytes; nil: none
}

// Manifest says what a backup holds.
type Manifest struct {
	Format   int       `json:"format"` // 1
	ID       string    `json:"id"`
	Created  time.Time `json:"created"` // the state is that of this time
	Files    int       `json:"files"`
	Bodies   int       `json:"bodies"` // those with a file of their own
	Bytes    int64     `json:"bytes"`
	Missing  []string  `json:"missing,omitempty"` // ids of bodies that the installation had lost already
	List     string    `json:"list_sha256"`       // of SHA256SUMS
	Checksum string    `json:"checksum"`          // SHA-256 of this object with an empty checksum
}

// Problem is one thing wrong with a backup.
type Problem struct {
	Path string `json:"path,omitempty"` // in the backup
	Body string `json:"body,omitempty"` // id
	What string `json:"what"`           // "missing", "changed", "extra", …
}

// Report says how good a backup is.
type Report struct {
	Manifest Manifest  `json:"manifest"`
	Opened   bool      `json:"opened"` // with the key-encryption key; false: only the hashes were compared
	Files    int       `json:"files"`  // read and compared
	Bodies   int       `json:"bodies"` // live ones, small ones too, that read true
	Problems []Problem `json:"problems"`
}

// Create writes a backup of a running installation into the new directory dest, which appears whole or not at all. ErrExists;
// ErrUnsupported of the store; ErrIncomplete beside a backup that is there.
func Create(ctx context.Context, o Options, dest string) (Manifest, error) { panic("later") }

// Verify reads all of a backup. With a nil kek it compares hashes only. ErrDamaged beside a Report that tells what.
func Verify(ctx context.Context, src string, kek vault.Keeper) (Report, error) { panic("later") }

// Restore makes an installation of a backup in a new or empty directory; kek names the file with the key-encryption key. ErrExists, ErrDamaged.
func Restore(ctx context.Context, src, into, kek string) (Report, error) { panic("later") }
