package store

import (
	"errors"
	"testing"

	"carepost/addr"
	"carepost/internal/transit"
)

// Whoever has the rows without the KEK does not see that two messages are for one person, nor whose a key is.
func TestRowsDoNotTell(t *testing.T) {
	s := openTest(t, t.TempDir())
	lee := addr.Address{Endpoint: "lee", Domain: "h.example"}
	public := []byte("as published")
	err := s.Tx(t.Context(), func(tx *Tx) error {
		errs := []error{tx.InsertDomain("h.example")}
		_, err := tx.InsertAccount(lee)
		errs = append(errs, err, tx.InsertPrivateKey(PrivateKey{ID: "k", Public: public, Wrapped: []byte{1}}))
		for range 2 {
			m := Message{Direction: transit.Inbound, Kind: transit.Mail}
			errs = append(errs, tx.InsertMessage(&m), tx.InsertRecipient(&Recipient{Message: m.ID, Address: lee}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), func(tx *Tx) error {
		var recipients, accounts, keys int
		err := tx.one(`SELECT COUNT(DISTINCT addr_hash) FROM recipient`, nil, &recipients)
		err2 := tx.one(`SELECT COUNT(*) FROM recipient r JOIN account a ON a.addr_hash = r.addr_hash`, nil, &accounts)
		err3 := tx.one(`SELECT COUNT(*) FROM privkey WHERE instr(public, $1) > 0`, []any{public}, &keys)
		if recipients != 2 || accounts != 0 || keys != 0 {
			t.Errorf("%d different recipients, %d accounts found by them, %d keys in clear", recipients, accounts, keys)
		}
		return errors.Join(err, err2, err3)
	}); err != nil {
		t.Fatal(err)
	}
}
