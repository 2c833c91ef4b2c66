//go:build !purego

package cbc

import (
	"crypto/aes"
	"crypto/cipher"
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// kernel decrypts whole batches. All encrypt in the same way.
type kernel struct {
	name  string
	batch int // octets
	run   func(keys *schedule, rounds int, iv *[aes.BlockSize]byte, dst, src *byte, batches int)
}

// vaes asks once: in a virtual machine CPUID goes to the host and back, which takes longer than a small message.
var vaes = sync.OnceValue(hasVAES)

// kernels returns those that run on this processor, the fastest first. Package cpu knows of VAES only beside AVX-512.
func kernels() (ks []kernel) {
	if cpu.X86.HasAES && cpu.X86.HasAVX2 && vaes() {
		ks = append(ks, kernel{"VAES", 16 * aes.BlockSize, decryptVAES})
	}
	if cpu.X86.HasAES && cpu.X86.HasAVX {
		ks = append(ks, kernel{"AES-NI", 8 * aes.BlockSize, decryptAESNI})
	}
	return ks
}

// decrypter is a cipher.BlockMode.
type decrypter struct {
	kernel *kernel
	keys   schedule
	rounds int
	iv     [aes.BlockSize]byte // the ciphertext before what comes next
	block  cipher.Block        // for less than a batch
}

func (k *kernel) decrypter(block cipher.Block, key, iv []byte) cipher.BlockMode {
	d := &decrypter{kernel: k, block: block, iv: [aes.BlockSize]byte(iv)}
	d.rounds = d.keys.expand(key)
	d.keys.invert(d.rounds)
	return d
}

// BlockSize implements cipher.BlockMode.
func (d *decrypter) BlockSize() int { return aes.BlockSize }

// CryptBlocks implements cipher.BlockMode.
func (d *decrypter) CryptBlocks(dst, src []byte) {
	check(dst, src)
	if len(src) == 0 {
		return
	}
	next := [aes.BlockSize]byte(src[len(src)-aes.BlockSize:])
	if whole := len(src) / d.kernel.batch * d.kernel.batch; whole > 0 {
		last := [aes.BlockSize]byte(src[whole-aes.BlockSize:])
		d.kernel.run(&d.keys, d.rounds, &d.iv, &dst[0], &src[0], whole/d.kernel.batch)
		d.iv, dst, src = last, dst[whole:], src[whole:]
	}
	if len(src) > 0 {
		cipher.NewCBCDecrypter(d.block, d.iv[:]).CryptBlocks(dst, src)
	}
	d.iv = next
}

// encrypter is a cipher.BlockMode.
type encrypter struct {
	keys   schedule
	rounds int
	iv     [aes.BlockSize]byte // the ciphertext before what comes next
}

func (k *kernel) encrypter(key, iv []byte) cipher.BlockMode {
	e := &encrypter{iv: [aes.BlockSize]byte(iv)}
	e.rounds = e.keys.expand(key)
	return e
}

// BlockSize implements cipher.BlockMode.
func (e *encrypter) BlockSize() int { return aes.BlockSize }

// CryptBlocks implements cipher.BlockMode.
func (e *encrypter) CryptBlocks(dst, src []byte) {
	check(dst, src)
	if len(src) > 0 {
		encryptAESNI(&e.keys, e.rounds, &e.iv, &dst[0], &src[0], len(src)/aes.BlockSize)
	}
}

// check panics where the arguments of CryptBlocks do not fit.
func check(dst, src []byte) {
	switch {
	case len(src)%aes.BlockSize != 0:
		panic("cbc: input not full blocks")
	case len(dst) < len(src):
		panic("cbc: output smaller than input")
	case len(src) > 0 && overlapInexactly(dst[:len(src)], src):
		panic("cbc: invalid buffer overlap")
	}
}

// overlapInexactly says whether a and b, of one length, share memory at different places.
func overlapInexactly(a, b []byte) bool {
	x, y := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return x != y && max(x, y)-min(x, y) < uintptr(len(a))
}
