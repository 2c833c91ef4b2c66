package dnsd

import (
	"encoding/binary"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Rate bounds the answers over UDP, whose senders anybody may forge: who is flooded in the name of others gets little (response
// rate limiting, as name servers have it). Of what is too much, one answer in Slip is sent truncated, which is no longer than the
// question: a client who is meant asks again by TCP, which cannot be forged. Zero fields take the default in brackets.
//
// A client is a network: an IPv4 /24, an IPv6 /56. What counts as the same answer: one record set; all denials together; all
// errors together. What is kept is bounded (maxTracked); a flood from more networks than that is limited less, never more.
type Rate struct {
	Answers int            // the same answer to one client, a second [20]
	Client  int            // all answers to one client, a second [1000]
	Slip    int            // [2]; 1: none is silently dropped
	Exempt  []netip.Prefix // who is not limited [loopback: nobody forges that from elsewhere]
}

const (
	maxTracked = 1 << 14 // pairs of client and answer that are counted at a time
	ways       = 4       // places in which a pair may lie
)

// rates counts. Each pair is a leaky bucket that holds what a second brings.
type rates struct {
	Rate
	seed  maphash.Seed
	start time.Time
	mu    sync.Mutex
	slots []bucket
}

type bucket struct {
	pair  uint64
	empty time.Duration // since start: when it has leaked out
	over  uint32        // answers that were too many
}

func newRates(r Rate) *rates {
	if r.Answers <= 0 {
		r.Answers = 20
	}
	if r.Client <= 0 {
		r.Client = 1000
	}
	if r.Slip <= 0 {
		r.Slip = 2
	}
	if r.Exempt == nil {
		r.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return &rates{Rate: r, seed: maphash.MakeSeed(), start: time.Now(), slots: make([]bucket, maxTracked)}
}

// limit returns what is sent to a client in place of an answer over UDP: the answer, a truncated one, or nil.
func (r *rates) limit(answer []byte, to net.Addr) []byte {
	ip := ipOf(to)
	if !ip.IsValid() || slices.ContainsFunc(r.Exempt, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return answer
	}
	bits := 24
	if ip.Is6() {
		bits = 56
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return answer
	}
	who, _ := network.MarshalBinary()
	now := time.Since(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	all, fits := r.pour(now, r.Client, who, nil)
	over, same := r.pour(now, r.Answers, who, kindOf(answer))
	if !fits { // else a flood of many answers, none of which is too much by itself, would have every one of them cut and none dropped
		over = all
	}
	switch {
	case fits && same:
		return answer
	case over%uint32(r.Slip) == 0:
		return cut(answer)
	}
	return nil
}

// pour counts one answer, of which perSecond fit. Where it does not, over numbers it from 0.
func (r *rates) pour(now time.Duration, perSecond int, who, kind []byte) (over uint32, fits bool) {
	var h maphash.Hash
	h.SetSeed(r.seed)
	h.WriteByte(byte(len(who)))
	h.Write(who)
	h.Write(kind)
	pair := h.Sum64() | 1 // 0 is an empty slot
	at := int(pair>>1%uint64(len(r.slots)/ways)) * ways
	set := r.slots[at : at+ways]
	b := &set[0]
	for i := range set {
		if set[i].pair == pair {
			b = &set[i]
			break
		}
		if set[i].empty < b.empty { // who waits least is forgotten first
			b = &set[i]
		}
	}
	if b.pair != pair {
		*b = bucket{pair: pair}
	}
	b.empty = max(b.empty, now)
	if b.empty > now+time.Second {
		b.over++
		return b.over - 1, false
	}
	b.empty += time.Second / time.Duration(perSecond)
	return 0, true
}

// kindOf tells which answer that is; see Rate.
func kindOf(answer []byte) []byte {
	rcode, records := answer[3]&0xf, binary.BigEndian.Uint16(answer[6:])
	truncated := answer[2]&2 != 0
	if rcode > 0 && rcode != 3 { // NXDOMAIN
		return []byte("error")
	}
	if records == 0 && !truncated {
		return []byte("denial")
	}
	kind := slices.Clone(answer[headerLen:question(answer)])
	for i, c := range kind { // lengths and types are no letters that matter: two that are one then are limited together
		if 'A' <= c && c <= 'Z' {
			kind[i] += 'a' - 'A'
		}
	}
	return kind
}

// question is where the question of a packet of ours ends. Its name is not compressed: it is the first.
func question(p []byte) int {
	if binary.BigEndian.Uint16(p[4:]) == 0 {
		return headerLen
	}
	at := headerLen
	for at < len(p) && p[at] != 0 {
		at += 1 + int(p[at])
	}
	return min(at+5, len(p))
}

// cut leaves of an answer its header and question, truncated.
func cut(answer []byte) []byte {
	out := slices.Clone(answer[:question(answer)])
	out[2] |= 2
	copy(out[6:headerLen], make([]byte, 6))
	return out
}

// ipOf is the address of a client; the zero Addr where it has none.
func ipOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
