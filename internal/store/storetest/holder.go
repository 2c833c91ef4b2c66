package storetest

import (
	"errors"
	"testing"

	"carepost/internal/store"
)

// Who keeps mail for an address: its account, or that of the address without its tag; nobody where an account was closed.
func holder(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	open := map[string]store.Account{}
	for _, a := range []string{"lee@h.example", "lab+night@h.example", "lab@h.example", "gone+old@h.example", "gone@h.example", "away@h.example"} {
		do(t, s, func(tx *store.Tx) (err error) { open[a], err = tx.InsertAccount(address(t, a)); return err })
	}
	for _, a := range []string{"gone+old@h.example", "away@h.example"} {
		do(t, s, func(tx *store.Tx) error { return tx.CloseAccount(open[a].ID) })
	}
	for of, want := range map[string]string{
		"lee@h.example": "lee@h.example", "LEE@h.example": "lee@h.example",
		"lee+urgent@h.example": "lee@h.example", "Lee+A+b@h.example": "lee@h.example", "lee+@h.example": "lee@h.example",
		"lab+night@h.example": "lab+night@h.example", "LAB+Night@h.example": "lab+night@h.example", // an account of its own
		"lab+night+x@h.example": "lab@h.example", "lab+day@h.example": "lab@h.example",
		"gone@h.example": "gone@h.example", "gone+old@h.example": "", // its mail is not another's
		"away@h.example": "", "away+x@h.example": "", "+lee@h.example": "", "lee+x@b.example": "", "le+e@h.example": "",
		`"lee+two words"@h.example`: "lee@h.example", `"+"@h.example`: "", "lee-x@h.example": "",
	} {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			got, err := tx.Holder(address(t, of))
			switch {
			case want == "" && !errors.Is(err, store.ErrNotFound):
				t.Errorf("%s is kept by %s, %v", of, got.Address, err)
			case want != "" && (err != nil || got.ID != open[want].ID):
				t.Errorf("%s is kept by %s, %v; want %s", of, got.Address, err, want)
			}
			return nil
		}))
	}
}
