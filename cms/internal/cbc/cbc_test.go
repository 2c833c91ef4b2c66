package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/rand/v2"
	"testing"
)

// octets makes n of them that look random.
func octets(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(b)
	return b
}

// mode makes a cipher.BlockMode.
type mode func(key, iv []byte) cipher.BlockMode

// modes returns the decrypters and the encrypters with each kernel that runs on this processor, and with none.
func modes(t testing.TB) (decrypters, encrypters map[string]mode) {
	with := func(k *kernel, make func(*kernel, []byte, []byte) (cipher.BlockMode, error)) mode {
		return func(key, iv []byte) cipher.BlockMode {
			m, err := make(k, key, iv)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	decrypters = map[string]mode{"crypto/cipher": with(nil, newDecrypter)}
	encrypters = map[string]mode{"crypto/cipher": with(nil, newEncrypter)}
	for _, k := range kernels() {
		decrypters[k.name] = with(&k, newDecrypter)
		encrypters[k.name] = with(&k, newEncrypter)
	}
	return decrypters, encrypters
}

// same has src decrypted and encrypted in two calls that part at cut blocks, elsewhere and in place, with every kernel that runs
// here, and compares that with what crypto/cipher makes in one call.
func same(t testing.TB, key, iv, src []byte, cut int) {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	decrypters, encrypters := modes(t)
	for way, c := range map[string]struct {
		standard cipher.BlockMode
		modes    map[string]mode
	}{
		"decrypted": {cipher.NewCBCDecrypter(block, iv), decrypters},
		"encrypted": {cipher.NewCBCEncrypter(block, iv), encrypters},
	} {
		want := make([]byte, len(src))
		c.standard.CryptBlocks(want, src)
		for name, make := range c.modes {
			for _, inPlace := range []bool{false, true} {
				in := bytes.Clone(src)
				dst := in
				if !inPlace {
					dst = bytes.Repeat([]byte{0xee}, len(in)+1)
				}
				m := make(key, iv)
				m.CryptBlocks(dst[:cut*aes.BlockSize], in[:cut*aes.BlockSize])
				m.CryptBlocks(dst[cut*aes.BlockSize:], in[cut*aes.BlockSize:])
				if !bytes.Equal(dst[:len(want)], want) {
					t.Fatalf("%s by %s: %d-bit key, %d blocks cut at %d, in place %v: not as crypto/cipher does it", way, name, len(key)*8, len(src)/aes.BlockSize, cut, inPlace)
				}
				if !inPlace && (dst[len(want)] != 0xee || !bytes.Equal(in, src)) {
					t.Fatalf("%s by %s: something else than the destination was written", way, name)
				}
			}
		}
	}
}

func TestSame(t *testing.T) {
	for _, size := range []int{16, 24, 32} {
		for blocks := range 70 {
			for cut := 0; cut <= blocks; cut += 5 {
				seed := uint64(size*100 + blocks)
				same(t, octets(seed, size), octets(seed+1, 16), octets(seed+2, blocks*aes.BlockSize), cut)
			}
		}
	}
}

// SP 800-38A appendix F.2.1 and F.2.2, the first block. The decrypters get it many times, to fill their batches.
func TestVector(t *testing.T) {
	key := []byte("\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c")
	iv := []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")
	plain := []byte("\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a")
	sealed := []byte("\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d")
	decrypters, encrypters := modes(t)
	for name, make := range decrypters {
		got := bytes.Repeat(sealed, 16)
		make(key, iv).CryptBlocks(got, got)
		if !bytes.Equal(got[:16], plain) {
			t.Errorf("%s: %x", name, got[:16])
		}
	}
	for name, make := range encrypters {
		got := bytes.Clone(plain)
		make(key, iv).CryptBlocks(got, got)
		if !bytes.Equal(got, sealed) {
			t.Errorf("%s: %x", name, got)
		}
	}
}

func FuzzSame(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(0), uint16(3))
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 40), uint8(2), uint16(17))
	f.Fuzz(func(t *testing.T, b []byte, size uint8, cut uint16) {
		const most = 32 + 16
		if len(b) < most {
			b = append(b, make([]byte, most-len(b))...)
		}
		key, iv, src := b[:16+int(size%3)*8], b[32:48], b[48:]
		src = src[:len(src)/aes.BlockSize*aes.BlockSize]
		same(t, key, iv, src, int(cut)%(len(src)/aes.BlockSize+1))
	})
}

func TestMisuse(t *testing.T) {
	for _, make := range []func(key, iv []byte) (cipher.BlockMode, error){NewDecrypter, NewEncrypter} {
		for _, size := range []int{0, 15, 17, 33} {
			if _, err := make(octets(1, size), octets(2, 16)); err == nil {
				t.Errorf("a key of %d octets is taken", size)
			}
		}
		if _, err := make(octets(1, 16), octets(2, 12)); err == nil {
			t.Error("a short initialization vector is taken")
		}
	}
	b := make([]byte, 640)
	for _, c := range []struct {
		what     string
		dst, src []byte
	}{
		{"no whole blocks", b[:32], b[:31]},
		{"too short a destination", b[:16], b[:32]},
		{"a destination a little later", b[1:], b[:320]},
		{"a destination a block earlier", b[:320], b[16:336]},
	} {
		decrypters, encrypters := modes(t)
		for _, modes := range []map[string]mode{decrypters, encrypters} {
			for name, make := range modes {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%s: %s: no panic", name, c.what)
						}
					}()
					make(octets(1, 16), octets(2, 16)).CryptBlocks(c.dst, c.src)
				}()
			}
		}
	}
}

func BenchmarkCBC(b *testing.B) {
	decrypters, encrypters := modes(b)
	for way, modes := range map[string]map[string]mode{"decrypt": decrypters, "encrypt": encrypters} {
		for _, size := range []int{16, 24, 32} {
			for name, make := range modes {
				b.Run(fmt.Sprintf("%s/AES-%d/%s", way, size*8, name), func(b *testing.B) {
					buf := octets(3, 32<<10)
					m := make(octets(1, size), octets(2, 16))
					b.SetBytes(int64(len(buf)))
					for b.Loop() {
						m.CryptBlocks(buf, buf)
					}
				})
			}
		}
	}
}
