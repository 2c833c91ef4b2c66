package gcm

import (
	"encoding/binary"
	"math/bits"
)

// element is an element of GF(2^128) as SP 800-38D §6.3 writes it: the leftmost bit is the coefficient of x^0. All that is done
// with elements takes the same time whatever they are.
type element struct{ hi, lo uint64 }

var one = element{hi: 1 << 63}

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x element) store(b []byte) {
	binary.BigEndian.PutUint64(b, x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
}

// add is also subtraction.
func (x element) add(y element) element { return element{x.hi ^ y.hi, x.lo ^ y.lo} }

// mul is the multiplication of blocks, SP 800-38D §6.3.
func (x element) mul(y element) (z element) {
	for _, word := range [...]uint64{x.hi, x.lo} {
		for range 64 {
			mask := -(word >> 63)
			z.hi ^= y.hi & mask
			z.lo ^= y.lo & mask
			carry := -(y.lo & 1)
			y.lo = y.lo>>1 | y.hi<<63
			y.hi = y.hi>>1 ^ 0xe1<<56&carry
			word <<= 1
		}
	}
	return z
}

// square is x.mul(x), many times faster: the coefficients move apart, and the upper half of them is reduced.
func (x element) square() element {
	l, h := element{spread(x.hi >> 32), spread(x.hi & 0xffffffff)}, element{spread(x.lo >> 32), spread(x.lo & 0xffffffff)}
	// x^128 = x^7 + x^2 + x + 1, and the same again for what that pushes over the end.
	over := h.lo<<63 ^ h.lo<<62 ^ h.lo<<57
	l.hi ^= over ^ over>>1 ^ over>>2 ^ over>>7
	return l.add(h).add(h.shift(1)).add(h.shift(2)).add(h.shift(7))
}

// spread puts a zero behind each of 32 bits.
func spread(w uint64) uint64 {
	w = (w | w<<16) & 0x0000ffff0000ffff
	w = (w | w<<8) & 0x00ff00ff00ff00ff
	w = (w | w<<4) & 0x0f0f0f0f0f0f0f0f
	w = (w | w<<2) & 0x3333333333333333
	w = (w | w<<1) & 0x5555555555555555
	return w << 1
}

// shift multiplies by x^n without reducing.
func (x element) shift(n int) element { return element{x.hi >> n, x.lo>>n | x.hi<<(64-n)} }

// power returns x^n. Its time tells n, which is a length.
func (x element) power(n uint64) element {
	z := one
	for i := bits.Len64(n) - 1; i >= 0; i-- {
		if z = z.square(); n>>i&1 == 1 {
			z = z.mul(x)
		}
	}
	return z
}

// inverse returns x^(2^128-2): by Fermat the inverse, and zero for zero. The exponent is reached over x^(2^k-1), k = 1, 3, 7 … 127.
func (x element) inverse() element {
	z := x
	for k := 1; k < 127; k = 2*k + 1 {
		twice := z
		for range k {
			twice = twice.square()
		}
		z = twice.mul(z).square().mul(x)
	}
	return z.square()
}
