//go:build !purego

package cbc

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// schedule holds round keys in the order in which they are used.
type schedule [15][aes.BlockSize]byte

// expand is KeyExpansion (FIPS 197 §5.2); it returns the number of rounds. What it does with the key, the processor's AES
// instructions do, or shifts and xors: nothing is looked up by a secret.
func (s *schedule) expand(key []byte) (rounds int) {
	const columns = aes.BlockSize / 4 // Nb
	n := len(key) / 4                 // Nk
	rounds = n + 6
	var w [columns * len(s)]uint32
	for i := range n {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	rcon := uint32(1)
	for i := n; i < columns*(rounds+1); i++ {
		t := w[i-1]
		switch {
		case i%n == 0: // RotWord, the other way round since words are little-endian here
			t = bits.RotateLeft32(subWord(t), -8) ^ rcon
			if rcon <<= 1; rcon > 0xff {
				rcon ^= 0x11b
			}
		case n > 6 && i%n == 4:
			t = subWord(t)
		}
		w[i] = w[i-n] ^ t
	}
	for i, word := range w {
		binary.LittleEndian.PutUint32(s[i/columns][4*(i%columns):], word)
	}
	return rounds
}

// invert makes of it the round keys of the equivalent inverse cipher (FIPS 197 §5.3.5).
func (s *schedule) invert(rounds int) {
	slices.Reverse(s[:rounds+1])
	for r := 1; r < rounds; r++ {
		invMixColumns(&s[r])
	}
}
