package resolver

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A clock for the cache alone.
func TestCache(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := NewCache(3, func() time.Time { return now })
	rr, _ := dns.NewRR("h.example. 60 IN MX 10 m.example.")
	n, _ := parseName("H.example")
	c.put(n, dns.TypeMX, answer{[]dns.RR{rr}, time.Minute, false})
	now = now.Add(20 * time.Second)
	lower, _ := parseName("h.example.")
	if a, ok := c.get(lower, dns.TypeMX); !ok || len(a.records) != 1 || a.ttl != 40*time.Second {
		t.Errorf("after 20 s: %v, %v", a, ok)
	}
	if _, ok := c.get(n, dns.TypeA); ok {
		t.Error("types are apart")
	}
	now = now.Add(40 * time.Second)
	if _, ok := c.get(n, dns.TypeMX); ok {
		t.Error("a minute is over")
	}
	for i := range 50 {
		n, _ := parseName(fmt.Sprintf("n%d.example", i))
		c.put(n, dns.TypeMX, answer{[]dns.RR{rr}, time.Minute, false})
	}
	if len(c.entries) > 3 {
		t.Errorf("%d entries, at most 3", len(c.entries))
	}
	c.Flush()
	if len(c.entries) != 0 {
		t.Error("Flush leaves something")
	}
	c.put(n, dns.TypeMX, answer{nil, 0, false})
	big := &dns.CERT{Hdr: dns.RR_Header{Name: "h.example."}, Certificate: string(make([]byte, 40000))}
	c.put(n, dns.TypeCERT, answer{[]dns.RR{big}, time.Minute, false})
	if len(c.entries) != 0 {
		t.Error("no TTL, or too big: not kept")
	}
	var many []dns.RR // 15 KB on the wire, and several times that in memory
	for range 600 {
		rr, _ := dns.NewRR("h.example. 60 IN A 192.0.2.1")
		many = append(many, rr)
	}
	c.put(n, dns.TypeA, answer{many, time.Minute, false})
	if len(c.entries) != 0 {
		t.Error("an answer that is big once it is read: not kept")
	}
}

// TTLs are bounded: an hour for what is there, a minute for what is not, and nothing without an SOA (RFC 2308 §5).
func TestTTL(t *testing.T) {
	q := question{kind: dns.TypeMX}
	q.name, _ = parseName("h.example")
	soa := "example. 900 IN SOA ns.example. h.example. 1 1 1 1 %d"
	for _, tc := range []struct {
		answer, authority string
		want              time.Duration
	}{
		{"h.example. 86400 IN MX 1 m.example.", "", time.Hour},
		{"h.example. 5 IN MX 1 m.example.", "", 5 * time.Second},
		{"h.example. 4000000000 IN MX 1 m.example.", "", 0}, // RFC 2181 §8
		{"", fmt.Sprintf(soa, 7200), time.Minute},
		{"", fmt.Sprintf(soa, 9), 9 * time.Second},
		{"", "", 0},
	} {
		m := new(dns.Msg)
		if tc.answer != "" {
			rr, err := dns.NewRR(tc.answer)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = []dns.RR{rr}
		}
		if tc.authority != "" {
			rr, err := dns.NewRR(tc.authority)
			if err != nil {
				t.Fatal(err)
			}
			m.Ns = []dns.RR{rr}
		}
		if r := read(m, q); r.ttl != tc.want {
			t.Errorf("%+v: %v", tc, r.ttl)
		}
	}
}

// Answers come from strangers: whatever they send is read without panic, and what is taken hangs on the question.
func FuzzParse(f *testing.F) {
	q := question{kind: dns.TypeCERT}
	q.name, _ = parseName("dr.lee.h.example")
	for _, records := range [][]string{
		nil,
		{"dr.lee.h.example. 60 IN CERT 1 0 0 MIIB"},
		{"dr.lee.h.example. 60 IN CNAME x.h.example.", "x.h.example. 60 IN CERT 4 0 0 aHR0cDov"},
		{"dr.lee.h.example. 60 IN CNAME dr.lee.h.example."},
		{"h.example. 60 IN MX 0 ."},
	} {
		m := new(dns.Msg)
		m.SetQuestion(q.name.text(), q.kind)
		m.Id, m.Response, m.Compress = 7, true, true
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		p, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, err := parse(packet, 7, q)
		if err != nil {
			if !errors.Is(err, errForeign) && !errors.Is(err, errMalformed) && !errors.Is(err, errTruncated) {
				t.Fatalf("error: %v", err)
			}
			return
		}
		if usable(m) != nil {
			return
		}
		r := read(m, q)
		if r.hops > maxHops+1 || r.ttl < 0 || r.ttl > maxTTL {
			t.Fatalf("%+v", r)
		}
		for _, rr := range r.records {
			if rr.Header().Rrtype != q.kind || rr.Header().Class != dns.ClassINET {
				t.Fatalf("%v was not asked for", rr)
			}
		}
		if r.next != "" {
			if again, ok := parseName(r.next.text()); !ok || again != r.next {
				t.Fatalf("the name %q does not survive", r.next)
			}
		}
	})
}

// Names come from addresses of strangers too.
func FuzzName(f *testing.F) {
	for _, s := range []string{"h.example", `\032a.example.`, `a\.b.example`, "..", strings64} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseName(s)
		if !ok {
			return
		}
		if again, ok := parseName(n.text()); !ok || again != n || !n.in("") || !n.in(n) {
			t.Fatalf("%q → %q → %q", s, n, again)
		}
	})
}

const strings64 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"
