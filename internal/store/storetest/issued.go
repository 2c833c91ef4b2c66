package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/transit"
)

// issued: what an authority has issued is found by serial number and by fingerprint, within its domain only.
func issued(t *testing.T, s *store.Store) {
	der := []byte("certificate of lee")
	sum := sha256.Sum256(der)
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertIssued("h.example", big.NewInt(77), der), tx.InsertIssued("h.example", big.NewInt(77), []byte("another")),
			tx.InsertIssued("h.example", big.NewInt(78), []byte("second")), tx.InsertIssued("b.example", big.NewInt(77), []byte("of another authority")))
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		a, err := tx.Issued("h.example", big.NewInt(77))
		b, err2 := tx.IssuedByFingerprint("h.example", sum[:])
		list, err3 := tx.AllIssued("h.example", 10)
		if !bytes.Equal(a, der) || !bytes.Equal(b, der) || len(list) != 2 || string(list[1]) != "second" {
			t.Errorf("found %q, %q, %q", a, b, list)
		}
		_, none := tx.Issued("h.example", big.NewInt(79))
		want(t, none, store.ErrNotFound)
		_, none = tx.IssuedByFingerprint("b.example", sum[:])
		want(t, none, store.ErrNotFound)
		return errors.Join(err, err2, err3)
	}))
}

// writtenWith: the domains that something was sealed for, each once, and only lately.
func writtenWith(t *testing.T, s *store.Store) {
	m, rs := accepted(t, s, "a@c.example", "b@b.example", "c@b.example")
	blob := body(t, s)
	for _, r := range rs {
		do(t, s, func(tx *store.Tx) error {
			return tx.InsertDelivery(&store.Delivery{Message: m.ID, Domain: r.Address.Domain, Blob: blob}, r.ID)
		})
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		now, err := tx.WrittenWith(tx.Now().Add(-time.Hour), 10)
		none, err2 := tx.WrittenWith(tx.Now().Add(time.Hour), 10)
		one, err3 := tx.WrittenWith(time.Time{}, 1)
		if got := fmt.Sprint(now, none, one); got != "[b.example c.example] [] [b.example]" {
			t.Errorf("written with %s", got)
		}
		return errors.Join(err, err2, err3)
	}))
}

// anchorsOfAll: each certificate once, whoever trusts it for whatever.
func anchorsOfAll(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertDomain("h.example"),
			tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Domain: "h.example"}, Direction: transit.Inbound, DER: []byte("one")}),
			tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Domain: "h.example"}, Direction: transit.Outbound, DER: []byte("one")}),
			tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Address: address(t, "a@h.example")}, Direction: transit.Outbound, DER: []byte("two")}))
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.AllAnchors()
		if got := fmt.Sprintf("%s", all); got != "[one two]" {
			t.Errorf("anchors %s", got)
		}
		return err
	}))
}
