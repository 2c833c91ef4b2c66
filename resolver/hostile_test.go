package resolver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"carepost/resolver"
	"carepost/resolver/resolvertest"
)

// craft answers a query with the given records, after edits.
func craft(t *testing.T, query []byte, records []string, edit func(*dns.Msg)) []byte {
	t.Helper()
	q, a := new(dns.Msg), new(dns.Msg)
	if err := q.Unpack(query); err != nil {
		t.Error(err)
		return nil
	}
	a.SetReply(q)
	a.RecursionAvailable, a.Compress = true, true
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		a.Answer = append(a.Answer, rr)
	}
	if edit != nil {
		edit(a)
	}
	out, err := a.Pack()
	if err != nil {
		t.Error(err)
	}
	return out
}

// RFC 5452: what is not the answer to our question changes nothing, and the right answer after it still counts.
func TestForeignPackets(t *testing.T) {
	good := []string{"h.example. 60 IN MX 10 good.example."}
	evil := []string{"h.example. 60 IN MX 10 evil.example."}
	for name, forge := range map[string]func(q []byte) []byte{
		"another id": func(q []byte) []byte { return craft(t, q, evil, func(m *dns.Msg) { m.Id++ }) },
		"another question": func(q []byte) []byte {
			return craft(t, q, evil, func(m *dns.Msg) { m.Question[0].Name = "x.example." })
		},
		"another type":  func(q []byte) []byte { return craft(t, q, evil, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }) },
		"another class": func(q []byte) []byte { return craft(t, q, evil, func(m *dns.Msg) { m.Question[0].Qclass = 3 }) },
		"no question":   func(q []byte) []byte { return craft(t, q, evil, func(m *dns.Msg) { m.Question = nil }) },
		"two questions": func(q []byte) []byte {
			return craft(t, q, evil, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
		},
		"a query":          func(q []byte) []byte { return craft(t, q, evil, func(m *dns.Msg) { m.Response = false }) },
		"another opcode":   func(q []byte) []byte { return craft(t, q, evil, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }) },
		"the query itself": func(q []byte) []byte { return q },
		"junk":             func(q []byte) []byte { return []byte("junk") },
		"nothing":          func(q []byte) []byte { return []byte{} },
		"a bare NXDOMAIN":  func(q []byte) []byte { return craft(t, q, nil, func(m *dns.Msg) { m.Question = nil; m.Rcode = 3 }) },
	} {
		t.Run(name, func(t *testing.T) {
			s := resolvertest.Start(t)
			s.Raw(func(network string, q []byte) [][]byte {
				return [][]byte{forge(bytes.Clone(q)), craft(t, q, good, nil)}
			})
			got, err := s.Client().MX(t.Context(), "h.example")
			if err != nil || len(got) != 1 || got[0].Host != "good.example" {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// A flood of guesses moves the question to TCP, where they cannot follow (RFC 5452 §9.2).
func TestFlood(t *testing.T) {
	s := resolvertest.Start(t)
	s.Raw(func(network string, q []byte) [][]byte {
		if network == "tcp" {
			return [][]byte{craft(t, q, []string{"h.example. 60 IN MX 10 good.example."}, nil)}
		}
		var out [][]byte
		for i := range 40 {
			out = append(out, craft(t, q, []string{"h.example. 60 IN MX 10 evil.example."}, func(m *dns.Msg) { m.Id += uint16(i + 1) }))
		}
		return out
	})
	if got, err := s.Client().MX(t.Context(), "h.example"); err != nil || len(got) != 1 || got[0].Host != "good.example" {
		t.Errorf("%v, %v", got, err)
	}
}

// What does not hang on the question is not used, wherever it stands in the answer.
func TestOnlyWhatWasAsked(t *testing.T) {
	s := resolvertest.Start(t)
	s.Raw(func(network string, q []byte) [][]byte {
		return [][]byte{craft(t, q, []string{
			"other.example. 60 IN MX 10 evil.example.",
			"H.Example. 60 IN CNAME real.example.",
			"elsewhere.example. 60 IN MX 10 evil.example.",
			"real.example. 60 CH MX 10 evil.example.",
			"real.example. 60 IN A 192.0.2.66",
			"real.example. 60 IN MX 10 good.example.",
		}, nil)}
	})
	got, err := s.Client().MX(t.Context(), "h.example")
	if err != nil || len(got) != 1 || got[0].Host != "good.example" {
		t.Errorf("%v, %v", got, err)
	}
}

// None of these is an answer, and none is a denial.
func TestNoAnswer(t *testing.T) {
	record := []string{"h.example. 60 IN MX 10 m.example."}
	lying := func(q []byte, at int, n uint16) []byte {
		p := craft(t, q, record, nil)
		binary.BigEndian.PutUint16(p[at:], n)
		return p
	}
	ns, _ := dns.NewRR("example. 60 IN NS ns.example.")
	for name, answer := range map[string]func(q []byte) []byte{
		"more records promised": func(q []byte) []byte { return lying(q, 6, 3) },
		"more authority":        func(q []byte) []byte { return lying(q, 8, 2) },
		"more additional":       func(q []byte) []byte { return lying(q, 10, 9) },
		"cut in a record":       func(q []byte) []byte { p := craft(t, q, record, nil); return p[:len(p)-3] },
		"referral": func(q []byte) []byte {
			return craft(t, q, nil, func(m *dns.Msg) { m.Ns = []dns.RR{ns} })
		},
		"lame": func(q []byte) []byte { return craft(t, q, nil, func(m *dns.Msg) { m.RecursionAvailable = false }) },
		"lame NXDOMAIN": func(q []byte) []byte {
			return craft(t, q, nil, func(m *dns.Msg) { m.RecursionAvailable = false; m.Rcode = 3 })
		},
		"bare REFUSED":    func(q []byte) []byte { return craft(t, q, nil, func(m *dns.Msg) { m.Question = nil; m.Rcode = 5 }) },
		"strange code":    func(q []byte) []byte { return craft(t, q, record, func(m *dns.Msg) { m.Rcode = 14 }) },
		"FORMERR":         func(q []byte) []byte { return craft(t, q, nil, func(m *dns.Msg) { m.Rcode = 1 }) },
		"truncated twice": func(q []byte) []byte { return craft(t, q, record, func(m *dns.Msg) { m.Truncated = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			s := resolvertest.Start(t)
			s.Raw(func(network string, q []byte) [][]byte { return [][]byte{answer(q)} })
			c := s.Client()
			c.Timeout = 500 * time.Millisecond
			if got, err := c.MX(t.Context(), "h.example"); err == nil || errors.Is(err, resolver.ErrNotFound) || errors.Is(err, resolver.ErrNullMX) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// RFC 6891 §7: a server that does not know EDNS is asked without.
func TestWithoutEDNS(t *testing.T) {
	s := resolvertest.Start(t)
	s.Raw(func(network string, query []byte) [][]byte {
		q := new(dns.Msg)
		q.Unpack(query)
		if q.IsEdns0() != nil {
			return [][]byte{craft(t, query, nil, func(m *dns.Msg) { m.Question = nil; m.Rcode = dns.RcodeFormatError })}
		}
		return [][]byte{craft(t, query, []string{"h.example. 60 IN MX 10 m.example."}, nil)}
	})
	if got, err := s.Client().MX(t.Context(), "h.example"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// RFC 6891 §6.2.5, RFC 5452 §9: we say 1232; ids differ, and each query has a port of its own (the socket is new).
func TestQueries(t *testing.T) {
	s := resolvertest.Start(t)
	var mu sync.Mutex
	ids := make(map[uint16]bool)
	s.Raw(func(network string, query []byte) [][]byte {
		q := new(dns.Msg)
		if err := q.Unpack(query); err != nil || q.IsEdns0() == nil || q.IsEdns0().UDPSize() != 1232 || !q.RecursionDesired {
			t.Errorf("query %v: %v", q, err)
		}
		mu.Lock()
		ids[q.Id] = true
		mu.Unlock()
		return [][]byte{craft(t, query, nil, nil)}
	})
	c := s.Client()
	for range 20 {
		if _, err := c.MX(t.Context(), "h.example"); !errors.Is(err, resolver.ErrNotFound) {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) < 18 {
		t.Errorf("%d ids in 20 queries", len(ids))
	}
}
