package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"carepost/internal/store"
)

// status: kept under a name, replaced by what is newer, bounded, and forgotten when nobody uses it. DIR-33.
func status(t *testing.T, s *store.Store) {
	day := at("2026-11-21T00:00:00Z")
	one := store.Status{Name: []byte("r"), URL: "http://h.example/r.crl", Issuer: []byte("R"), Body: []byte("list"), Fetched: day, Next: day.Add(time.Hour), Used: day}
	answer := one
	answer.Name, answer.Subject, answer.Used = []byte("r 1"), []byte("leaf"), day.Add(time.Minute)
	read := func(name string) (got store.Status, err error) {
		verr := s.View(t.Context(), func(tx *store.Tx) error { got, err = tx.Status([]byte(name)); return nil })
		return got, errors.Join(verr, err)
	}
	if _, err := read("r"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.SaveStatus(one), tx.SaveStatus(answer)) })
	one.Body, one.Next = []byte("newer list"), day.Add(2*time.Hour)
	do(t, s, func(tx *store.Tx) error { return tx.SaveStatus(one) })
	got, err := read("r")
	must(t, err)
	if got.URL != one.URL || string(got.Issuer) != "R" || got.Subject != nil || string(got.Body) != "newer list" || !got.Next.Equal(one.Next) || !got.Fetched.Equal(day) {
		t.Errorf("%+v", got)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.StatusesUsed(day, 10)
		if len(all) != 2 || string(all[0].Subject) != "leaf" {
			t.Errorf("%d statuses", len(all))
		}
		return err
	}))
	do(t, s, func(tx *store.Tx) error { // 36 MiB of which 32 stay, the latest used
		for i := range 36 {
			big := store.Status{Name: fmt.Append(nil, "big", i), Body: bytes.Repeat([]byte{byte(i)}, 1<<20), Used: day.Add(time.Duration(i+1) * time.Hour)}
			if err := tx.SaveStatus(big); err != nil {
				return err
			}
		}
		return nil
	})
	for name, there := range map[string]bool{"r": false, "big3": false, "big4": true, "big35": true} {
		if _, err := read(name); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	do(t, s, func(tx *store.Tx) error {
		n, err := tx.DropStatuses(day.Add(36 * time.Hour))
		if n != 31 {
			t.Errorf("%d were forgotten", n)
		}
		return err
	})
}
