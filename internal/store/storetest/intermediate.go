package storetest

import (
	"crypto/sha256"
	"testing"

	"carepost/internal/store"
)

// intermediate: kept once each, listed in the order in which they came, forgotten by digest.
func intermediate(t *testing.T, s *store.Store) {
	put := func(text string, want bool) {
		t.Helper()
		do(t, s, func(tx *store.Tx) error {
			added, err := tx.PutIntermediate(store.Intermediate{DER: []byte(text), Source: "file " + text})
			if added != want {
				t.Errorf("%s: added %v, want %v", text, added, want)
			}
			return err
		})
	}
	listed := func(want ...string) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			got, err := tx.Intermediates()
			if len(got) != len(want) {
				t.Fatalf("%d listed, want %d", len(got), len(want))
			}
			for i, g := range got {
				if string(g.DER) != want[i] || g.Source != "file "+want[i] || g.Added.IsZero() {
					t.Errorf("%d: %+v, want %s", i, g, want[i])
				}
			}
			return err
		}))
	}
	listed()
	put("one", true)
	put("one", false)
	listed("one")
	do(t, s, func(tx *store.Tx) error { return tx.RemoveIntermediate(sha256.Sum256([]byte("one"))) })
	listed()
	must(t, s.Tx(t.Context(), func(tx *store.Tx) error {
		if err := tx.RemoveIntermediate(sha256.Sum256([]byte("one"))); err != store.ErrNotFound {
			t.Errorf("removed twice: %v", err)
		}
		return nil
	}))
}
