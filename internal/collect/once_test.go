package collect

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/internal/store"
)

// DCM-30: a mail is taken as it lies there, by whoever sent it, and removed only when it is ours; the same by another name is not taken twice.
func TestOnce(t *testing.T) {
	p := newProvider(t, letters("a", "b")...)
	h := newHouse(t, p)
	p.answers(func(_ int, line string) (string, bool) {
		if n := len(h.entries("message.accept")); strings.HasPrefix(line, "DELE") && n < 2 {
			t.Errorf("%s, and %d are ours", line, n)
		}
		return "", false
	})
	h.round(2, 0, 2, "")
	if got := h.texts(); !slices.Equal(got, []string{letter("a").text + "\r\n", letter("b").text + "\r\n"}) {
		t.Errorf("%q", got)
	}
	if len(p.lying()) != 0 || h.drafts() != 0 {
		t.Errorf("%q lie there, %d drafts", p.lying(), h.drafts())
	}
	h.must(h.rows.View(t.Context(), func(tx *store.Tx) error {
		e := h.entries("message.accept")[0]
		m, err := tx.Message(strings.TrimPrefix(e.Object, "message:"))
		if err != nil {
			return err
		}
		to, err := tx.Recipients(m.ID)
		if m.Envelope.From.String() != "<lab@south.example>" || len(to) != 1 || to[0].Address != desk || e.Actor != "collect:provider" {
			t.Errorf("%+v to %+v by %s", m.Envelope, to, e.Actor)
		}
		return err
	}))
	renamed := letter("a")
	renamed.uid = "another-name"
	p.set(func() { p.mails = []lies{renamed, letter("c")} })
	h.round(2, 0, 2, "")
	if got := h.texts(); len(got) != 3 || len(p.lying()) != 0 {
		t.Errorf("%d are ours, %q lie there", len(got), p.lying())
	}
}

// DCM-30: a session that ends anywhere between what is ours and what is removed takes nothing twice, and the next one removes; an answer to QUIT
// that does not come is no removal that nobody knows of.
func TestBreak(t *testing.T) {
	for _, c := range []struct {
		at      string
		done    bool // and yet the provider removes
		removed int  // by the next round
	}{{"RETR 2", false, 2}, {"DELE 1", false, 2}, {"DELE 2", false, 2}, {"QUIT", false, 2}, {"QUIT", true, 0}} {
		t.Run(fmt.Sprint(c.at, c.done), func(t *testing.T) {
			p := newProvider(t, letters("a", "b")...)
			h := newHouse(t, p)
			var broken atomic.Bool
			p.answers(func(_ int, line string) (string, bool) {
				if line != c.at || broken.Swap(true) {
					return "", false
				}
				if c.done {
					p.set(func() { p.mails = nil })
				}
				return "", true
			})
			if c.at == "RETR 2" { // the round goes on: what broke off is left, the rest removed
				h.round(1, 0, 1, "does not give 1 of the mails")
				h.round(1, 0, 1, "")
			} else {
				h.round(2, 0, 0, "closed the connection")
				if told := h.told(); told.Taken != 2 || !told.Heard.IsZero() {
					t.Errorf("%+v", told)
				}
				h.round(0, 0, c.removed, "")
			}
			if told := h.told(); len(h.texts()) != 2 || len(p.lying()) != 0 || told.Taken != 0 || told.Heard.IsZero() {
				t.Errorf("%d are ours, %q lie there, %+v", len(h.texts()), p.lying(), told)
			}
		})
	}
}

// keep: it stays for days, or for ever; who removes it there himself leaves nothing that is counted.
func TestKeep(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p, func(x *Source) { x.Keep = 48 * time.Hour })
	h.round(1, 0, 0, "")
	h.pass(47 * time.Hour)
	h.round(0, 0, 0, "")
	if told := h.told(); told.Taken != 1 || len(p.lying()) != 1 {
		t.Errorf("%+v", told)
	}
	h.pass(time.Hour)
	h.round(0, 0, 1, "")
	if told := h.told(); told.Taken != 0 || len(p.lying()) != 0 {
		t.Errorf("%+v", told)
	}

	p = newProvider(t, letters("a", "b")...)
	h = newHouse(t, p, func(x *Source) { x.Keep = -1 })
	h.round(2, 0, 0, "")
	for range 3 {
		h.pass(365 * 24 * time.Hour)
		h.round(0, 0, 0, "")
	}
	if told := h.told(); told.Taken != 2 || len(p.lying()) != 2 || len(h.texts()) != 2 {
		t.Errorf("%+v", told)
	}
	p.set(func() { p.mails = p.mails[1:] })
	h.round(0, 0, 0, "")
	if told := h.told(); told.Taken != 1 {
		t.Errorf("somebody has removed one: %+v", told)
	}
}

// A provider that says it removes and does not: nothing is taken twice, however long it lasts, and it is asked again; rows of what is gone end.
func TestStaysThere(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p)
	var asked atomic.Int64
	p.answers(func(_ int, line string) (string, bool) {
		if line == "DELE 1" {
			asked.Add(1)
			return "+OK\r\n", false
		}
		return "", false
	})
	h.round(1, 0, 1, "")
	for range 10 {
		h.pass(10 * 24 * time.Hour)
		h.round(0, 0, 0, "")
	}
	if len(h.texts()) != 1 || asked.Load() < 3 {
		t.Errorf("%d are ours, asked %d times", len(h.texts()), asked.Load())
	}
	p.set(func() { p.mails, p.on = nil, nil })
	h.pass(remembered + time.Hour)
	h.round(0, 0, 0, "")
	x := h.sources[0]
	if row, err := h.known(t.Context(), x, item{name: "a"}); err != nil || row.ID != "" {
		t.Errorf("%+v %v", row, err)
	}
}

// A mail that the provider does not let go keeps no other one there.
func TestNotRemoved(t *testing.T) {
	p := newProvider(t, letters("a", "b", "c")...)
	h := newHouse(t, p)
	p.answers(func(_ int, line string) (string, bool) {
		if line == "DELE 1" {
			return "-ERR locked\r\n", false
		}
		return "", false
	})
	h.round(3, 0, 2, "")
	if told := h.told(); told.Taken != 1 || !slices.Equal(p.lying(), []string{"a"}) {
		t.Errorf("%+v, %q", told, p.lying())
	}
	p.answers(nil)
	h.round(0, 0, 1, "")
	if len(h.texts()) != 3 || len(p.lying()) != 0 {
		t.Errorf("%d are ours, %q lie there", len(h.texts()), p.lying())
	}
}

// Two nodes at one mailbox: what the other has done meanwhile holds. Nothing is removed that the other has refused.
func TestTwoNodes(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p)
	other := h.node(h.sources[0].Source)
	var second atomic.Bool
	p.answers(func(_ int, line string) (string, bool) {
		if line == "RETR 1" && !second.Swap(true) {
			if got := other.Now(t.Context())[0]; got.Fetched != (Fetched{Taken: 1, Removed: 1}) || got.Error != "" {
				t.Errorf("%+v", got)
			}
		}
		return "", false
	})
	h.roundIn(t.Context(), Fetched{Taken: 1}, "")
	if len(h.texts()) != 1 {
		t.Errorf("%d are ours", len(h.texts()))
	}
	x := h.sources[0]
	var f Fetched
	for range 2 {
		row := store.Collected{Source: x.id, Item: h.item(x, item{name: "z"}), State: store.CollectTaken}
		if row, err := h.refuse(t.Context(), x, row, "too large", &f); err != nil || row.State != store.CollectRefused || row.ID == "" {
			t.Errorf("%+v %v", row, err)
		}
	}
	if f.Refused != 1 || len(h.entries("collect.refuse")) != 1 {
		t.Errorf("refused %d times", f.Refused)
	}
}
