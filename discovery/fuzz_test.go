package discovery

import (
	"context"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/resolver"
	"carepost/trust/certtest"
)

type echo struct{}

func (echo) Fetch(_ context.Context, url string, max int64) ([]byte, error) { return []byte(url), nil }

// Records come from strangers: whatever they hold is read without panic, and only what is bound to the address is taken.
func FuzzRecord(f *testing.F) {
	pair := certtest.NewCA(f, "Trial CA").Issue(f, "lab@h.example", certtest.Key(certtest.ECDSA(f)))
	f.Add(uint16(1), pair.Certificate.Raw)
	f.Add(uint16(4), []byte("http://h.example/x.cer"))
	f.Add(uint16(253), []byte("https://h.example/x.cer\x00private"))
	f.Add(uint16(0), []byte{})
	lab := addr.Address{Endpoint: "lab", Domain: "h.example"}
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		h := haul{Finder: &Finder{Fetcher: echo{}}, answer: &answer{}}
		h.record(t.Context(), resolver.CERT{Type: kind, Data: data})
		h.record(t.Context(), resolver.CERT{Type: kind, Data: data})
		if mine, _, outcome := h.of(lab); len(h.certs) > 1 || len(mine) > len(h.certs) || outcome == "" {
			t.Fatalf("%d found: %q", len(h.certs), outcome)
		}
	})
}

// Local parts come from strangers too: their names hold nothing that a zone file or a terminal would take amiss.
func FuzzName(f *testing.F) {
	for _, s := range []string{"lab", "o'neil", "a b", "*", "..", "$x;(\")@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := Name(addr.Address{Endpoint: s, Domain: "h.example"})
		if err != nil || s == "" {
			return
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.\\") != "" || !strings.HasSuffix(name, ".h.example") {
			t.Fatalf("%q → %q", s, name)
		}
	})
}
