//go:build !amd64 || purego

package cbc

import "crypto/cipher"

// kernel: there is none.
type kernel struct{ name string }

func kernels() []kernel { return nil }

func (k *kernel) decrypter(cipher.Block, []byte, []byte) cipher.BlockMode { panic("cbc: no kernel") }
func (k *kernel) encrypter([]byte, []byte) cipher.BlockMode               { panic("cbc: no kernel") }
