package flow

import (
	"context"
	"errors"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/store"
)

// DCM-30: a notice that is due may lie at a provider: it is missed only after mail was fetched since, and opened; not for ever.
func TestNoticeAtTheProvider(t *testing.T) {
	due := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	now, heard, fetched := due.Add(time.Minute), due.Add(-time.Hour), true
	var wrong error
	f := &Flow{Options: Options{Lifetime: 4 * 24 * time.Hour, Clock: func() time.Time { return now },
		Heard: func(context.Context, addr.Domain) (time.Time, bool, error) { return heard, fetched, wrong }}}
	r := store.Recipient{Deadline: due}
	look := func(last string) (time.Duration, string) {
		t.Helper()
		wait, why, err := f.post(t.Context(), store.Work{Error: last}, r, store.Message{})
		if !errors.Is(err, wrong) {
			t.Fatal(err)
		}
		return wait, why
	}
	if wait, why := look(""); wait != postTime || why != unheard {
		t.Errorf("nothing was fetched since: %s %q", wait, why)
	}
	heard = due.Add(time.Second)
	if wait, why := look(unheard); wait != settleMail || why != settling {
		t.Errorf("mail has just been fetched: %s %q", wait, why)
	}
	if wait, _ := look(settling); wait != 0 {
		t.Errorf("and what it brought is opened: %s", wait)
	}
	heard, now = time.Time{}, due.Add(f.Lifetime+time.Second)
	if wait, _ := look(unheard); wait != 0 {
		t.Errorf("after the lifetime of a message: %s", wait)
	}
	now, fetched = due.Add(time.Minute), false
	if wait, _ := look(""); wait != 0 {
		t.Errorf("mail that others hand over: %s", wait)
	}
	wrong = errors.New("no store")
	look("")
}
