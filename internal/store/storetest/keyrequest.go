package storetest

import (
	"errors"
	"testing"

	"carepost/internal/store"
)

// keyRequest: one wait for each owner, use and kind; the key goes with it unless a certificate has it.
func keyRequest(t *testing.T, s *store.Store) {
	lab := store.Owner{Address: address(t, "Lab@h.example")}
	for _, id := range []string{"a", "b", "c"} {
		do(t, s, func(tx *store.Tx) error {
			return tx.InsertPrivateKey(store.PrivateKey{ID: id, Public: []byte(id), Wrapped: s.Box().Seal("privkey.wrapped", id, []byte("private"))})
		})
	}
	a := store.KeyRequest{Owner: lab, Key: "a", Uses: "both", Kind: "RSA 2048"}
	b := store.KeyRequest{Owner: lab, Key: "b", Uses: "sign", Kind: "RSA 2048"}
	c := store.KeyRequest{Owner: store.Owner{Domain: "h.example"}, Key: "c", Uses: "both", Kind: "RSA 2048"}
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertKeyRequest(&a), tx.InsertKeyRequest(&b), tx.InsertKeyRequest(&c),
			tx.InsertCert(&store.Cert{Owner: lab, Key: "b", DER: []byte("cert")}))
	})
	again := a
	again.ID = ""
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertKeyRequest(&again) }), store.ErrDuplicate)
	count := func(owner store.Owner, n, all int) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			of, err := tx.KeyRequests(owner)
			every, err2 := tx.AllKeyRequests()
			if len(of) != n || len(every) != all {
				t.Errorf("%d of the owner and %d in all, want %d and %d", len(of), len(every), n, all)
			}
			for _, r := range of {
				if r.Owner != owner && !r.Owner.Address.Equal(owner.Address) || r.Created.IsZero() {
					t.Errorf("%+v", r)
				}
			}
			return errors.Join(err, err2)
		}))
	}
	count(store.Owner{Address: address(t, "lab@h.example")}, 2, 3)
	count(c.Owner, 1, 3)
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.DropKeyRequest(a.ID), tx.DropKeyRequest(b.ID)) })
	count(lab, 0, 1)
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.DropKeyRequest(a.ID) }), store.ErrNotFound)
	do(t, s, func(tx *store.Tx) error { return tx.AnswerKeyRequests("c") })
	count(c.Owner, 0, 0)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PrivateKey("a")
		want(t, err, store.ErrNotFound)
		for _, id := range []string{"b", "c"} {
			if _, err := tx.PrivateKey(id); err != nil {
				t.Errorf("key %s: %v", id, err)
			}
		}
		return nil
	}))
}
