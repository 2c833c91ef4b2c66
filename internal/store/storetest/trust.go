package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// evaluation: what was said of an anchor is read as written, and said anew.
func evaluation(t *testing.T, s *store.Store) {
	north := store.Owner{Domain: "north.example"}
	said := store.Evaluation{Assured: "persons shown their passports", Policies: []string{"2.5.29.32.0"}, By: "security officer", At: at("2026-11-21T00:00:00Z"), Review: at("2027-11-21T00:00:00Z")}
	plain := store.Anchor{Owner: north, Direction: transit.Outbound, DER: []byte("other")}
	a := store.Anchor{Owner: north, Direction: transit.Inbound, DER: []byte("root"), Evaluation: &said}
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.InsertAnchor(&a), tx.InsertAnchor(&plain)) })
	read := func() *store.Evaluation {
		t.Helper()
		var got []store.Anchor
		must(t, s.View(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.EvaluatedAnchors(); return err }))
		if len(got) != 1 || got[0].ID != a.ID || got[0].Owner != north || got[0].Evaluation == nil {
			t.Fatalf("%+v", got)
		}
		return got[0].Evaluation
	}
	same := func(got *store.Evaluation, want store.Evaluation) {
		t.Helper()
		if got.Assured != want.Assured || !slices.Equal(got.Policies, want.Policies) || got.By != want.By || !got.At.Equal(want.At) || !got.Review.Equal(want.Review) || got.Warned != want.Warned {
			t.Errorf("%+v", got)
		}
	}
	same(read(), said)
	next := said
	next.Assured, next.Warned = "as before", 2
	do(t, s, func(tx *store.Tx) error { return tx.EvaluateAnchor(a.ID, &next) })
	same(read(), next)
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { return tx.EvaluateAnchor("nobody", &next) })
}

// bundle: its certificates are anchors of its owner in its direction, and go with it.
func bundle(t *testing.T, s *store.Store) {
	north, lab := store.Owner{Domain: "north.example"}, store.Owner{Address: address(t, "lab@north.example")}
	in := store.Bundle{Name: "network", Owner: north, Direction: transit.Inbound, Detail: store.BundleDetail{URL: "http://x.example/b.p7b", Every: time.Hour, Shrink: 33}}
	both := store.Bundle{Name: "all", Owner: lab}
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertBundle(&in), tx.InsertBundle(&both), tx.AddBundleAnchor(in.ID, []byte("a")), tx.AddBundleAnchor(in.ID, []byte("b")),
			tx.AddBundleAnchor(in.ID, []byte("a")), tx.AddBundleAnchor(both.ID, []byte("a")))
	})
	twin := new(store.Duplicate)
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertBundle(&store.Bundle{Name: "network", Owner: lab}) }); !errors.As(err, &twin) || twin.First != in.ID {
		t.Errorf("a second of that name: %v", err)
	}
	count := func(o store.Owner, d transit.Direction, want int) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			got, err := tx.Anchors(o, d)
			if len(got) != want {
				t.Errorf("%v %v: %+v", o, d, got)
			}
			for _, a := range got {
				if a.Owner != o || a.Direction != d || a.Bundle == "" || a.ID == "" || a.Added.IsZero() {
					t.Errorf("%+v", a)
				}
			}
			return err
		}))
	}
	count(north, transit.Inbound, 2)
	count(north, transit.Outbound, 0)
	count(lab, transit.Inbound, 1)
	count(lab, transit.Outbound, 1)
	in.Detail.Alarm, in.Detail.Next = "it was empty", at("2026-11-22T00:00:00Z")
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.SetBundle(in.ID, in.Detail), tx.DropBundleAnchor(in.ID, []byte("a")), tx.RemoveBundle(both.ID))
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Bundle("network")
		ders, err2 := tx.BundleAnchors(in.ID)
		list, err3 := tx.Bundles()
		if got.Detail.Alarm != "it was empty" || got.Detail.URL != in.Detail.URL || !got.Detail.Next.Equal(in.Detail.Next) || got.Owner != north || len(ders) != 1 || string(ders[0]) != "b" || len(list) != 1 {
			t.Errorf("%+v, %q, %+v", got, ders, list)
		}
		return errors.Join(err, err2, err3)
	}))
	count(lab, transit.Inbound, 0)
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { return tx.SetBundle(both.ID, both.Detail) })
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { return tx.RemoveBundle(both.ID) })
}

// pin: one for an owner and an address, in any case; the newest counts.
func pin(t *testing.T, s *store.Store) {
	north, lab := store.Owner{Domain: "north.example"}, store.Owner{Address: address(t, "lab@north.example")}
	lee := address(t, "Lee@south.example")
	put := func(o store.Owner, a addr.Address, der string) (p store.Pin) {
		t.Helper()
		p = store.Pin{Owner: o, Address: a, DER: []byte(der), Vouched: "by telephone", By: "operator:0", Source: "file"}
		do(t, s, func(tx *store.Tx) error { return tx.PutPin(&p) })
		return p
	}
	put(north, lee, "one")
	two := put(north, address(t, "LEE@south.example"), "two")
	put(lab, lee, "three")
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Pins(north)
		if len(got) != 1 || got[0].ID != two.ID || string(got[0].DER) != "two" || !got[0].Address.Equal(lee) || got[0].Owner != north || got[0].Vouched != "by telephone" ||
			got[0].By != "operator:0" || got[0].Source != "file" || got[0].Added.IsZero() {
			t.Errorf("%+v", got)
		}
		every, err2 := tx.AllPins()
		if len(every) != 2 {
			t.Errorf("%+v", every)
		}
		return errors.Join(err, err2)
	}))
	do(t, s, func(tx *store.Tx) error { return tx.RemovePin(two.ID) })
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { return tx.RemovePin(two.ID) })
}

// contact: noted once for a recipient, newest first, gone with the message.
func contact(t *testing.T, s *store.Store) {
	m := store.Message{Direction: transit.Inbound, Kind: transit.Mail}
	a, b := store.Recipient{Address: address(t, "lab@north.example")}, store.Recipient{Address: address(t, "desk@north.example")}
	do(t, s, func(tx *store.Tx) error {
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		a.Message, b.Message = m.ID, m.ID
		if err := errors.Join(tx.InsertRecipient(&a), tx.InsertRecipient(&b)); err != nil {
			return err
		}
		lee := address(t, "lee@south.example")
		one := store.Contact{Recipient: a.ID, Message: m.ID, Sender: lee, To: a.Address, DER: []byte("c")}
		two := store.Contact{Recipient: b.ID, Message: m.ID, Sender: lee, To: b.Address, DER: []byte("d")}
		return errors.Join(tx.PutContact(one), tx.PutContact(one), tx.PutContact(two))
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.Contacts(1)
		if len(list) != 1 || list[0].Recipient != b.ID {
			t.Errorf("%+v", list)
		}
		got, err2 := tx.Contact(a.ID)
		if got.Message != m.ID || string(got.DER) != "c" || got.To != a.Address || got.Sender.String() != "lee@south.example" || got.At.IsZero() {
			t.Errorf("%+v", got)
		}
		return errors.Join(err, err2)
	}))
	do(t, s, func(tx *store.Tx) error { return tx.RemoveContact(a.ID) })
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { _, err := tx.Contact(a.ID); return err })
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { return tx.RemoveContact(a.ID) })
	do(t, s, func(tx *store.Tx) error { return tx.RemoveContacts(m.ID) })
	gone(t, s, store.ErrNotFound, func(tx *store.Tx) error { return tx.RemoveContact(b.ID) })
}

func gone(t *testing.T, s *store.Store, want error, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), fn); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}
