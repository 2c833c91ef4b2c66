// Package cbc decrypts AES in CBC mode (NIST SP 800-38A §6.2) as fast as the processor can. Decryption is parallel, unlike
// encryption: a block needs nothing but its own ciphertext and the one before it. crypto/cipher does one block after the other;
// on amd64 this package does 16 or 8 at a time, by VAES or AES-NI, several times as fast. Everywhere else, with the build tag
// purego, and in FIPS 140 mode it is crypto/cipher.
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
	if ks := kernels(); len(ks) > 0 && !fips140.Enabled() {
		return newDecrypter(&ks[0], key, iv)
	}
	return newDecrypter(nil, key, iv)
}

// newDecrypter uses k, or crypto/cipher alone where it is nil.
func newDecrypter(k *kernel, key, iv []byte) (cipher.BlockMode, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cbc: %w", err)
	}
	if len(iv) != aes.BlockSize {
		return nil, fmt.Errorf("cbc: an initialization vector of %d octets", len(iv))
	}
	if k == nil {
		return cipher.NewCBCDecrypter(block, iv), nil
	}
	return k.decrypter(block, key, iv), nil
}
