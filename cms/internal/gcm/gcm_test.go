package gcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"testing"
)

// oneShot is the standard library's, the measure of all here.
func oneShot(t testing.TB, block cipher.Block, nonce, content, data []byte) []byte {
	t.Helper()
	aead, err := cipher.NewGCM(block)
	check(t, err)
	return aead.Seal(nil, nonce, content, data)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBlock(t testing.TB, key []byte) cipher.Block {
	t.Helper()
	block, err := aes.NewCipher(key)
	check(t, err)
	return block
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// chunks cuts b after each of the sizes in turn, all of them whole blocks.
func chunks(b []byte, sizes ...int) (out [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(b))
		out, b = append(out, b[:n:n]), b[n:]
	}
	return out
}

// same seals and opens content in chunks of these sizes, and wants what the standard library says.
func same(t *testing.T, block cipher.Block, nonce, content, data []byte, sizes ...int) {
	t.Helper()
	want := oneShot(t, block, nonce, content, data)
	s, err := NewSealer(block, nonce)
	check(t, err)
	var got []byte
	for _, c := range chunks(content, sizes...) {
		room := append(make([]byte, 0, len(c)+TagSize), c...)
		check(t, s.Seal(room))
		got = append(got, room...)
	}
	tag := s.Tag(data)
	if got = append(got, tag[:]...); !bytes.Equal(got, want) {
		t.Fatalf("%d octets, %d of data, chunks %v: sealed otherwise", len(content), len(data), sizes)
	}
	n := len(content)
	for _, decrypt := range []bool{false, true} {
		o, err := NewOpener(block, nonce)
		check(t, err)
		text := bytes.Clone(want[:n])
		for _, c := range chunks(text, sizes...) {
			if decrypt {
				check(t, o.Open(c))
			} else {
				check(t, o.Authenticate(c))
			}
		}
		if decrypt && !bytes.Equal(text, content) {
			t.Fatalf("%d octets, chunks %v: opened otherwise", n, sizes)
		}
		for _, k := range []int{12, 13, 14, 15, 16} {
			bad := bytes.Clone(want[n : n+k])
			bad[k-1] ^= 1
			if !o.Verify(want[n:n+k], data) || o.Verify(bad, data) || o.Verify(want[n:n+k], append([]byte{0}, data...)) {
				t.Fatalf("%d octets, chunks %v: tag of %d", n, sizes, k)
			}
		}
		if o.Verify(want[n:n+11], data) || o.Verify(nil, data) || o.Verify(append(bytes.Clone(want[n:]), 0), data) {
			t.Fatal("a tag of another length")
		}
	}
}

// Equal to one-shot GCM for every key size, around every boundary and for additional data of all lengths.
func TestEqualToOneShot(t *testing.T) {
	for _, keyLen := range []int{16, 24, 32} {
		block, nonce := newBlock(t, random(keyLen)), random(NonceSize)
		for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 127, 128, 129, 255, 256, 257, 1000, 4096, 10_000, 1<<16 - 1, 1 << 16, 1<<16 + 1} {
			for _, data := range []int{0, 1, 15, 16, 17, 100, 4097} {
				same(t, block, nonce, random(n), random(data), 16, 32, 48)
				same(t, block, nonce, random(n), random(data), 4096)
				same(t, block, nonce, random(n), random(data), 1<<20)
			}
		}
		same(t, block, nonce, random(3<<20+5), random(20), 57*1024)
		same(t, block, nonce, random(1<<20), nil, 57*1024, 16)
	}
}

// The counter of the last chunks of a content that is nearly as long as can be: the sum of chunks is taken as done, and only the
// encryption compared.
func TestLastCounter(t *testing.T) {
	block, nonce := newBlock(t, random(32)), random(NonceSize)
	s, err := NewSealer(block, nonce)
	check(t, err)
	s.size = maxSize - 48
	room := make([]byte, 48, 64)
	check(t, s.Seal(room))
	want := make([]byte, 48)
	for i := range 3 {
		s.counter(1<<32 - 3 + uint32(i)).store(want[16*i:])
		block.Encrypt(want[16*i:], want[16*i:])
	}
	if !bytes.Equal(room, want) {
		t.Error("counted otherwise")
	}
	if err := s.Seal(make([]byte, 1, 17)); err != ErrSize {
		t.Errorf("one octet too many: %v", err)
	}
	o, err := NewOpener(block, nonce)
	check(t, err)
	o.size = maxSize - 48
	if err := o.Open(make([]byte, 49)); err != ErrSize {
		t.Errorf("one octet too many to open: %v", err)
	}
}

// What callers of ours could do wrong.
func TestMisuse(t *testing.T) {
	block := newBlock(t, random(16))
	for _, n := range []int{0, 11, 13, 16} {
		if _, err := NewSealer(block, make([]byte, n)); err == nil {
			t.Errorf("sealed by a nonce of %d octets", n)
		}
		if _, err := NewOpener(block, make([]byte, n)); err == nil {
			t.Errorf("opened by a nonce of %d octets", n)
		}
	}
	s, err := NewSealer(block, make([]byte, 12))
	check(t, err)
	check(t, s.Seal(make([]byte, 17, 40)))
	if s.Seal(make([]byte, 16, 40)) == nil {
		t.Error("a chunk behind the last")
	}
	// Without room behind the chunk it could not be encrypted where it lies, and would be taken for ciphertext as it is.
	if s, err = NewSealer(block, make([]byte, 12)); err != nil || s.Seal(make([]byte, 32, 47)) == nil {
		t.Error("a chunk without room for the tag")
	}
}

// Laws of the field, and square against mul.
func TestField(t *testing.T) {
	for range 200 {
		x, y, z := load(random(16)), load(random(16)), load(random(16))
		if x.mul(y) != y.mul(x) || x.mul(y).mul(z) != x.mul(y.mul(z)) || x.add(y).mul(z) != x.mul(z).add(y.mul(z)) {
			t.Fatal("no field")
		}
		if x.mul(one) != x || x.square() != x.mul(x) || x.mul(x.inverse()) != one {
			t.Fatalf("%x", x)
		}
	}
	x, p := load(random(16)), one
	for n := range uint64(70) {
		if x.power(n) != p {
			t.Fatalf("power %d", n)
		}
		p = p.mul(x)
	}
	if (element{}).inverse() != (element{}) || one.inverse() != one {
		t.Error("inverse of 0 or 1")
	}
}

func FuzzEqualToOneShot(f *testing.F) {
	f.Add([]byte("a key of 16 octet"), []byte("content"), []byte("data"), uint16(1))
	f.Add(make([]byte, 44), make([]byte, 1000), []byte(nil), uint16(3))
	f.Fuzz(func(t *testing.T, secret, content, data []byte, blocks uint16) {
		secret = append(secret, make([]byte, 44)...)[:44]
		keyLen := 16 + 8*(len(data)%3)
		same(t, newBlock(t, secret[:keyLen]), secret[32:], content, data, 16*(1+int(blocks)), 16)
	})
}

// Against the standard library's in one piece, in the same run; segments of EnvelopedData are 57 KiB.
func BenchmarkGCM(b *testing.B) {
	block, nonce, buf := newBlock(b, random(16)), random(NonceSize), make([]byte, 57*1024, 57*1024+TagSize)
	sealer, err := NewSealer(block, nonce)
	check(b, err)
	check(b, sealer.Seal(buf))
	opener, err := NewOpener(block, nonce)
	check(b, err)
	aead, err := cipher.NewGCM(block)
	check(b, err)
	for _, bench := range []struct {
		name string
		do   func()
	}{
		{"one-shot", func() { aead.Seal(buf[:0], nonce, buf, nil) }},
		{"seal", func() { sealer.size = 1 << 20; sealer.Seal(buf) }},
		{"open", func() { opener.size = 1 << 20; opener.Open(buf) }},
		{"authenticate", func() { opener.size = 1 << 20; opener.Authenticate(buf) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				bench.do()
			}
		})
	}
	b.Run("set-up", func(b *testing.B) {
		for b.Loop() {
			NewSealer(block, nonce)
		}
	})
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			sealer.more = nil
			sealer.prepare()
		}
	})
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint("small/", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				s, _ := NewSealer(block, nonce)
				s.Seal(buf[:n])
				s.Tag(nil)
			}
		})
	}
}

func BenchmarkMul(b *testing.B) {
	x, y := load(random(16)), load(random(16))
	b.Run("mul", func(b *testing.B) {
		for b.Loop() {
			x = x.mul(y)
		}
	})
	b.Run("square", func(b *testing.B) {
		for b.Loop() {
			x = x.square()
		}
	})
}
