package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
)

// A sealed value is: version, kid, nonce, ciphertext, tag.
const (
	version   = 1
	headSize  = 1 + kidSize
	nonceSize = 12
	tagSize   = 16

	// Overhead is how much longer a sealed value is than the plain one, in bytes.
	Overhead = headSize + nonceSize + tagSize
)

// Box seals and opens with the store keys. It is safe for concurrent use.
type Box struct {
	newest [kidSize]byte
	keys   map[[kidSize]byte][]byte
	hash   []byte

	ciphers sync.Map // column key (kid + column) → cipher.AEAD; columns are named in our sources, so it stays small
	hashes  sync.Map // purpose → derived key
}

// NewBox unwraps keys, given oldest first: the last Sealing key seals. There must be a Sealing key and exactly one Hashing key.
// The error wraps ErrKEK if one does not unwrap.
func NewBox(ctx context.Context, k Keeper, keys []StoreKey) (*Box, error) {
	b := &Box{keys: make(map[[kidSize]byte][]byte)}
	for _, sk := range keys {
		plain, err := k.Decrypt(ctx, sk.Wrapped)
		if err != nil {
			return nil, fmt.Errorf("%w: store key %s: %v", ErrKEK, sk.KID, err)
		}
		secret, ok := bytes.CutPrefix(plain, label(sk))
		kid, err := hex.DecodeString(sk.KID)
		if !ok || err != nil || len(kid) != kidSize || len(secret) != keySize {
			return nil, fmt.Errorf("%w: store key %s is another one", ErrKEK, sk.KID)
		}
		switch {
		case sk.Purpose == Sealing:
			b.newest = [kidSize]byte(kid)
			b.keys[b.newest] = secret
		case sk.Purpose == Hashing && b.hash == nil:
			b.hash = secret
		default:
			return nil, fmt.Errorf("vault: store key %s: unexpected purpose %q", sk.KID, sk.Purpose)
		}
	}
	if len(b.keys) == 0 || b.hash == nil {
		return nil, errors.New("vault: store keys are missing")
	}
	return b, nil
}

// KID names the store key that seals now.
func (b *Box) KID() string { return hex.EncodeToString(b.newest[:]) }

// Seal encrypts the value of one column (named "table.column") of the row with this id. A nil value stays nil, so that NULL stays NULL.
func (b *Box) Seal(column, row string, value []byte) []byte {
	if value == nil {
		return nil
	}
	aead, err := b.cipher(b.newest, column)
	if err != nil {
		panic(err) // the key was there when b was made
	}
	out := make([]byte, headSize, Overhead+len(value))
	out[0] = version
	copy(out[1:], b.newest[:])
	return aead.Seal(out, nil, value, additional(out[:headSize], column, row))
}

// Open reverses Seal. The error is ErrSealed or wraps ErrNoKey.
func (b *Box) Open(column, row string, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	aead, err := b.cipher([kidSize]byte(sealed[1:headSize]), column)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open([]byte{}, nil, sealed[headSize:], additional(sealed[:headSize], column, row))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// additional binds a sealed value to its header, column and row. Neither column nor id has a NUL.
func additional(head []byte, column, row string) []byte {
	a := make([]byte, 0, len(head)+len(column)+1+len(row))
	a = append(a, head...)
	a = append(a, column...)
	a = append(a, 0)
	return append(a, row...)
}

func (b *Box) cipher(kid [kidSize]byte, column string) (cipher.AEAD, error) {
	name := string(kid[:]) + column
	if c, ok := b.ciphers.Load(name); ok {
		return c.(cipher.AEAD), nil
	}
	secret, ok := b.keys[kid]
	if !ok {
		return nil, fmt.Errorf("%w %x", ErrNoKey, kid)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "carepost column "+column, keySize)
	if err != nil {
		return nil, fmt.Errorf("vault: deriving a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block) // writes and reads the nonce before the ciphertext
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	b.ciphers.Store(name, aead)
	return aead, nil
}

// dek is the column under which data keys are sealed.
const dek = "blob.dek"

// WrapKey seals the data key of the body with this id, and names the store key used.
func (b *Box) WrapKey(id string, key []byte) (kid string, wrapped []byte) {
	return b.KID(), b.Seal(dek, id, key)
}

// UnwrapKey reverses WrapKey. The error is ErrSealed or wraps ErrNoKey.
func (b *Box) UnwrapKey(id string, wrapped []byte) ([]byte, error) {
	key, err := b.Open(dek, id, wrapped)
	if err == nil && len(key) != keySize {
		return nil, ErrSealed
	}
	return key, err
}

// HashSize is the length of a look-up hash in bytes.
const HashSize = 20

// Hash gives the look-up hash of value for one purpose (for example "address"): HMAC-SHA-256 under a key of that purpose,
// truncated to HashSize (RFC 2104 §5).
func (b *Box) Hash(purpose, value string) []byte {
	key, ok := b.hashes.Load(purpose)
	if !ok {
		derived, err := hkdf.Key(sha256.New, b.hash, nil, "carepost hash "+purpose, keySize)
		if err != nil {
			panic(err) // only an absurd length is refused
		}
		key, _ = b.hashes.LoadOrStore(purpose, derived)
	}
	mac := hmac.New(sha256.New, key.([]byte))
	mac.Write([]byte(value))
	return mac.Sum(nil)[:HashSize]
}
