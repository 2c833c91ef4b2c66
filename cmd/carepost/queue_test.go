package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carepost/internal/admind"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/store"
)

// Thousands of timers hide nothing that somebody has to see to.
func TestListQueue(t *testing.T) {
	p := gatewaytest.New(t, "north.example").All[0]
	c, stop := admind.Pair(p.Admind())
	t.Cleanup(stop)
	stuck := &store.Work{Kind: "deliver", Dest: "south.example", After: 48 * time.Hour}
	err := p.Flow().Store.Tx(t.Context(), func(tx *store.Tx) error {
		for i := range mostListed {
			if err := tx.InsertWork(&store.Work{Kind: "deadline", Unique: fmt.Sprint("deadline ", i), After: time.Hour}); err != nil {
				return err
			}
		}
		return tx.InsertWork(stuck)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.HoldWork(t.Context(), stuck.ID); err != nil {
		t.Fatal(err)
	}
	is := func(w admind.Work) bool { return w.ID == stuck.ID }
	if first, err := c.Queue(t.Context(), "", mostListed); err != nil || len(first) != mostListed || slices.ContainsFunc(first, is) {
		t.Fatalf("the test proves nothing: %d rows, %v", len(first), err)
	}
	works, more, err := listQueue(t.Context(), c, "")
	if err != nil || !more || !slices.ContainsFunc(works, is) {
		t.Errorf("%d rows, more: %v, %v; the one that is held is not among them", len(works), more, err)
	}
	works, more, err = listQueue(t.Context(), c, "held")
	if err != nil || more || len(works) != 1 {
		t.Errorf("held: %d rows, more: %v, %v", len(works), more, err)
	}
}

// Command lines that are printed can be typed as they stand.
func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"north": "north", "/srv/a-b_c.d": "/srv/a-b_c.d", "": "''", "my files": "'my files'", "it's": `'it'\''s'`, "a$b": "'a$b'", "Größe": "Größe",
		"~/x": "'~/x'", "x;rm": "'x;rm'",
	} {
		if got := quoted(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// What a notice of failure says is told as the other side's words; our own reasons are not.
func TestReason(t *testing.T) {
	for _, tc := range []struct{ cause, detail, want string }{
		{"Direct 3.2", "notice: failed notice\nreason: RFC 3463 §3.2: nobody has this address", "Direct 3.2: the other side says: RFC 3463 §3.2: nobody has this address"},
		{"Direct 3.2", "notice: failed notice", "Direct 3.2: the other side sent a failed notice"},
		{"Direct 3.2", "no notice came", "Direct 3.2: no notice came"},
		{"Direct 2.3", "no certificate", "Direct 2.3: no certificate"},
		{"Direct 2.3", " ", "Direct 2.3"},
		{"", "words", "words"},
	} {
		if got := reason(admind.Event{To: "failed", Cause: tc.cause, Detail: tc.detail}); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}
