package storetest

import (
	"errors"
	"slices"
	"testing"

	"carepost/internal/store"
)

// announcement: what was signed last counts, for one domain of ours, one address and one certificate.
func announcement(t *testing.T, s *store.Store) {
	lee := address(t, "Lee@h.example")
	a := store.Announcement{Domain: "a.example", Partner: lee, Certificate: []byte("cert"), Said: []string{"AES-256-GCM", "AES-256-CBC"}, Signed: at("2026-11-21T00:00:00Z")}
	told := func(what string, a store.Announcement, want []string) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			said, known, err := tx.Announced(a.Domain, a.Partner, a.Certificate)
			if !slices.Equal(said, want) || known != (want != nil) {
				t.Errorf("%s: %q, %v; want %q", what, said, known, want)
			}
			return err
		}))
	}
	told("before", a, nil)
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.Announce(a), tx.Announce(a)) })
	told("after", a, a.Said)
	older, newer := a, a
	older.Said, older.Signed = []string{"AES-128-CBC"}, at("2026-11-20T00:00:00Z")
	do(t, s, func(tx *store.Tx) error { return tx.Announce(older) })
	told("an older one came late", a, a.Said)
	newer.Said, newer.Signed = []string{}, at("2026-11-22T00:00:00Z")
	do(t, s, func(tx *store.Tx) error { return tx.Announce(newer) })
	told("nothing any more", a, []string{})
	for what, edit := range map[string]func(*store.Announcement){
		"another domain":      func(a *store.Announcement) { a.Domain = "b.example" },
		"another address":     func(a *store.Announcement) { a.Partner = address(t, "lab@h.example") },
		"another certificate": func(a *store.Announcement) { a.Certificate = []byte("other") },
	} {
		other := a
		edit(&other)
		told(what, other, nil)
	}
	same := a
	same.Partner = address(t, "LEE@h.example")
	told("case of the address", same, []string{})
}
