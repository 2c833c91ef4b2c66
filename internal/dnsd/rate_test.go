package dnsd

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func from(ip string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 4000))
}

// tally asks n times and counts whole, cut and missing answers.
func tally(t *testing.T, r *rates, answer []byte, ip string, n int) (whole, short, none int) {
	t.Helper()
	for range n {
		switch out := r.limit(answer, from(ip)); {
		case out == nil:
			none++
		case len(out) == len(answer):
			whole++
		default:
			m := new(dns.Msg)
			if err := m.Unpack(out); err != nil || !m.Truncated || len(m.Question) != 1 || len(m.Answer)+len(m.Ns)+len(m.Extra) != 0 ||
				m.Id != binary.BigEndian.Uint16(answer) {
				t.Fatalf("cut: %v, %v", m, err)
			}
			short++
		}
	}
	return
}

// A flood in somebody's name gets a second's worth, then every second answer truncated; others, and other answers, are served; after
// a second he is served again. ATT-28.
func TestRate(t *testing.T) {
	z := small()
	for i := range 60 {
		z.Hosts = append(z.Hosts, Host{fmt.Sprintf("p%d.h.example", i), netip.MustParseAddr("192.0.2.9")})
	}
	tab, err := newTable([]Zone{z})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(name string, kind uint16) []byte {
		return tab.answer(query(t, name, kind, func(m *dns.Msg) { m.SetEdns0(1232, false) }), true)
	}
	cert, mx := answer("john.smith.h.example.", dns.TypeCERT), answer("h.example.", dns.TypeMX)
	synctest.Test(t, func(t *testing.T) {
		r := newRates(Rate{Answers: 10, Client: 100})
		if whole, short, none := tally(t, r, cert, "192.0.2.1", 111); whole != 11 || short != 50 || none != 50 {
			t.Errorf("%d whole, %d cut, %d none", whole, short, none)
		}
		for name, tc := range map[string]struct {
			ip     string
			answer []byte
			served bool
		}{
			"the same network":      {"192.0.2.200", cert, false},
			"the same, in capitals": {"192.0.2.7", answer("JOHN.smith.h.EXAMPLE.", dns.TypeCERT), false},
			"another network":       {"198.51.100.1", cert, true},
			"loopback":              {"127.0.0.1", cert, true},
		} {
			if whole, _, _ := tally(t, r, tc.answer, tc.ip, 1); (whole == 1) != tc.served {
				t.Errorf("%s: %d", name, whole)
			}
		}
		time.Sleep(3 * time.Second)
		if whole, _, _ := tally(t, r, mx, "192.0.2.1", 5); whole != 5 {
			t.Errorf("afterwards: %d of 5", whole)
		}
	})
	synctest.Test(t, func(t *testing.T) { // names that are not there are one answer
		r := newRates(Rate{Answers: 10, Client: 1000, Slip: 1})
		whole := 0
		for i := range 100 {
			n, short, none := tally(t, r, answer(fmt.Sprintf("n%d.h.example.", i), dns.TypeCERT), "2001:db8::1", 1)
			if whole += n; none != 0 || n+short != 1 {
				t.Fatal("one is dropped")
			}
		}
		if whole != 11 {
			t.Errorf("%d denials", whole)
		}
		if n, _, _ := tally(t, r, cert, "2001:db8:0:ff::9", 1); n != 1 { // the same /56, another answer
			t.Error("a certificate is not served beside denials")
		}
	})
	synctest.Test(t, func(t *testing.T) { // many answers to one client
		r := newRates(Rate{Answers: 10, Client: 50})
		var whole, short, none int
		for i := range 151 {
			n, cut, dropped := tally(t, r, answer(fmt.Sprintf("p%d.h.example.", i%60), dns.TypeA), "192.0.2.1", 1)
			whole, short, none = whole+n, short+cut, none+dropped
		}
		if whole != 51 || short != 50 || none != 50 {
			t.Errorf("%d answers to one client, %d cut, %d dropped", whole, short, none)
		}
	})
}

// The table is bounded, and a flood in the name of everybody harms nobody whose turn comes. ATT-28.
func TestRateTable(t *testing.T) {
	tab, err := newTable([]Zone{small()})
	if err != nil {
		t.Fatal(err)
	}
	mx := tab.answer(query(t, "h.example.", dns.TypeMX, nil), true)
	r := newRates(Rate{})
	for i := range 100_000 {
		r.limit(mx, from(fmt.Sprintf("%d.%d.%d.1", i>>16+11, i>>8&255, i&255)))
	}
	if len(r.slots) != maxTracked {
		t.Errorf("%d slots", len(r.slots))
	}
	if out := r.limit(mx, from("203.0.113.9")); len(out) != len(mx) {
		t.Error("a newcomer is not served")
	}
}

// A limited client comes by TCP, as dig does.
func TestRateDig(t *testing.T) {
	_, server := serve(t, Options{Zones: []Zone{small()}, Rate: Rate{Answers: 1, Slip: 1, Exempt: []netip.Prefix{}}})
	c := new(dns.Client)
	for range 20 {
		if _, _, err := c.Exchange(new(dns.Msg).SetQuestion("h.example.", dns.TypeMX), server); err != nil {
			t.Fatal(err)
		}
	}
	if out := dig(t, server, "h.example", "MX"); !strings.Contains(out, "Truncated, retrying in TCP mode") || !strings.Contains(out, "10 mail.h.example.") {
		t.Error(out)
	}
}
