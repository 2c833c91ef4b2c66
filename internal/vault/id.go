package vault

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewID makes a ULID: 48 bits of milliseconds and 80 random bits as 26 characters that sort by time.
func NewID(now time.Time) string {
	var b [16]byte
	rand.Read(b[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(now.UnixMilli(), 0)))
	copy(b[:6], ms[2:])
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var s [26]byte
	for i := 25; i >= 0; i-- {
		s[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(s[:])
}

// IDTime tells when a ULID was made, in milliseconds; ok is false if id is none.
func IDTime(id string) (at time.Time, ok bool) {
	if len(id) != 26 || id[0] > '7' {
		return at, false
	}
	var ms int64
	for i := range len(id) {
		v := strings.IndexByte(crockford, id[i])
		if v < 0 {
			return at, false
		}
		if i < 10 {
			ms = ms<<5 | int64(v)
		}
	}
	return time.UnixMilli(ms).UTC(), true
}

// Sequence makes ULIDs each of which sorts after the one before, also within a millisecond or when the clock is set back. It is safe for
// concurrent use.
type Sequence struct {
	mu   sync.Mutex
	last string
}

// Next makes a ULID at that time, or next to the last one where that is later.
func (s *Sequence) Next(now time.Time) string {
	id := NewID(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != "" && id[:10] <= s.last[:10] {
		id = successor(s.last)
	}
	s.last = id
	return id
}

// successor is the next greater ULID. (After the greatest comes the smallest: in the year 10889.)
func successor(id string) string {
	b := []byte(id)
	for i := len(b) - 1; i >= 0; i-- {
		at := strings.IndexByte(crockford, b[i]) + 1
		b[i] = crockford[at%len(crockford)]
		if at < len(crockford) {
			break
		}
	}
	return string(b)
}
