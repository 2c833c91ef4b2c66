// Package cbc is AES in CBC mode (NIST SP 800-38A §6.2) as fast as the processor can. Decryption is parallel: a block needs nothing
// but its own ciphertext and the one before it. crypto/cipher does one block after the other; on amd64 this package does 16 or 8
// at a time, by VAES or AES-NI, several times as fast. Encryption is not parallel, each block waits for the one before; what is
// saved there is what crypto/cipher does between two blocks. On other processors, with the build tag purego, and in FIPS 140 mode
// all is crypto/cipher's.
package cbc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"fmt"
)

// NewDecrypter is aes.NewCipher and cipher.NewCBCDecrypter: key has 16, 24 or 32 octets, iv has 16. Like there, CryptBlocks
// panics unless src is whole blocks, dst is as long, and the two are the same memory or have none in common.
func NewDecrypter(key, iv []byte) (cipher.BlockMode, error) {
	return newDecrypter(best(), key, iv)
}

// NewEncrypter is aes.NewCipher and cipher.NewCBCEncrypter, in the same way.
func NewEncrypter(key, iv []byte) (cipher.BlockMode, error) {
	return newEncrypter(best(), key, iv)
}

// best returns the fastest kernel there is, nil for none.
func best() *kernel {
	if ks := kernels(); len(ks) > 0 && !fips140.Enabled() {
		return &ks[0]
	}
	return nil
}

// newDecrypter uses k, or crypto/cipher alone where it is nil.
func newDecrypter(k *kernel, key, iv []byte) (cipher.BlockMode, error) {
	block, err := newCipher(key, iv)
	switch {
	case err != nil:
		return nil, err
	case k == nil:
		return cipher.NewCBCDecrypter(block, iv), nil
	}
	return k.decrypter(block, key, iv), nil
}

// newEncrypter uses k, or crypto/cipher alone where it is nil.
func newEncrypter(k *kernel, key, iv []byte) (cipher.BlockMode, error) {
	block, err := newCipher(key, iv)
	switch {
	case err != nil:
		return nil, err
	case k == nil:
		return cipher.NewCBCEncrypter(block, iv), nil
	}
	return k.encrypter(key, iv), nil
}

func newCipher(key, iv []byte) (cipher.Block, error) {
	if len(iv) != aes.BlockSize {
		return nil, fmt.Errorf("cbc: an initialization vector of %d octets", len(iv))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cbc: %w", err)
	}
	return block, nil
}
