package bigstudy

import (
	"encoding/binary"
	"math"
)

// noise is a small generator (xorshift64*), so that the bytes are the same on every machine and in every release of Go.
type noise uint64

func (n *noise) next() uint32 {
	x := uint64(*n)
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*n = noise(x)
	return uint32(x * 0x2545F4914F6CDD1D >> 32)
}

// volumeSlices draws frame after frame of a jaw-like phantom: a drawing made once, moved a little from frame to frame, under grain.
type volumeSlices struct {
	drawing []uint16
	grain   []uint16
	out     []byte
}

const grainSize = 1<<16 + 1 // odd, so that the grain does not repeat with the rows

func newSlices(seed int) *volumeSlices {
	s := &volumeSlices{drawing: make([]uint16, side*side), grain: make([]uint16, grainSize), out: make([]byte, frame)}
	n := noise(0x9E3779B97F4A7C15 + uint64(seed)*0xD1B54A32D192ED03)
	for i := range s.grain {
		s.grain[i] = uint16(n.next()&31 + n.next()&31)
	}
	for y := range side {
		for x := range side {
			s.drawing[y*side+x] = uint16(phantom(float64(x)/side, float64(y)/side))
		}
	}
	return s
}

// phantom gives the density of a point: soft tissue, an arch of teeth, a column of bone.
func phantom(x, y float64) float64 {
	v := 80.0
	if r := math.Hypot((x-.5)/.42, (y-.48)/.45); r < 1 {
		v = 900 + 220*(1-r*r)
	}
	arch := math.Hypot((x-.5)/.30, (y-.55)/.34)
	if y < .58 && arch > .86 && arch < 1.06 {
		v = 1500
		angle := math.Atan2(.58-y, x-.5)
		if t := math.Mod(angle*5.1+10, 1); t > .18 && t < .86 {
			v = 2500 + 500*math.Sin((t-.18)/.68*math.Pi)
			if t > .47 && t < .57 {
				v = 1800 // pulp
			}
		}
	}
	if r := math.Hypot(x-.5, y-.82); r < .09 {
		v = 1700 - 4000*r
	}
	return v
}

// frame gives frame k. The slice is used again.
func (s *volumeSlices) frame(k int) []byte {
	dy := k % 9
	at := (k * 7919) % grainSize
	for y := range side {
		src := s.drawing[(y+dy)%side*side:][:side]
		dst := s.out[y*side*2:][:side*2]
		for x, v := range src {
			binary.LittleEndian.PutUint16(dst[2*x:], v+s.grain[at])
			if at++; at == grainSize {
				at = 0
			}
		}
	}
	return s.out
}
