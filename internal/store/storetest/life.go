package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// life: a body is live, dead, gone; and nobody can bring a row under a file that is being swept.
func life(t *testing.T, s *store.Store) {
	file, small := newBody(s, time.Now(), true), newBody(s, time.Now(), false)
	for _, b := range []store.Blob{file, small} {
		do(t, s, func(tx *store.Tx) error { return tx.InsertBlob(b) })
	}
	dead := func(before time.Time) (ids []string) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.DeadBlobs(before, 10)
			ids = nil
			for _, b := range list {
				ids = append(ids, b.ID)
				if b.ID == file.ID && (b.Key != file.Key || !reflect.DeepEqual(b.WrappedDEK, file.WrappedDEK)) || b.Inline != nil {
					t.Errorf("dead: %+v", b)
				}
			}
			return err
		}))
		return ids
	}
	known := func() bool {
		var m map[string]bool
		must(t, s.View(t.Context(), func(tx *store.Tx) (err error) {
			keys := []string{"", "b/none", file.Key}
			for range 120 {
				keys = append(keys, "b/2026/11/21/10/"+vault.NewID(time.Now()))
			}
			m, err = tx.KnownKeys(keys)
			return err
		}))
		if len(m) > 1 || len(m) == 1 && !m[file.Key] {
			t.Errorf("known: %v", m)
		}
		return m[file.Key]
	}
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SweepBlob(file.ID) }), store.ErrConflict)
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SweepBlob("none") }), store.ErrNotFound)
	if len(dead(time.Now().Add(time.Hour))) != 0 || !known() {
		t.Error("a live body")
	}
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.KillBlob(file.ID), tx.KillBlob(small.ID)) })
	if len(dead(time.Now().Add(-time.Hour))) != 0 || len(dead(time.Now().Add(time.Hour))) != 2 || !known() {
		t.Error("dead bodies")
	}
	for range 2 { // twice is harmless
		do(t, s, func(tx *store.Tx) error { return errors.Join(tx.SweepBlob(file.ID), tx.SweepBlob(small.ID)) })
	}
	if len(dead(time.Now().Add(time.Hour))) != 0 || known() {
		t.Error("bodies that are gone")
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		live, err := tx.LiveBlobs("", 10)
		if len(live) != 0 {
			t.Errorf("live: %+v", live)
		}
		return err
	}))

	for name, b := range map[string]store.Blob{
		"12 hours old": newBody(s, time.Now().Add(-12*time.Hour-time.Minute), true), "no ULID": {ID: "1", Key: "b/1", KID: s.Box().KID()},
		"unknown key": {ID: "1", KID: "00000000", WrappedDEK: small.WrappedDEK, Inline: []byte{1}},
	} {
		err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertBlob(b) })
		if err == nil || (name == "12 hours old") != errors.Is(err, store.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	do(t, s, func(tx *store.Tx) error { return tx.InsertBlob(newBody(s, time.Now().Add(-11*time.Hour), true)) })
}

// referred: whose bodies are, and what is left over.
func referred(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	raw, opened, sealed, read, lost, dead := body(t, s), body(t, s), body(t, s), body(t, s), body(t, s), body(t, s)
	var box store.Mailbox
	var mail store.Mail
	do(t, s, func(tx *store.Tx) error {
		m := store.Message{Direction: transit.Inbound, Kind: transit.Mail, Raw: raw}
		err := tx.InsertMessage(&m)
		a, err2 := tx.InsertAccount(address(t, "lab@h.example"))
		box, _ = tx.EnsureMailbox(a.ID, "INBOX")
		mail = store.Mail{Mailbox: box.ID, Blob: read, Subject: "Befund"}
		_, err3 := tx.AppendMail(&mail)
		return errors.Join(err, err2, err3, tx.SetMessageWork(m.ID, opened), tx.KillBlob(dead),
			tx.InsertDelivery(&store.Delivery{Message: m.ID, Domain: "b.example", Blob: sealed}))
	})
	unreferred := func(before time.Time, limit int) (ids []string) {
		must(t, s.View(t.Context(), func(tx *store.Tx) (err error) { ids, err = tx.UnreferredBlobs(before, limit); return err }))
		return ids
	}
	later := time.Now().Add(time.Hour)
	if got := unreferred(later, 10); !slices.Equal(got, []string{lost}) {
		t.Errorf("unreferred: %v, want %v", got, lost)
	}
	if got := unreferred(time.Now().Add(-time.Hour), 10); len(got) != 0 {
		t.Errorf("unreferred and old: %v", got)
	}
	var removed store.Mail
	do(t, s, func(tx *store.Tx) (err error) { removed, err = tx.RemoveMail(box.ID, mail.UID); return err })
	if removed.Subject != "Befund" || removed.Blob != read {
		t.Errorf("removed %+v", removed)
	}
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.RemoveMail(box.ID, mail.UID); return err }), store.ErrNotFound)
	if got := unreferred(later, 10); !slices.Equal(got, sorted(read, lost)) {
		t.Errorf("unreferred: %v, want %v and %v", got, read, lost)
	}
	if got := unreferred(later, 1); len(got) != 1 {
		t.Errorf("at most one: %v", got)
	}
	for _, id := range []string{raw, opened, sealed, dead, "none"} {
		do(t, s, func(tx *store.Tx) error {
			if done, err := tx.KillUnreferred(id); done || err != nil {
				t.Errorf("killed %s: %v, %v", id, done, err)
			}
			return nil
		})
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		var ids []string
		for after := ""; ; {
			page, err := tx.LiveBlobs(after, 2)
			if err != nil || len(page) == 0 {
				if want := sorted(raw, opened, sealed, read, lost); !slices.Equal(ids, want) {
					t.Errorf("live: %v, want %v", ids, want)
				}
				return err
			}
			for _, b := range page {
				ids = append(ids, b.ID)
				if string(b.Inline) != "abc" {
					t.Errorf("%+v", b)
				}
			}
			after = ids[len(ids)-1]
		}
	}))
	for _, want := range []bool{true, false} {
		do(t, s, func(tx *store.Tx) error {
			done, err := tx.KillUnreferred(lost)
			if done != want {
				t.Errorf("killed: %v, want %v", done, want)
			}
			return err
		})
	}
}

// sorted: ids that were made in one millisecond sort anyhow.
func sorted(ids ...string) []string { slices.Sort(ids); return ids }
