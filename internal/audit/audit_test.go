package audit

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

func list(t *testing.T, s *store.Store, f Filter) (rs []Record, err error) {
	t.Helper()
	err = s.View(t.Context(), func(tx *store.Tx) (err error) { rs, err = List(tx, f); return err })
	return rs, err
}

func TestWriteAndList(t *testing.T) {
	s := storetest.SQLite(t)
	entries := []Entry{
		{Actor: "flow", Action: "message.accept", Object: "message:1", Detail: map[string]string{"to": "a@h.example", "clause": "Direct 2.3 <&>"}},
		{Actor: "account:1", Action: "mail.read", Object: "message:1"},
	}
	for _, e := range entries {
		if err := s.Tx(t.Context(), func(tx *store.Tx) error { return Write(tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
	rs, err := list(t, s, Filter{Object: "message:1"})
	if err != nil || len(rs) != 2 {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	for i, r := range rs { // in the order of writing, also within a millisecond
		want := entries[i]
		if !reflect.DeepEqual(r.Entry, want) || len(r.Digest) != 32 || r.At.IsZero() {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
	if bytes.Equal(rs[0].Digest, rs[1].Digest) {
		t.Error("two entries have one digest")
	}
	if rs, err = list(t, s, Filter{Actor: "account:1"}); err != nil || len(rs) != 1 {
		t.Errorf("of one actor: %d, %v", len(rs), err)
	}
}

func TestWriteRefuses(t *testing.T) {
	s := storetest.SQLite(t)
	for _, e := range []Entry{{}, {Actor: "a", Action: "b"}, {Actor: "dr.lee@h.example", Action: "a", Object: "o"}, {Actor: "a", Action: "b", Object: "address:dr.lee@h.example"}} {
		if err := s.Tx(t.Context(), func(tx *store.Tx) error { return Write(tx, e) }); err == nil {
			t.Errorf("written: %+v", e)
		}
	}
	if rs, err := list(t, s, Filter{}); len(rs) != 0 || err != nil {
		t.Errorf("%d records, %v", len(rs), err)
	}
}

func TestAlteredEntryIsSeen(t *testing.T) {
	s := storetest.SQLite(t)
	if err := s.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertAudit(store.Audit{ID: "1", At: tx.Now(), Actor: "flow", Action: "a", Object: "o", Detail: []byte(`{"salt":"AA=="}`), Digest: make([]byte, 32)})
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := list(t, s, Filter{}); !errors.Is(err, ErrDigest) {
		t.Errorf("error %v", err)
	}
}

// The canonical form is for ever: rows of today must verify under the log of tomorrow.
func TestCanonicalForm(t *testing.T) {
	row := store.Audit{ID: "01J", At: storetest.Time("2026-11-21T10:00:00Z"), Node: "n", Actor: "flow", Action: "a", Object: "o:1", Detail: []byte(`{"salt":"AA==","detail":{"a":"<ü>"}}`)}
	const want = `[1,"01J",1795255200000,"n","flow","a","o:1","{\"salt\":\"AA==\",\"detail\":{\"a\":\"<ü>\"}}"]`
	if got := string(canonical(row)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
