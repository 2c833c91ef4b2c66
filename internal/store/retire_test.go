package store_test

import (
	"errors"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// DIR-06: a certificate that is used no more stays, with its key.
func TestRetireCert(t *testing.T) { retire(t, storetest.SQLite(t)) }

func retire(t *testing.T, s *store.Store) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	owner := store.Owner{Domain: "h.example"}
	c := store.Cert{Owner: owner, Key: "key", DER: []byte("cert"), NotBefore: end.AddDate(-1, 0, 0), NotAfter: end}
	err := s.Tx(t.Context(), func(tx *store.Tx) error {
		c.ID = ""
		return errors.Join(tx.InsertPrivateKey(store.PrivateKey{ID: "key", Public: []byte{1}, Wrapped: []byte{2}}), tx.InsertCert(&c))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ at, want time.Time }{
		{end.AddDate(0, 1, 0), end}, // it ends before that
		{end.AddDate(0, -1, 0), end.AddDate(0, -1, 0).Add(-time.Millisecond)},
		{end.AddDate(0, 0, -1), end.AddDate(0, -1, 0).Add(-time.Millisecond)},
	} {
		if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.RetireCert(c.ID, step.at) }); err != nil {
			t.Fatal(err)
		}
		err := s.View(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Certs(owner)
			if len(rows) != 1 || !rows[0].NotAfter.Equal(step.want) || string(rows[0].DER) != "cert" || rows[0].Key != "key" {
				t.Errorf("retired at %v: %+v, want %v", step.at, rows, step.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.RetireCert("none", end) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown row: %v", err)
	}
}
