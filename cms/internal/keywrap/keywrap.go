// Package keywrap is the AES key wrap of RFC 3394 (KW of NIST SP 800-38F) with its default initial value, for AES-128, AES-192 and
// AES-256. It departs from neither.
package keywrap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

const (
	semiblock = 8  // octets
	rounds    = 6  // RFC 3394 §2.2.1: j = 0 to 5
	minLength = 16 // octets of a key that can be wrapped
)

// The two ways to fail.
var (
	// ErrLength: the key is not two or more whole semiblocks, or the wrapped key not three or more.
	ErrLength = errors.New("keywrap: length of the key")
	// ErrIntegrity: the wrapped key was not made with this key-encryption key (RFC 3394 §2.2.3).
	ErrIntegrity = errors.New("keywrap: integrity check")
)

// initial is RFC 3394 §2.2.3.1's.
const initial = "\xa6\xa6\xa6\xa6\xa6\xa6\xa6\xa6"

// Wrap encrypts key under kek, an AES key (RFC 3394 §2.2.1). The result is 8 octets longer. Errors: ErrLength, aes.KeySizeError.
func Wrap(kek, key []byte) ([]byte, error) {
	if len(key) < minLength || len(key)%semiblock != 0 {
		return nil, ErrLength
	}
	c, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := make([]byte, semiblock+len(key))
	copy(out, initial)
	copy(out[semiblock:], key)
	wrap(c, out)
	return out, nil
}

// Unwrap is the reverse of Wrap (RFC 3394 §2.2.2). Its duration depends on lengths alone. Errors: ErrLength, ErrIntegrity,
// aes.KeySizeError; the first and the last can be told without a key.
func Unwrap(kek, wrapped []byte) ([]byte, error) {
	if len(wrapped) < semiblock+minLength || len(wrapped)%semiblock != 0 {
		return nil, ErrLength
	}
	c, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), wrapped...)
	unwrap(c, b)
	if subtle.ConstantTimeCompare(b[:semiblock], []byte(initial)) != 1 {
		clear(b)
		return nil, ErrIntegrity
	}
	return b[semiblock:], nil
}

// wrap does §2.2.1 in place: b is A, R[1] … R[n].
func wrap(c cipher.Block, b []byte) {
	var block [aes.BlockSize]byte // A | R[i]
	defer clear(block[:])
	t := uint64(0)
	for range rounds {
		for r := b[semiblock:]; len(r) > 0; r = r[semiblock:] {
			t++
			copy(block[:semiblock], b)
			copy(block[semiblock:], r)
			c.Encrypt(block[:], block[:])
			binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(block[:])^t)
			copy(r, block[semiblock:])
		}
	}
}

// unwrap does §2.2.2 in place: b is C[0] … C[n].
func unwrap(c cipher.Block, b []byte) {
	var block [aes.BlockSize]byte
	defer clear(block[:])
	n := len(b)/semiblock - 1
	for t := uint64(rounds * n); t > 0; {
		for i := n; i > 0; i-- {
			r := b[i*semiblock : (i+1)*semiblock]
			binary.BigEndian.PutUint64(block[:], binary.BigEndian.Uint64(b)^t)
			copy(block[semiblock:], r)
			c.Decrypt(block[:], block[:])
			copy(b, block[:semiblock])
			copy(r, block[semiblock:])
			t--
		}
	}
}
