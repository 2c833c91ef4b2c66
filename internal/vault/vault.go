// Package vault keeps what lies on disk unreadable: it holds the store keys, seals columns and data keys with them, and gives
// keyed hashes for look-up.
//
// There are three layers. The key-encryption key (KEK) lives in a file outside the data directory, or in a key service; it wraps
// store keys and nothing else. Store keys are random 256-bit keys, kept wrapped in the table sealkey under a short id (kid); the
// newest seals, all open. From a store key one AES-256-GCM key per column is derived (HKDF-SHA-256), so that the limit of 2^32
// random nonces per key (NIST SP 800-38D §8.3) counts per column. One store key of its own, never rotated with the others, feeds the
// look-up hashes, for a hash must find rows of any age.
//
// Documents: NIST SP 800-38D (GCM), RFC 5869 (HKDF), RFC 2104 (HMAC). The wrapped form of a store key is that of its Keeper: under
// a KEK in a file it is the form of gocloud.dev/secrets/localsecrets, a 24-byte nonce and a NaCl secretbox.
//
// What it does not do: a KEK beside the data protects copies and backups, not a stolen machine.
package vault

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
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

const (
	keySize = 32 // bytes of a store key and of everything derived from it
	kidSize = 4
)

// NewStoreKey makes a random store key and wraps it. What is wrapped is the purpose, the kid and the key, so that rows cannot be
// exchanged.
func NewStoreKey(ctx context.Context, k Keeper, p Purpose) (StoreKey, error) {
	secret := make([]byte, kidSize+keySize)
	rand.Read(secret)
	sk := StoreKey{KID: hex.EncodeToString(secret[:kidSize]), Purpose: p}
	var err error
	if sk.Wrapped, err = k.Encrypt(ctx, append(label(sk), secret[kidSize:]...)); err != nil {
		return StoreKey{}, fmt.Errorf("vault: wrapping a store key: %w", err)
	}
	return sk, nil
}

// Rewrap wraps a store key by another Keeper. The error wraps ErrKEK if it does not unwrap by the one it is said to be under.
func Rewrap(ctx context.Context, from, to Keeper, sk StoreKey) (StoreKey, error) {
	_, secret, err := unwrap(ctx, from, sk)
	if err != nil {
		return StoreKey{}, err
	}
	defer clear(secret)
	if sk.Wrapped, err = to.Encrypt(ctx, append(label(sk), secret...)); err != nil {
		return StoreKey{}, fmt.Errorf("vault: wrapping a store key: %w", err)
	}
	return sk, nil
}

// Either opens what any of these keepers wrapped, asking them in this order; it wraps by the first.
func Either(keepers ...Keeper) Keeper { return either(keepers) }

type either []Keeper

func (e either) Encrypt(ctx context.Context, plaintext []byte) ([]byte, error) {
	return e[0].Encrypt(ctx, plaintext)
}

func (e either) Decrypt(ctx context.Context, ciphertext []byte) (plaintext []byte, err error) {
	for _, k := range e {
		var kerr error
		if plaintext, kerr = k.Decrypt(ctx, ciphertext); kerr == nil {
			return plaintext, nil
		}
		err = errors.Join(err, kerr)
	}
	return nil, err
}

func label(sk StoreKey) []byte { return []byte("carepost/" + string(sk.Purpose) + "/" + sk.KID + "/") }
