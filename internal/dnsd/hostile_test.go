package dnsd

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Names that point at themselves, in rings, forward and in chains, that are as long as names may be or longer, and counts of what is not
// there: each packet gets a short answer or none, and costs little. ATT-28.
func TestHostilePackets(t *testing.T) {
	tab, err := newTable([]Zone{small()})
	if err != nil {
		t.Fatal(err)
	}
	head := func(questions, answers, extra byte) []byte {
		return []byte{0x12, 0x34, 0, 0, 0, questions, 0, answers, 0, 0, 0, extra}
	}
	end := []byte{0, byte(dns.TypeMX), 0, 1}
	label := func(n int) []byte { return append([]byte{byte(n)}, bytes.Repeat([]byte("a"), n)...) }
	long := slices.Concat(label(63), label(63), label(63), label(51), []byte("\x01h\x07example\x00")) // 255 octets
	chain := slices.Concat(head(1, 200, 0), label(3), []byte{0}, end)
	for i := range 200 {
		chain = append(chain, 0xc0|byte((len(chain)-12)>>8), byte(12+i*12), 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
	}
	wide := slices.Concat(head(1, 0, 255), long, end)
	for len(wide)+12 <= queryMax {
		wide = append(wide, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0)
	}
	for name, packet := range map[string][]byte{
		"a name that points at itself":  slices.Concat(head(1, 0, 0), []byte{0xc0, 12}, end),
		"a ring":                        slices.Concat(head(1, 0, 0), []byte{0xc0, 14, 0xc0, 12}, end),
		"forward":                       slices.Concat(head(1, 0, 0), []byte{0xc0, 20}, end, label(3), []byte{0}),
		"beyond the end":                slices.Concat(head(1, 0, 0), []byte{0xff, 0xff}, end),
		"into the header":               slices.Concat(head(1, 0, 0), []byte{0xc0, 0}, end),
		"a chain":                       chain,
		"255 octets, hundreds of times": wide,
		"255 octets":                    slices.Concat(head(1, 0, 0), long, end),
		"256 octets":                    slices.Concat(head(1, 0, 0), label(1), long, end),
		"another kind of label":         slices.Concat(head(1, 0, 0), []byte{0x41, 1}, end),
		"65535 records that are not":    slices.Concat([]byte{0x12, 0x34, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, label(1), []byte{0}, end),
		"only a header":                 head(0, 0, 0),
		"zeros":                         make([]byte, queryMax),
	} {
		for _, udp := range []bool{true, false} {
			out := tab.answer(packet, udp)
			if len(out) > 512 || len(out) > 0 && !bytes.Equal(out[:2], packet[:2]) {
				t.Errorf("%s: %d octets of %d", name, len(out), len(packet))
			}
			if n := testing.AllocsPerRun(1, func() { tab.answer(packet, udp) }); n > 10_000 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
	if a := ask(t, tab, query(t, strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 50)+".", 4), ".")+".h.example.", dns.TypeMX, nil), true); a.Rcode != dns.RcodeNameError || len(a.Ns) != 1 {
		t.Errorf("a long name: %v", a)
	}
}

// What a forged question brings upon somebody else: within the limits a certificate at most, beyond them no octet more than was sent, and
// half of the packets. ATT-28.
func TestReflection(t *testing.T) {
	tab, err := newTable([]Zone{small()})
	if err != nil {
		t.Fatal(err)
	}
	r := newRates(Rate{Answers: 1, Client: 5})
	for _, q := range [][]byte{
		query(t, "john.smith.h.example.", dns.TypeCERT, func(m *dns.Msg) { m.SetEdns0(65535, true) }), query(t, "h.example.", dns.TypeANY, nil),
		query(t, "other.example.", dns.TypeMX, nil), query(t, "nobody.h.example.", dns.TypeTXT, nil), append(query(t, "h.example.", dns.TypeMX, nil), 1, 2, 3),
	} {
		sent, got, packets := 0, 0, 0
		for i := range 4000 {
			out := r.limit(tab.answer(q, true), from("192.0.2.1"))
			if i < 1000 { // until it is too much
				continue
			}
			if sent += len(q); out != nil {
				got, packets = got+len(out), packets+1
			}
		}
		if 10*got > 6*sent || packets > 2000 {
			t.Errorf("%x: %d octets sent, %d octets and %d of 3000 packets come", q[:12], sent, got, packets)
		}
	}
}
