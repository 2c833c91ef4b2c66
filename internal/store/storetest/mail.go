package storetest

import (
	"errors"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/transit"
)

func message(t *testing.T, s *store.Store) {
	blob := body(t, s)
	m := store.Message{
		Direction: transit.Inbound, Kind: transit.Report, Size: 77, Raw: blob, Dedupe: []byte{1, 0, 255},
		Envelope: transit.Envelope{From: addr.Path{Address: address(t, `"jo hn"@h.example`)}, ID: "env-1",
			Peer: netip.MustParseAddrPort("[2001:db8::1]:4711"), Helo: "mx.h.example", TLS: "TLS 1.3",
			Full: true, Wishes: map[string]transit.Wish{
				"lab@h.example": {Notify: transit.NotifySuccess | transit.NotifyDelay, Original: "rfc822;The.Lab@h.example"}, "b@p.example": {Notify: transit.NotifyNever}}},
		Header:  store.Header{FinalDelivery: true, Receipt: true, MessageID: "<1@h.example>", Subject: "Röntgen", Sender: "Jo <jo@h.example>", Date: at("2026-11-21T10:00:00Z")},
		Expires: at("2026-12-01T00:00:00Z"), Received: at("2026-11-21T10:00:01Z"),
	}
	do(t, s, func(tx *store.Tx) error { return tx.InsertMessage(&m) })
	read := func() (got store.Message) {
		must(t, s.View(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.Message(m.ID); return err }))
		return got
	}
	if got := read(); !reflect.DeepEqual(got, m) {
		t.Errorf("read  %+v\nwrote %+v", got, m)
	}
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.SetMessageHeader(m.ID, store.Header{MessageID: "<2@h.example>"}),
			tx.SetMessageWork(m.ID, blob),
			tx.SetMessageState(m.ID, 0, store.Decided, "opened"))
	})
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetMessageState(m.ID, 0, store.Closed, "late") }), store.ErrConflict)
	if got := read(); got.State != store.Decided || got.Version != 1 || got.Work != blob || got.Header.MessageID != "<2@h.example>" {
		t.Errorf("after the change: %+v", got)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		found, err := tx.MessagesByHeaderID("<2@h.example>")
		if len(found) != 1 || found[0].ID != m.ID {
			t.Errorf("by Message-ID: %v", found)
		}
		none, err2 := tx.MessagesByHeaderID("<1@h.example>")
		if len(none) != 0 {
			t.Errorf("by the old Message-ID: %v", none)
		}
		events, err3 := tx.Timeline(m.ID)
		if len(events) != 2 || !events[0].At.Equal(m.Received) || events[1].Seq != 1 || events[1].From != "received" || events[1].To != "decided" {
			t.Errorf("timeline: %+v", events)
		}
		return errors.Join(err, err2, err3)
	}))
	for what, err := range map[string]error{
		"Message":          s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Message("none"); return err }),
		"Timeline":         s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Timeline("none"); return err }),
		"SetMessageState":  s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetMessageState("none", 0, store.Closed, "") }),
		"SetMessageHeader": s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetMessageHeader("none", store.Header{}) }),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of nothing: %v", what, err)
		}
	}
	null := store.Message{Direction: transit.Inbound, Kind: transit.Report} // the null reverse-path
	do(t, s, func(tx *store.Tx) error { null.ID = ""; return tx.InsertMessage(&null) })
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Message(null.ID)
		if !got.Envelope.From.IsNull() {
			t.Error("the null reverse-path got an address")
		}
		return err
	}))
}

func dedupe(t *testing.T, s *store.Store) {
	key := []byte("same")
	var mu sync.Mutex
	fresh, firsts := "", map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var m store.Message
			err := s.Tx(t.Context(), func(tx *store.Tx) error {
				m = store.Message{Direction: transit.Inbound, Kind: transit.Mail, Dedupe: key}
				return tx.InsertMessage(&m)
			})
			mu.Lock()
			defer mu.Unlock()
			var d *store.Duplicate
			switch {
			case err == nil && fresh == "":
				fresh = m.ID
			case errors.As(err, &d):
				firsts[d.First] = true
			default:
				t.Errorf("second fresh message or %v", err)
			}
		})
	}
	wg.Wait()
	if fresh == "" || len(firsts) != 1 || !firsts[fresh] {
		t.Errorf("fresh %q, repeats of %v", fresh, firsts)
	}
	accepted(t, s) // no dedupe key: never a repeat
	accepted(t, s)
}

func recipient(t *testing.T, s *store.Store) {
	m, rs := accepted(t, s, "zoe@b.example", "adam@a.example", "Max@b.example")
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertRecipient(&store.Recipient{Message: m.ID, Address: address(t, "mAX@b.example")})
	}), store.ErrDuplicate)
	blob := body(t, s)
	d := store.Delivery{Message: m.ID, Domain: "b.example", Blob: blob}
	do(t, s, func(tx *store.Tx) error { d.ID = ""; return tx.InsertDelivery(&d, rs[0].ID, rs[2].ID) })
	deadline := at("2026-11-22T00:00:00Z")
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.SetDeadline(rs[0].ID, deadline), tx.NoteDispatched(rs[0].ID),
			tx.NoteAnswer(rs[0].ID, transit.Answer{Code: 451, Enhanced: "4.3.0", Text: "later, zoe"}))
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Recipients(m.ID)
		must(t, err)
		if len(all) != 3 || all[0].Address.Endpoint != "zoe" || all[1].Address.Endpoint != "adam" || all[2].Address != rs[2].Address {
			t.Errorf("recipients: %+v", all)
		}
		if all[1].State != transit.Accepted || all[1].Delivery != "" {
			t.Errorf("fresh recipient: %+v", all[1])
		}
		of, err := tx.RecipientsOf(d.ID)
		if len(of) != 2 || of[0].ID != rs[0].ID || of[1].ID != rs[2].ID {
			t.Errorf("of the delivery: %+v", of)
		}
		if r := of[0]; r.Attempts != 1 || r.Code != 451 || r.Text != "4.3.0 later, zoe" || !r.Deadline.Equal(deadline) || r.Dispatched.IsZero() || !r.Sent.IsZero() {
			t.Errorf("after an answer: %+v", r)
		}
		got, err2 := tx.Delivery(d.ID)
		if got.Blob != blob || got.Domain != "b.example" || got.Message != m.ID {
			t.Errorf("delivery: %+v", got)
		}
		return errors.Join(err, err2)
	}))
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error {
		return tx.InsertDelivery(&store.Delivery{Message: m.ID, Domain: "c.example", Blob: blob}, "none")
	}), store.ErrNotFound)
}

func moves(t *testing.T, s *store.Store) {
	m, rs := accepted(t, s, "a@b.example", "b@b.example")
	id := rs[0].ID
	steps := []transit.State{transit.Sealed, transit.Sent, transit.Processed, transit.Failed}
	for i, to := range steps {
		do(t, s, func(tx *store.Tx) error {
			return tx.MoveRecipient(id, int64(i), store.Move{To: to, Cause: "step", Detail: "seen by a@b.example"})
		})
		want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.MoveRecipient(id, int64(i), store.Move{To: to}) }), store.ErrConflict)
	}
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.MoveRecipient("none", 0, store.Move{To: transit.Sealed}) }), store.ErrNotFound)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		r, err := tx.Recipient(id)
		if r.State != transit.Failed || r.Version != 4 || r.Sent.IsZero() || r.Processed.IsZero() || r.Failed.IsZero() {
			t.Errorf("recipient: %+v", r)
		}
		events, err2 := tx.Timeline(m.ID)
		if len(events) != 5 {
			t.Fatalf("timeline: %+v", events)
		}
		from := string(transit.Accepted)
		for i, e := range events[1:] {
			if e.From != from || e.To != string(steps[i]) || e.Recipient != id || e.Detail != "seen by a@b.example" || e.Seq != int64(i+1) {
				t.Errorf("event %d: %+v", i, e)
			}
			from = e.To
		}
		return errors.Join(err, err2)
	}))

	var wg sync.WaitGroup // of many who move the same recipient one wins
	won := make(chan bool, 8)
	for range cap(won) {
		wg.Go(func() {
			err := s.Tx(t.Context(), func(tx *store.Tx) error {
				return tx.MoveRecipient(rs[1].ID, 0, store.Move{To: transit.Sealed, Cause: "race"})
			})
			if err != nil && !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
			won <- err == nil
		})
	}
	wg.Wait()
	close(won)
	n := 0
	for w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d moved it", n)
	}
}

// One processed MDN per message and recipient, for ever: also when the work that made it is long gone.
func notice(t *testing.T, s *store.Store) {
	_, rs := accepted(t, s, "a@b.example", "b@b.example")
	do(t, s, func(tx *store.Tx) error { return tx.InsertNotice(rs[0].ID, "processed", "mdn-1") })
	err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertNotice(rs[0].ID, "processed", "mdn-2") })
	var d *store.Duplicate
	if !errors.As(err, &d) || d.First != "mdn-1" {
		t.Errorf("second notice: %v", err)
	}
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertNotice(rs[0].ID, "dispatched", "mdn-3"), tx.InsertNotice(rs[1].ID, "processed", "mdn-4"))
	})
}

func correlation(t *testing.T, s *store.Store) {
	_, rs := accepted(t, s, "b@b.example", "a@b.example", "c@b.example")
	later := time.Now().Add(time.Hour)
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.Correlate(store.ByMessageID, "<1@a.example>", rs[0].ID, later), tx.Correlate(store.ByMessageID, "<1@a.example>", rs[1].ID, later),
			tx.Correlate(store.ByMessageID, "<1@a.example>", rs[1].ID, later),
			tx.Correlate(store.ByMessageID, "<1@a.example>", rs[2].ID, time.Now().Add(-time.Second)))
	})
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Correlated(store.ByMessageID, "<1@a.example>")
		if len(got) != 2 || got[0].ID != rs[0].ID || got[1].ID != rs[1].ID {
			t.Errorf("correlated: %+v", got)
		}
		for kind, value := range map[store.Token]string{store.ByEnvelopeID: "<1@a.example>", store.ByMessageID: "<2@a.example>"} {
			if none, err := tx.Correlated(kind, value); len(none) != 0 || err != nil {
				t.Errorf("%s %s: %v, %v", kind, value, none, err)
			}
		}
		return err
	}))
}

func blobs(t *testing.T, s *store.Store) {
	big, empty := newBody(s, time.Now(), true), newBody(s, time.Now(), false)
	big.Size = 5 << 30
	empty.Size, empty.Inline = 0, []byte{}
	small := newBody(s, time.Now(), false)
	small.Inline = []byte{0, 255, 3}
	for _, r := range []store.Blob{big, small, empty} {
		do(t, s, func(tx *store.Tx) error { return tx.InsertBlob(r) })
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			got, err := tx.Blob(r.ID)
			if len(got.Inline) == 0 {
				got.Inline = r.Inline
			}
			if !reflect.DeepEqual(got, r) {
				t.Errorf("read %+v, wrote %+v", got, r)
			}
			return err
		}))
	}
	do(t, s, func(tx *store.Tx) error { return errors.Join(tx.KillBlob(big.ID), tx.KillBlob(big.ID)) })
	want(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Blob(big.ID); return err }), store.ErrNotFound)
}

func mailbox(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	var a store.Account
	do(t, s, func(tx *store.Tx) (err error) { a, err = tx.InsertAccount(address(t, "lab@h.example")); return err })
	blob := body(t, s)
	var box, again store.Mailbox
	do(t, s, func(tx *store.Tx) (err error) { box, err = tx.EnsureMailbox(a.ID, "INBOX"); return err })
	do(t, s, func(tx *store.Tx) (err error) { again, err = tx.EnsureMailbox(a.ID, "INBOX"); return err })
	if box != again || box.Name != "INBOX" || box.UIDNext != 1 || box.UIDValidity == 0 {
		t.Errorf("%+v, again %+v", box, again)
	}
	do(t, s, func(tx *store.Tx) error { _, err := tx.EnsureMailbox(a.ID, "Frau Müller"); return err })
	for i := range 5 {
		m := store.Mail{Mailbox: box.ID, Blob: blob, Flags: `\Seen`, Size: int64(i), Subject: "Befund", Sender: "x@y.example", At: at("2026-11-21T10:00:00Z")}
		do(t, s, func(tx *store.Tx) error {
			fresh, err := tx.AppendMail(&m)
			if !fresh || m.UID != uint32(i+1) {
				t.Errorf("mail %d: uid %d, fresh %v", i, m.UID, fresh)
			}
			return err
		})
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.ListMail(box.ID, 0, 0)
		page, err2 := tx.ListMail(box.ID, 2, 2)
		if len(all) != 5 || len(page) != 2 || page[0].UID != 3 || page[1].Subject != "Befund" || page[1].Sender != "x@y.example" || page[1].ModSeq != 4 {
			t.Errorf("all %d, page %+v", len(all), page)
		}
		one, err3 := tx.Mail(box.ID, 5)
		if !reflect.DeepEqual(one, all[4]) || !one.At.Equal(at("2026-11-21T10:00:00Z")) {
			t.Errorf("%+v, listed %+v", one, all[4])
		}
		boxes, err4 := tx.Mailboxes(a.ID)
		if len(boxes) != 2 || boxes[1].Name != "Frau Müller" || boxes[0].UIDNext != 6 || boxes[0].ModSeq != 5 {
			t.Errorf("mailboxes: %+v", boxes)
		}
		return errors.Join(err, err2, err3, err4)
	}))
	want(t, s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Mail(box.ID, 99); return err }), store.ErrNotFound)
}

// One copy per mailbox and message, whoever comes how often.
// mailOf: the mail of a message is found in its own mailbox alone.
func mailOf(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	var one, other store.Mailbox
	do(t, s, func(tx *store.Tx) error {
		a, err := tx.InsertAccount(address(t, "lab@h.example"))
		if err != nil {
			return err
		}
		if one, err = tx.EnsureMailbox(a.ID, "INBOX"); err == nil {
			other, err = tx.EnsureMailbox(a.ID, "Other")
		}
		return err
	})
	m, _ := accepted(t, s, "lab@h.example")
	second, _ := accepted(t, s, "lab@h.example")
	mail := store.Mail{Mailbox: one.ID, Message: m.ID, Blob: body(t, s), Size: 7, Subject: "Befund", At: at("2026-11-21T10:00:00Z")}
	do(t, s, func(tx *store.Tx) error { _, err := tx.AppendMail(&mail); return err })
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.MailOf(one.ID, m.ID)
		if got.UID != mail.UID || got.Message != m.ID || got.Subject != "Befund" || got.Size != 7 {
			t.Errorf("%+v", got)
		}
		_, elsewhere := tx.MailOf(other.ID, m.ID)
		want(t, elsewhere, store.ErrNotFound)
		_, unshown := tx.MailOf(one.ID, second.ID)
		want(t, unshown, store.ErrNotFound)
		return err
	}))
}

func mailOnce(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	var box store.Mailbox
	do(t, s, func(tx *store.Tx) error {
		a, err := tx.InsertAccount(address(t, "lab@h.example"))
		must(t, err)
		box, err = tx.EnsureMailbox(a.ID, "INBOX")
		return err
	})
	blob := body(t, s)
	m, _ := accepted(t, s, "lab@h.example")
	type result struct {
		uid   uint32
		fresh bool
	}
	results := make(chan result, 8)
	var wg sync.WaitGroup
	for range cap(results) {
		wg.Go(func() {
			var r result
			if err := s.Tx(t.Context(), func(tx *store.Tx) error {
				mail := store.Mail{Mailbox: box.ID, Message: m.ID, Blob: blob}
				fresh, err := tx.AppendMail(&mail)
				r = result{mail.UID, fresh}
				return err
			}); err != nil {
				t.Error(err)
			}
			results <- r
		})
	}
	wg.Wait()
	close(results)
	fresh, uids := 0, map[uint32]bool{}
	for r := range results {
		uids[r.uid] = true
		if r.fresh {
			fresh++
		}
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.ListMail(box.ID, 0, 0)
		if fresh != 1 || len(uids) != 1 || len(list) != 1 || !uids[list[0].UID] {
			t.Errorf("%d fresh, uids %v, %d listed", fresh, uids, len(list))
		}
		return err
	}))
}
