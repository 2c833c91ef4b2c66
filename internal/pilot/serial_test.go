package pilot

import (
	"math/big"
	"testing"
)

// Serial numbers are positive, of at most 20 octets (RFC 5280 §4.1.2.2), never the same, and hold well over 64 random bits: among
// these, each of the lowest 126 bits is seen set and clear (that a fair bit is not has a chance of 2^-190).
func TestSerialNumbers(t *testing.T) {
	seen := map[string]bool{}
	ones, zeros := new(big.Int), new(big.Int)
	for range 200 {
		n, err := serial()
		if err != nil {
			t.Fatal(err)
		}
		if n.Sign() <= 0 || n.BitLen() != 127 || seen[n.String()] {
			t.Fatalf("serial number %x", n)
		}
		seen[n.String()] = true
		ones.Or(ones, n)
		zeros.Or(zeros, new(big.Int).Not(n))
	}
	for i := range 126 {
		if ones.Bit(i) == 0 || zeros.Bit(i) == 0 {
			t.Errorf("bit %d is not random", i)
		}
	}
}
