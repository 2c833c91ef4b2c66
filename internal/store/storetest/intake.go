package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"carepost/internal/store"
)

// intake: a group has one open study, objects join it once, and it ends once.
func intake(t *testing.T, s *store.Store) {
	b1, b2 := body(t, s), body(t, s)
	i := store.Intake{Group: "study 1 of CT1", Detail: json.RawMessage(`{"a":1}`)}
	do(t, s, func(tx *store.Tx) error {
		if _, err := tx.JoinIntake(i.Group, 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("joined %v", err)
		}
		return tx.InsertIntake(&i)
	})
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertIntake(&store.Intake{Group: i.Group, Detail: i.Detail}) }), store.ErrDuplicate)
	for _, id := range []string{b1, b2} {
		do(t, s, func(tx *store.Tx) error {
			joined, err := tx.JoinIntake(i.Group, 2)
			if err != nil || joined.ID != i.ID || string(joined.Detail) != `{"a":1}` {
				t.Errorf("%+v, %v", joined, err)
			}
			o := store.IntakeObject{Intake: i.ID, Same: "object " + id, Blob: id, Size: 10, Detail: json.RawMessage(`{"n":"` + id + `"}`)}
			return tx.InsertIntakeObject(&o)
		})
	}
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertIntakeObject(&store.IntakeObject{Intake: i.ID, Same: "object " + b2, Detail: i.Detail})
	}), store.ErrDuplicate)
	look := func(states ...store.IntakeState) (out []string) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Intakes("", 10, states...)
			for _, x := range list {
				out = append(out, string(x.State))
				if x.Objects != 2 || x.Bytes != 20 || x.First.IsZero() || x.Last.Before(x.First) {
					t.Errorf("%+v", x)
				}
			}
			return err
		}))
		return out
	}
	if got := look(store.IntakeOpen, store.IntakeHeld); !slices.Equal(got, []string{"open"}) || len(look(store.IntakeSent)) != 0 {
		t.Errorf("%v", got)
	}
	objects := func() (blobs []string) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.IntakeObjects(i.ID, 0, 10)
			for n, o := range list {
				blobs = append(blobs, o.Blob)
				if o.Seq != int64(n+1) || o.Size != 10 || string(o.Detail) != `{"n":"`+o.Blob+`"}` && o.Blob != "" {
					t.Errorf("%+v", o)
				}
			}
			return err
		}))
		return blobs
	}
	if got := objects(); !slices.Equal(got, []string{b1, b2}) {
		t.Errorf("%v", got)
	}
	// The bodies are referred to as long as the study waits.
	do(t, s, func(tx *store.Tx) error {
		killed, err := tx.KillUnreferred(b1)
		if killed {
			t.Error("killed under a study")
		}
		return err
	})
	do(t, s, func(tx *store.Tx) error {
		return tx.MoveIntake(i.ID, store.IntakeOpen, store.IntakeClosing, json.RawMessage(`{"a":2}`))
	})
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.MoveIntake(i.ID, store.IntakeOpen, store.IntakeClosing, i.Detail) }), store.ErrConflict)
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertIntakeObject(&store.IntakeObject{Intake: i.ID, Same: "late", Detail: i.Detail})
	}), store.ErrNotFound)
	next := store.Intake{Group: i.Group, Detail: json.RawMessage(`{}`)}
	do(t, s, func(tx *store.Tx) error { return tx.InsertIntake(&next) })
	do(t, s, func(tx *store.Tx) error {
		if studies, held, n, bytes, err := tx.IntakeLoad(); err != nil || studies != 2 || held != 0 || n != 2 || bytes != 20 {
			t.Errorf("%d studies, %d objects, %d bytes, %v", studies, n, bytes, err)
		}
		if err := tx.MoveIntake(i.ID, store.IntakeClosing, store.IntakeSent, json.RawMessage(`{"a":3}`)); err != nil {
			return err
		}
		return tx.EmptyIntake(i.ID)
	})
	if got := objects(); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("%v", got)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		before, err := tx.IntakeBefore(i.Group)
		with, werr := tx.IntakesWith("object " + b1)
		if before.ID != i.ID || string(before.Detail) != `{"a":3}` || before.Done.IsZero() || len(with) != 1 || with[0].ID != i.ID || werr != nil {
			t.Errorf("%+v, %+v, %v", before, with, werr)
		}
		_, gone := tx.Blob(b1)
		want(t, gone, store.ErrNotFound)
		return err
	}))
	for range 2 {
		do(t, s, func(tx *store.Tx) error { return tx.ForgetIntake(next.ID, true) }) // it is open: nothing goes
		do(t, s, func(tx *store.Tx) error { return tx.ForgetIntake(i.ID, false) })
	}
	if got := objects(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	do(t, s, func(tx *store.Tx) error { return tx.ForgetIntake(i.ID, true) })
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Intake(i.ID)
		want(t, err, store.ErrNotFound)
		_, err = tx.Intake(next.ID)
		return err
	}))
}
