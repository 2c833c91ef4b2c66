package flow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"carepost/dsn"
	"carepost/internal/flow"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

const operator = "operator:0"

// work is the one piece of work of a kind that waits or is held.
func (s *side) work(kind string, state store.WorkState) store.Work {
	s.t.Helper()
	var found []store.Work
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works(state, 1000)
		found = nil
		for _, w := range all {
			if w.Kind == kind {
				found = append(found, w)
			}
		}
		return err
	}))
	if len(found) != 1 {
		s.t.Fatalf("%d pieces of %s work are %s", len(found), kind, state)
	}
	return found[0]
}

func (s *side) refused(err error, clause string) {
	s.t.Helper()
	if r := (*flow.Refusal)(nil); !errors.As(err, &r) || r.Clause != clause {
		s.t.Errorf("error %v, want a refusal by %s", err, clause)
	}
}

// status reads the DSN in one of our own mailboxes.
func (s *side) status(m store.Mail) *dsn.Report {
	s.t.Helper()
	text := strings.NewReader(s.text(m))
	root, err := message.Parse(text, text.Size(), message.Limits{})
	s.must(err)
	r, err := dsn.Parse(root, text)
	s.must(err)
	return r
}

// What waits to be sealed, and what waits to be sent, can be taken off the queue: its sender is told, once.
func TestCancelOutgoing(t *testing.T) {
	for _, kind := range []string{"outbound", "deliver"} {
		t.Run(kind, func(t *testing.T) {
			s := newSide(t)
			id := s.submit("short", lab)
			if kind == "deliver" {
				s.step("outbound")
			}
			w := s.work(kind, store.Ready)
			s.must(s.Cancel(t.Context(), operator, w.ID))
			if r := s.recipient(id, lab); r.State != transit.Failed {
				t.Errorf("the recipient is %q", r.State)
			}
			mails := s.inbox()
			if len(mails) != 1 {
				t.Fatalf("%d reports", len(mails))
			}
			r := s.status(mails[0])
			if len(r.Recipients) != 1 || r.Recipients[0].Action != dsn.Failed || r.Recipients[0].Code != "5.7.1" || !strings.Contains(r.Recipients[0].Comment, "cancelled") {
				t.Errorf("the report says %+v", r.Recipients)
			}
			if n := s.works(""); n != 0 {
				t.Errorf("%d pieces of work are left", n)
			}
			if s.audited("work.cancel") != 1 || s.audited("recipient.fail") != 1 {
				t.Error("the audit does not tell")
			}
			if err := s.Cancel(t.Context(), operator, w.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("once more: %v", err)
			}
			if l, err := s.Timeline(t.Context(), by, id); err != nil || l.Message.State != store.Closed {
				t.Errorf("the message is %q, %v", l.Message.State, err)
			}
		})
	}
}

// Work that is cancelled while it is done: what the worker does afterwards counts for nothing, and the sender knows that it may have
// arrived.
func TestCancelWhatIsBeingDone(t *testing.T) {
	s := newSide(t)
	id := s.submit("short", lab)
	s.step("outbound")
	j := s.claim("deliver")
	s.must(s.Cancel(t.Context(), operator, j.ID))
	_ = s.run(t.Context(), j)
	if r := s.recipient(id, lab); r.State != transit.Failed || s.works("deadline") != 0 {
		t.Errorf("the recipient is %q", r.State)
	}
	if mails := s.inbox(); len(mails) != 1 || !strings.Contains(s.text(mails[0]), "may have arrived") {
		t.Errorf("%d reports", len(mails))
	}
}

// A message of which a part is sent already: who has it keeps it.
func TestCancelOneDelivery(t *testing.T) {
	s := newSide(t)
	id := s.submit("short", lab, ward)
	s.step("outbound")
	s.step("deliver")
	s.must(s.Cancel(t.Context(), operator, s.work("deliver", store.Ready).ID))
	states := map[transit.State]int{s.recipient(id, lab).State: 1}
	states[s.recipient(id, ward).State]++
	if states[transit.Sent] != 1 || states[transit.Failed] != 1 {
		t.Errorf("%v", states)
	}
	if l, err := s.Timeline(t.Context(), by, id); err != nil || l.Message.State == store.Closed {
		t.Errorf("closed while a notice is awaited: %v", err)
	}
}

// An arrival that is cancelled is set aside like any other: kept, not shown, not answered.
func TestCancelArrival(t *testing.T) {
	s := newSide(t)
	id := s.accept(lab, s.seal(letter(lab, "x", desk), s.others[lab.Domain]))
	s.must(s.Cancel(t.Context(), operator, s.work("inbound", store.Ready).ID))
	if r := s.recipient(id, desk); r.State != transit.Aside || len(s.inbox()) != 0 || s.works("notice") != 0 {
		t.Errorf("the recipient is %q", r.State)
	}
	if s.audited("recipient.set-aside") != 1 {
		t.Error("no entry")
	}
}

// What is owed to others is not cancelled.
func TestCancelOwed(t *testing.T) {
	s := newSide(t)
	s.accept(lab, s.seal(letter(lab, "x", desk), s.others[lab.Domain]))
	s.step("inbound")
	s.refused(s.Cancel(t.Context(), operator, s.work("notice", store.Ready).ID), "Direct 3.2")
	s.submit("short", lab)
	s.refused(s.Cancel(t.Context(), operator, s.work("delay", store.Ready).ID), "RFC 5321 §4.5.4.1")
	s.step("outbound")
	s.step("deliver")
	s.refused(s.Cancel(t.Context(), operator, s.work("deadline", store.Ready).ID), "RFC 5321 §4.5.4.1")
	for kind, clause := range map[string]string{"failure": "Direct 3.3", "sweep": "local policy", "drop": "local policy"} {
		w := store.Work{Kind: kind, Ref: "01J00000000000000000000000"}
		s.tx(func(tx *store.Tx) error { return tx.InsertWork(&w) })
		s.refused(s.Cancel(t.Context(), operator, w.ID), clause)
	}
	if n := s.audited("work.cancel"); n != 0 {
		t.Errorf("%d entries", n)
	}
}

// Held work is done by nobody until it is retried; a retry does not wait for the back-off.
func TestHoldAndRetry(t *testing.T) {
	s := newSide(t)
	id := s.submit("short", lab)
	s.step("outbound")
	w := s.work("deliver", store.Ready)
	s.must(s.Hold(t.Context(), operator, w.ID))
	if jobs, err := s.queue.Claim(t.Context(), "deliver", store.Small, 9); err != nil || len(jobs) != 0 {
		t.Fatalf("%d claimed, %v", len(jobs), err)
	}
	s.must(s.Retry(t.Context(), operator, w.ID))
	s.reply = func(c transit.Consignment) transit.Outcome { return answers(c, transit.Deferred, 451) }
	j := s.claim("deliver")
	if err := s.Hold(t.Context(), operator, j.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("held while it is done: %v", err)
	}
	if err := s.Retry(t.Context(), operator, j.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("retried while it is done: %v", err)
	}
	s.must(s.run(t.Context(), j))
	if at := s.work("deliver", store.Ready).NextAt; time.Until(at) < time.Second {
		t.Errorf("due at %v", at)
	}
	s.must(s.Retry(t.Context(), operator, w.ID))
	s.reply = func(c transit.Consignment) transit.Outcome { return answers(c, transit.Delivered, 250) }
	s.step("deliver")
	if r := s.recipient(id, lab); r.State != transit.Sent || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
	if s.audited("work.hold") != 1 || s.audited("work.retry") != 2 {
		t.Error("the audit does not tell")
	}
	for name, do := range map[string]error{"hold": s.Hold(t.Context(), operator, w.ID), "retry": s.Retry(t.Context(), operator, w.ID)} {
		if !errors.Is(do, store.ErrNotFound) {
			t.Errorf("%s of work that is done: %v", name, do)
		}
	}
}

// due makes the work of a kind due, on behalf of the engine's clock.
func (s *side) due(kind string) *queue.Job {
	s.t.Helper()
	w := s.work(kind, store.Ready)
	s.tx(func(tx *store.Tx) error { return tx.RetryWorkNow(w.ID) })
	return s.claim(kind)
}

// A sender is told once that a message waits, by whatever it is held up, and of nobody who has it. RFC 3464 §2.3.3; DIR-41.
func TestDelayNotice(t *testing.T) {
	s := newSide(t)
	s.reply = func(c transit.Consignment) transit.Outcome {
		if c.Domain == lab.Domain {
			return answers(c, transit.Delivered, 250)
		}
		o := answers(c, transit.Deferred, 451)
		o.At[0].Enhanced = "4.2.1"
		return o
	}
	id := s.submit("short", lab, ward)
	s.step("outbound")
	s.must(s.run(t.Context(), s.claim("deliver")))
	s.must(s.run(t.Context(), s.claim("deliver")))
	if w := s.work("delay", store.Ready); time.Until(w.NextAt) < 3*time.Hour || time.Until(w.NextAt) > 5*time.Hour {
		t.Errorf("the sender is told at %v", w.NextAt)
	}
	j := s.due("delay")
	s.must(s.run(t.Context(), j))
	_ = s.run(t.Context(), j) // as after a kill
	mails := s.inbox()
	if len(mails) != 1 {
		t.Fatalf("%d reports", len(mails))
	}
	r := s.status(mails[0])
	if len(r.Recipients) != 1 || r.Recipients[0].FinalRecipient != ward || r.Recipients[0].Action != dsn.Delayed || r.Recipients[0].Code != "4.2.1" ||
		r.Recipients[0].WillRetryUntil.IsZero() || !strings.HasPrefix(r.Recipients[0].Diagnostic, "451 ") {
		t.Errorf("the report says %+v", r.Recipients)
	}
	if r := s.recipient(id, ward); r.State != transit.Sealed {
		t.Errorf("who waits is %q", r.State)
	}
	if s.audited("recipient.delay") != 1 {
		t.Errorf("%d entries", s.audited("recipient.delay"))
	}
	s.tx(func(tx *store.Tx) error { return tx.InsertWork(&store.Work{Kind: "delay", Ref: id}) })
	s.must(s.run(t.Context(), s.claim("delay")))
	if n := len(s.inbox()); n != 1 {
		t.Errorf("told %d times", n)
	}
	// The final word comes all the same.
	s.now = s.now.Add(5 * 24 * time.Hour)
	s.tx(func(tx *store.Tx) error { return tx.RetryWorkNow(s.workIn(tx, "deliver")) })
	s.must(s.run(t.Context(), s.claim("deliver")))
	if r := s.recipient(id, ward); r.State != transit.Failed || len(s.inbox()) != 2 {
		t.Errorf("at last %q, %d reports", r.State, len(s.inbox()))
	}
}

func (s *side) workIn(tx *store.Tx, kind string) (id string) {
	all, err := tx.Works(store.Ready, 1000)
	s.must(err)
	for _, w := range all {
		if w.Kind == kind {
			id = w.ID
		}
	}
	return id
}

// Of a message without an answer about a certificate, and of one that nobody has tried to send, the sender is told too; a report's delay
// is told to nobody.
func TestDelayNoticeOfTheUndecided(t *testing.T) {
	s := newSide(t)
	s.submit("short", lab)
	s.must(s.run(t.Context(), s.due("delay")))
	if mails := s.inbox(); len(mails) != 1 || s.status(mails[0]).Recipients[0].Code != "4.4.3" {
		t.Errorf("%d reports", len(mails))
	}
	s.accept(lab, s.seal(letter(lab, "x", desk), s.others[lab.Domain]))
	s.step("inbound")
	s.step("notice")
	if n := s.works("delay"); n != 0 {
		t.Errorf("%d delays of a notice would be told", n)
	}
}

// Bodies live as long as somebody needs them.
func TestBodiesAreLetGo(t *testing.T) {
	s := newSide(t)
	live := func(id string) bool {
		err := s.Store.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Blob(id); return err })
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	message := func(id string) (m store.Message) {
		s.must(s.Store.View(t.Context(), func(tx *store.Tx) (err error) { m, err = tx.Message(id); return err }))
		return m
	}
	t.Run("outbound", func(t *testing.T) {
		text := letter(desk, large, lab)
		id := s.submitText(text, lab)
		s.step("outbound")
		s.step("deliver")
		r := s.recipient(id, lab)
		var d store.Delivery
		s.must(s.Store.View(t.Context(), func(tx *store.Tx) (err error) { d, err = tx.Delivery(r.Delivery); return err }))
		if m := message(id); m.State == store.Closed || !live(m.Raw) || !live(d.Blob) {
			t.Error("let go while the notice is awaited")
		}
		s.accept(lab, s.seal(processedMDN(t, text), s.others[lab.Domain]))
		s.step("inbound")
		m := message(id)
		if m.State != store.Closed || live(m.Raw) || live(d.Blob) || s.works("") != 1 {
			t.Errorf("it is %q; raw lives: %v, sealed: %v; %d pieces of work", m.State, live(m.Raw), live(d.Blob), s.works(""))
		}
		b, err := s.Sealed(t.Context(), r)
		if err != nil || b.Size() == 0 {
			t.Fatalf("what went over the wire: %v", err)
		}
		b.Close()
		s.tx(func(tx *store.Tx) error { return tx.SweepBlob(d.Blob) })
		if _, err := s.Sealed(t.Context(), r); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("and when it is gone: %v", err)
		}
	})
	t.Run("inbound", func(t *testing.T) {
		id := s.accept(lab, s.seal(letter(lab, large, desk), s.others[lab.Domain]))
		s.step("inbound")
		m := message(id)
		if !live(m.Raw) || !live(m.Work) {
			t.Error("let go while the notice is owed")
		}
		mails := s.inbox()
		last := mails[len(mails)-1]
		s.step("notice")
		if m := message(id); m.State != store.Closed || live(m.Raw) || !live(m.Work) {
			t.Errorf("after the notice %q; raw lives: %v, opened: %v", m.State, live(m.Raw), live(m.Work))
		}
		s.must(s.Mailboxes.Delete(t.Context(), by, last))
		if live(m.Work) {
			t.Error("the opened message lives on without its mail")
		}
	})
	t.Run("deleted at once", func(t *testing.T) {
		id := s.accept(lab, s.seal(letter(lab, large, desk), s.others[lab.Domain]))
		s.step("inbound")
		mails := s.inbox()
		s.must(s.Mailboxes.Delete(t.Context(), by, mails[len(mails)-1]))
		m := message(id)
		if !live(m.Work) {
			t.Error("let go while the notice is owed")
		}
		s.step("notice")
		if live(m.Work) {
			t.Error("it lives on")
		}
	})
	t.Run("aside", func(t *testing.T) {
		id := s.accept(lab, []byte("From: lab@south.example\r\nSubject: in clear\r\n\r\nx\r\n"))
		s.step("inbound")
		m := message(id)
		if m.State != store.Closed || !live(m.Raw) {
			t.Errorf("it is %q; raw lives: %v", m.State, live(m.Raw))
		}
		w := s.work("purge", store.Ready)
		if d := time.Until(w.NextAt); d < 29*24*time.Hour || d > 31*24*time.Hour {
			t.Errorf("kept for %v", d)
		}
		j := s.due("purge")
		s.must(s.run(t.Context(), j))
		_ = s.run(t.Context(), j)
		if live(m.Raw) || s.audited("message.purge") != 1 {
			t.Errorf("it lives: %v, with %d entries", live(m.Raw), s.audited("message.purge"))
		}
	})
}

// Whose account was closed meanwhile is told nothing, and nothing is kept for him.
func TestReportForNobody(t *testing.T) {
	s := newSide(t)
	s.submit("short", lab)
	s.tx(func(tx *store.Tx) error {
		a, err := tx.Account(desk)
		if err != nil {
			return err
		}
		return tx.CloseAccount(a.ID)
	})
	s.must(s.Cancel(t.Context(), operator, s.work("outbound", store.Ready).ID))
	s.must(s.Store.View(t.Context(), func(tx *store.Tx) error {
		left, err := tx.UnreferredBlobs(s.now.Add(time.Hour), 10)
		if len(left) != 0 {
			t.Errorf("%d bodies that nothing refers to", len(left))
		}
		return err
	}))
}

// A notice to the other side is owed also when it is on its way already.
func TestCancelNoticeOnItsWay(t *testing.T) {
	s := newSide(t)
	s.accept(lab, s.seal(letter(lab, "x", desk), s.others[lab.Domain]))
	s.step("inbound")
	s.step("notice")
	s.refused(s.Cancel(t.Context(), operator, s.work("outbound", store.Ready).ID), "Direct 3.2")
	s.step("outbound")
	s.refused(s.Cancel(t.Context(), operator, s.work("deliver", store.Ready).ID), "Direct 3.2")
	if n := s.audited("work.cancel"); n != 0 {
		t.Errorf("%d entries", n)
	}
	s.step("deliver")
}
