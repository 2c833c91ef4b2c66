// Package vault keeps what lies on disk unreadable: it holds the store keys, seals columns and data keys with them, and gives
// keyed hashes for look-up.
//
// There are three layers. The key-encryption key (KEK) lives in a file outside the data directory, or in a key service; it wraps
// store keys and nothing else. Store keys are random 256-bit keys, kept wrapped in the table sealkey under a short id (kid); the
// newest seals, all open. From a store key one AES-256-GCM key per column is derived (HKDF-SHA-256, RFC 5869), so that the limit
// of 2^32 random nonces per key (NIST SP 800-38D §8.3) counts per column. One store key of its own, never rotated with the
// others, feeds the look-up hashes (HMAC-SHA-256), for a hash must find rows of any age.
//
// Documents: NIST SP 800-38D (GCM), RFC 5869 (HKDF), RFC 2104 (HMAC). The wrapped form of a store key is that of the Keeper:
// for a KEK in a file the form of gocloud.dev/secrets/localsecrets (a 24-byte nonce and a NaCl secretbox).
//
// What it does not do: a KEK beside the data protects copies and backups, not a stolen machine.
package vault

import (
	"context"
	"errors"
)

// Keeper wraps and unwraps store keys under a key-encryption key. A *secrets.Keeper of gocloud.dev/secrets is one.
type Keeper interface {
	Encrypt(ctx context.Context, plaintext []byte) ([]byte, error)
	Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error)
}

// Errors that callers branch on.
var (
	ErrKEK    = errors.New("vault: the key-encryption key does not open this store") // wrong or lost KEK
	ErrNoKey  = errors.New("vault: unknown store key")                               // a kid without its row
	ErrSealed = errors.New("vault: sealed value does not open")                      // tampered, cut, moved to another row or column
)

// Purpose says what a store key is for.
type Purpose string

const (
	Sealing Purpose = "seal" // columns and data keys; may be rotated
	Hashing Purpose = "hash" // look-up hashes; one for the life of a store
)

// StoreKey is one row of the table sealkey.
type StoreKey struct {
	KID     string // 8 hexadecimal digits
	Purpose Purpose
	Wrapped []byte // by the Keeper
}

// NewStoreKey makes a random store key and wraps it.
func NewStoreKey(ctx context.Context, k Keeper, p Purpose) (StoreKey, error) { panic("unimplemented") }

// Box seals and opens with the store keys. It is safe for concurrent use and never changes.
type Box struct{}

// NewBox unwraps keys, given oldest first: the last Sealing key seals. There must be a Sealing key and exactly one Hashing key.
// The error wraps ErrKEK if one does not unwrap.
func NewBox(ctx context.Context, k Keeper, keys []StoreKey) (*Box, error) { panic("unimplemented") }

// Seal encrypts the value of one column (named "table.column") of the row with this id. The result is
// version (1 byte), kid (4), nonce (12), ciphertext, tag (16). A nil value stays nil, so that NULL stays NULL.
func (b *Box) Seal(column, row string, value []byte) []byte { panic("unimplemented") }

// Open reverses Seal. The error is ErrSealed or wraps ErrNoKey.
func (b *Box) Open(column, row string, sealed []byte) ([]byte, error) { panic("unimplemented") }

// WrapKey seals the data key of the body with this id, and names the store key used.
func (b *Box) WrapKey(id string, dek []byte) (kid string, wrapped []byte) { panic("unimplemented") }

// UnwrapKey reverses WrapKey.
func (b *Box) UnwrapKey(id string, wrapped []byte) ([]byte, error) { panic("unimplemented") }

// HashSize is the length of a look-up hash in bytes.
const HashSize = 20

// Hash gives the look-up hash of value for one purpose (for example "address"): HMAC-SHA-256, truncated to HashSize.
func (b *Box) Hash(purpose, value string) []byte { panic("unimplemented") }

// KID names the store key that seals now.
func (b *Box) KID() string { panic("unimplemented") }
