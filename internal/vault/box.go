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
	"maps"
	"sync"
	"sync/atomic"
)

// A sealed value is: version, kid, nonce, ciphertext, tag.
const (
	version   = 1
	nonceSize = 12
	tagSize   = 16

	// HeadSize is how many bytes a sealed value begins with that tell the store key: the version and its kid.
	HeadSize = 1 + kidSize

	// Overhead is how much longer a sealed value is than the plain one, in bytes.
	Overhead = HeadSize + nonceSize + tagSize
)

// Box seals and opens with the store keys. It is safe for concurrent use.
type Box struct {
	keys atomic.Pointer[keys]
	hash []byte

	mu      sync.Mutex // held by Update
	ciphers sync.Map   // column key (kid + column) → cipher.AEAD; columns are named in our sources, so it stays small
	hashes  sync.Map   // purpose → derived key
}

// keys are the sealing keys that a Box knows at one moment.
type keys struct {
	newest [kidSize]byte
	secret map[[kidSize]byte][]byte
}

// NewBox unwraps keys, given oldest first: the last Sealing key seals. There must be a Sealing key and exactly one Hashing key.
// The error wraps ErrKEK if one does not unwrap.
func NewBox(ctx context.Context, k Keeper, sks []StoreKey) (*Box, error) {
	b, all := new(Box), &keys{secret: make(map[[kidSize]byte][]byte)}
	for _, sk := range sks {
		kid, secret, err := unwrap(ctx, k, sk)
		switch {
		case err != nil:
			return nil, err
		case sk.Purpose == Sealing:
			all.newest, all.secret[kid] = kid, secret
		case sk.Purpose == Hashing && b.hash == nil:
			b.hash = secret
		default:
			return nil, fmt.Errorf("vault: store key %s: unexpected purpose %q", sk.KID, sk.Purpose)
		}
	}
	if len(all.secret) == 0 || b.hash == nil {
		return nil, errors.New("vault: store keys are missing")
	}
	b.keys.Store(all)
	return b, nil
}

// unwrap opens the row of a store key, and checks that it is of that row.
func unwrap(ctx context.Context, k Keeper, sk StoreKey) (kid [kidSize]byte, secret []byte, err error) {
	plain, err := k.Decrypt(ctx, sk.Wrapped)
	if err != nil {
		return kid, nil, fmt.Errorf("%w: store key %s: %v", ErrKEK, sk.KID, err)
	}
	secret, ok := bytes.CutPrefix(plain, label(sk))
	raw, err := hex.DecodeString(sk.KID)
	if !ok || err != nil || len(raw) != kidSize || len(secret) != keySize {
		return kid, nil, fmt.Errorf("%w: store key %s is another one", ErrKEK, sk.KID)
	}
	return [kidSize]byte(raw), secret, nil
}

// Update has the Box learn the sealing keys of the store, given as to NewBox, without interruption to those who use it. Keys that are not
// among them any more stay known, for somebody may hold what they sealed. A list older than what is known already changes nothing.
func (b *Box) Update(ctx context.Context, k Keeper, sks []StoreKey) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.keys.Load()
	now := &keys{newest: old.newest, secret: maps.Clone(old.secret)}
	var last [kidSize]byte
	current, fresh := false, false // whether the list has the key that seals now; whether its last one is new to us
	for _, sk := range sks {
		if sk.Purpose != Sealing {
			continue
		}
		raw, err := hex.DecodeString(sk.KID)
		if err != nil || len(raw) != kidSize {
			return fmt.Errorf("%w: store key %q has no name", ErrKEK, sk.KID)
		}
		last = [kidSize]byte(raw)
		current = current || last == old.newest
		if fresh = now.secret[last] == nil; fresh {
			if _, now.secret[last], err = unwrap(ctx, k, sk); err != nil {
				return err
			}
		}
	}
	if current || fresh {
		now.newest = last
	}
	b.keys.Store(now)
	return nil
}

// KID names the store key that seals now.
func (b *Box) KID() string { k := b.keys.Load(); return hex.EncodeToString(k.newest[:]) }

// Head is how values begin that are sealed with the store key that seals now: HeadSize bytes.
func (b *Box) Head() []byte { k := b.keys.Load(); return append([]byte{version}, k.newest[:]...) }

// Seal encrypts the value of one column (named "table.column") of the row with this id. A nil value stays nil, so that NULL stays NULL.
func (b *Box) Seal(column, row string, value []byte) []byte {
	return b.seal(b.keys.Load(), column, row, value)
}

func (b *Box) seal(k *keys, column, row string, value []byte) []byte {
	if value == nil {
		return nil
	}
	aead, err := b.cipher(k, k.newest, column)
	if err != nil {
		panic(err) // the key was there when b learned it
	}
	out := make([]byte, HeadSize, Overhead+len(value))
	out[0] = version
	copy(out[1:], k.newest[:])
	return aead.Seal(out, nil, value, additional(out[:HeadSize], column, row))
}

// Open reverses Seal. The error is ErrSealed or wraps ErrNoKey.
func (b *Box) Open(column, row string, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	aead, err := b.cipher(b.keys.Load(), [kidSize]byte(sealed[1:HeadSize]), column)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open([]byte{}, nil, sealed[HeadSize:], additional(sealed[:HeadSize], column, row))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Reseal seals what Seal or WrapKey made anew, with the store key that seals now, and names that key.
func (b *Box) Reseal(column, row string, sealed []byte) (kid string, fresh []byte, err error) {
	plain, err := b.Open(column, row, sealed)
	if err != nil {
		return "", nil, err
	}
	defer clear(plain)
	k := b.keys.Load()
	return hex.EncodeToString(k.newest[:]), b.seal(k, column, row, plain), nil
}

// additional binds a sealed value to its header, column and row. Neither column nor id has a NUL.
func additional(head []byte, column, row string) []byte {
	a := make([]byte, 0, len(head)+len(column)+1+len(row))
	a = append(a, head...)
	a = append(a, column...)
	a = append(a, 0)
	return append(a, row...)
}

func (b *Box) cipher(k *keys, kid [kidSize]byte, column string) (cipher.AEAD, error) {
	name := string(kid[:]) + column
	if c, ok := b.ciphers.Load(name); ok {
		return c.(cipher.AEAD), nil
	}
	secret, ok := k.secret[kid]
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
	k := b.keys.Load()
	return hex.EncodeToString(k.newest[:]), b.seal(k, dek, id, key)
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
