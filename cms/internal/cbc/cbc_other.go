//go:build !amd64 || purego

package cbc

import "crypto/cipher"

// kernel: there is none.
type kernel struct{ name string }

func kernels() []kernel { return nil }

func (k *kernel) decrypter(block cipher.Block, _, iv []byte) cipher.BlockMode {
	return cipher.NewCBCDecrypter(block, iv)
}
