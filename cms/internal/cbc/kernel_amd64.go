//go:build !purego

package cbc

import "crypto/aes"

// hasVAES says whether the processor has the VAES instructions: CPUID leaf 7, ECX bit 9. There must be such a leaf.
//
//go:noescape
func hasVAES() bool

// subWord is SubWord of FIPS 197 §5.2.
//
//go:noescape
func subWord(w uint32) uint32

// invMixColumns is InvMixColumns of FIPS 197 §5.3.3, in place.
//
//go:noescape
func invMixColumns(k *[aes.BlockSize]byte)

// decryptVAES decrypts batches of 16 blocks from src to dst; iv is the ciphertext before them.
//
//go:noescape
func decryptVAES(keys *schedule, rounds int, iv *[aes.BlockSize]byte, dst, src *byte, batches int)

// decryptAESNI does the same with batches of 8 blocks.
//
//go:noescape
func decryptAESNI(keys *schedule, rounds int, iv *[aes.BlockSize]byte, dst, src *byte, batches int)

// encryptAESNI encrypts blocks from src to dst; iv is the ciphertext before them, and after them what they ended with.
//
//go:noescape
func encryptAESNI(keys *schedule, rounds int, iv *[aes.BlockSize]byte, dst, src *byte, blocks int)
