package storetest

import (
	"sync"
	"testing"
	"time"

	"carepost/internal/store"
)

// remembered: the four certificates that signed last, of one address, for one domain of ours.
func remembered(t *testing.T, s *store.Store) {
	lee, start := address(t, "Lee@h.example"), at("2026-11-21T00:00:00Z")
	keep := func(name string, day int) {
		do(t, s, func(tx *store.Tx) error {
			return tx.Remember("a.example", lee, store.Remembered{DER: []byte(name), Signed: start.Add(time.Duration(day) * 24 * time.Hour)})
		})
	}
	want := func(what, domain, who, names string) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Remembered(address(t, "x@"+domain).Domain, address(t, who))
			got := ""
			for _, r := range list {
				got += string(r.DER)
			}
			if got != names {
				t.Errorf("%s: %q, want %q", what, got, names)
			}
			return err
		}))
	}
	want("before", "a.example", "lee@h.example", "")
	for i, name := range []string{"A", "B", "C", "A", "D"} {
		keep(name, i)
	}
	want("the last first", "a.example", "LEE@h.example", "DACB")
	keep("C", 0)
	want("an older one came late", "a.example", "lee@h.example", "DACB")
	keep("E", 9)
	want("four", "a.example", "lee@h.example", "EDAC")
	var wg sync.WaitGroup
	for i, name := range []string{"S", "T", "U", "V"} { // messages of a new partner that come at once
		wg.Go(func() {
			err := s.Tx(t.Context(), func(tx *store.Tx) error {
				return tx.Remember("a.example", address(t, "new@h.example"), store.Remembered{DER: []byte(name), Signed: start.Add(time.Duration(9-i) * time.Hour)})
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	want("all at once", "a.example", "new@h.example", "STUV")
	want("another domain of ours", "b.example", "lee@h.example", "")
	want("another address", "a.example", "lab@h.example", "")
}
