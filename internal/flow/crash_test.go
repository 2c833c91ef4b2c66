package flow_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// Every step of both ways, each run twice: one mail, one notice, one answer. Facts of storage, T1 to T5; DIR-27, DIR-29.
func TestStepsRunTwice(t *testing.T) {
	s := newSide(t)
	id := s.submit(large, lab)
	s.step("outbound")
	s.step("deliver")
	if r := s.recipient(id, lab); r.State != transit.Sent || r.Deadline.IsZero() || s.works("deadline") != 1 {
		t.Errorf("after the hand-over: %+v, %d deadlines", r, s.works("deadline"))
	}

	in := s.accept(lab, s.seal(letter(lab, large, desk), s.others[lab.Domain]))
	s.step("inbound")
	s.step("notice")
	if r := s.recipient(in, desk); r.State != transit.Settled {
		t.Errorf("after the notice the recipient is %q", r.State)
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d mails are shown", n)
	}
	if n := s.audited("notice.send"); n != 1 {
		t.Errorf("%d notices are made", n)
	}
	s.step("outbound") // of the notice
	s.step("deliver")
	if n := s.works(""); n != 1 {
		t.Errorf("%d pieces of work are left, want the deadline", n)
	}
}

// A step that is stopped between the body and the rows leaves no bytes behind, and the next run does it all.
func TestStoppedBeforeTheRows(t *testing.T) {
	s := newSide(t)
	t.Run("accept", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		end := &atEnd{strings.NewReader(letter(desk, large, lab)), cancel}
		if _, err := s.Submit(ctx, by, transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}}, end); err == nil {
			t.Error("taken")
		}
		if left := s.files(); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
	})
	id := s.submit(large, lab)
	for _, kind := range []string{"outbound", "inbound"} {
		t.Run(kind, func(t *testing.T) {
			if kind == "inbound" {
				s.accept(lab, s.seal(letter(lab, large, desk), s.others[lab.Domain]))
			}
			before := len(s.files())
			j := s.claim(kind)
			s.stolen(j)
			other := s.claim(kind) // and another worker has it
			if err := s.run(t.Context(), j); kind == "inbound" && !errors.Is(err, store.ErrLeaseLost) {
				t.Errorf("without a lease: %v", err)
			}
			if kind == "inbound" && len(s.files()) != before {
				t.Errorf("%d bodies lie on the disk, want %d", len(s.files()), before)
			}
			if err := s.run(t.Context(), other); err != nil {
				t.Error(err)
			}
			if got := len(s.files()); got != before+1 {
				t.Errorf("after both runs %d bodies lie on the disk, want one more than %d", got, before)
			}
		})
	}
	if r := s.recipient(id, lab); r.State != transit.Sealed || s.works("deliver") != 1 {
		t.Errorf("the recipient is %q, with %d deliveries", r.State, s.works("deliver"))
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d mails are shown", n)
	}
	t.Run("seal", func(t *testing.T) {
		s.submit(large, lab)
		before := len(s.files())
		ctx, cancel := context.WithCancel(t.Context())
		s.tell = func(what string, done, total int64) {
			if what == "seal" && done == total {
				cancel() // the last bytes have been read: the sealed body is finished all the same
			}
		}
		j := s.claim("outbound")
		if err := s.run(ctx, j); err == nil {
			t.Error("done")
		}
		if got := len(s.files()); got != before {
			t.Errorf("%d bodies lie on the disk, want %d", got, before)
		}
	})
}

// atEnd calls f when everything has been read.
type atEnd struct {
	r *strings.Reader
	f func()
}

func (a *atEnd) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil {
		a.f()
	}
	return n, err
}

// One sealed body is damaged: whom it was for fails and the sender learns of it; the other domain's delivery goes on.
func TestDamagedDeliveryIsAlone(t *testing.T) {
	s := newSide(t)
	id := s.submit(large, lab, ward)
	s.step("outbound")
	var d store.Delivery
	s.must(s.Store.View(t.Context(), func(tx *store.Tx) (err error) { d, err = tx.Delivery(s.recipient(id, lab).Delivery); return err }))
	s.must(os.Truncate(s.file(d.Blob), 100))
	s.step("deliver")
	s.step("deliver")
	if r := s.recipient(id, lab); r.State != transit.Failed {
		t.Errorf("whose body is damaged is %q", r.State)
	}
	if r := s.recipient(id, ward); r.State != transit.Sent {
		t.Errorf("the other one is %q", r.State)
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d reports", n)
	}
	if n := s.audited("work.bury"); n != 1 {
		t.Errorf("%d pieces of work are buried", n)
	}
}

// The body as it was submitted is damaged after it was sealed: it is delivered all the same, and a deadline that passes is told.
func TestSubmittedBodyIsNotNeededAgain(t *testing.T) {
	s := newSide(t)
	id := s.submit(large, lab)
	s.step("outbound")
	var m store.Message
	s.must(s.Store.View(t.Context(), func(tx *store.Tx) (err error) { m, err = tx.Message(id); return err }))
	s.must(os.Remove(s.file(m.Raw)))
	s.Patience = time.Millisecond
	s.step("deliver")
	s.step("deadline")
	if r := s.recipient(id, lab); r.State != transit.Failed {
		t.Errorf("the recipient is %q: the sender waits for ever", r.State)
	}
	mails := s.inbox()
	if len(mails) != 1 {
		t.Fatalf("%d reports", len(mails))
	}
	if text := s.text(mails[0]); !strings.Contains(text, "Subject: Not delivered: the subject") || !strings.Contains(text, m.Header.MessageID) {
		t.Errorf("the report does not say what it is about:\n%s", text)
	}
}

// A step that panics, or that the queue has lost its patience with, is tried again like any other, but not for ever: when the
// message's time is over, its sender is told.
func TestGivingUp(t *testing.T) {
	for name, reply := range map[string]func(context.CancelCauseFunc) transit.Outcome{
		"panic":    func(context.CancelCauseFunc) transit.Outcome { panic("our own bug") },
		"patience": func(stop context.CancelCauseFunc) transit.Outcome { stop(errors.New("no progress")); panic("stopped") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			id := s.submit("short", lab)
			s.step("outbound")
			j := s.claim("deliver")
			run := func() {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				s.reply = func(transit.Consignment) transit.Outcome { return reply(stop) }
				_ = s.handlers["deliver"](ctx, j)
			}
			run()
			if r := s.recipient(id, lab); r.State != transit.Sealed {
				t.Errorf("in time the recipient is %q", r.State)
			}
			s.now = s.now.Add(5 * 24 * time.Hour)
			run()
			if r := s.recipient(id, lab); r.State != transit.Failed || len(s.inbox()) != 1 {
				t.Errorf("the recipient is %q, with %d reports", r.State, len(s.inbox()))
			}
			if n := s.works("deliver"); n != 0 {
				t.Errorf("%d deliveries wait", n)
			}
		})
	}
}

// Mail that shows a From of our own domain is signed by our own key, whatever its envelope says: a trusted foreign authority that
// certifies our name does not speak for us. Direct 1.4; DIR-13.
func TestOwnDomainInFrom(t *testing.T) {
	s := newSide(t)
	both := s.ca.Issue(t, lab.Domain.String(), func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, desk.Domain.String()) })
	id := s.accept(lab, s.seal(letter(desk, "pay this bill", desk), both))
	s.step("inbound")
	if r := s.recipient(id, desk); r.State != transit.Aside || len(s.inbox()) != 0 {
		t.Errorf("mail in our own name is %q, and %d mails are shown", r.State, len(s.inbox()))
	}
	good := s.accept(lab, s.seal(letter(lab, "as himself", desk), both))
	s.step("inbound")
	if r := s.recipient(good, desk); r.State != transit.Opened {
		t.Errorf("mail in his own name is %q", r.State)
	}
}

// What the other side says of a failure is in the sender's timeline and in his report. DIR-23.
func TestReasonOfFailedNotice(t *testing.T) {
	s := newSide(t)
	text := letter(desk, "short", lab)
	id, err := s.Submit(t.Context(), by, transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}}, strings.NewReader(text))
	s.must(err)
	s.step("outbound")
	s.step("deliver")
	s.accept(lab, s.seal(failedDSN(t, text), s.others[lab.Domain]))
	s.step("inbound")
	l, err := s.Timeline(t.Context(), by, id)
	s.must(err)
	last := l.Events[len(l.Events)-2] // then the message is closed
	if last.To != string(transit.Failed) || !strings.Contains(last.Detail, "the disk is full") || strings.ContainsRune(last.Detail, '\a') {
		t.Errorf("the timeline ends with %q", last.Detail)
	}
	if mails := s.inbox(); len(mails) != 1 || !strings.Contains(s.text(mails[0]), "the disk is full") {
		t.Errorf("%d reports", len(mails))
	}
}

func failedDSN(t *testing.T, about string) string {
	t.Helper()
	_, rest, _ := strings.Cut(about, "Message-ID: ")
	original, _, _ := strings.Cut(rest, "\r\n")
	var out strings.Builder
	err := dsn.Compose(&out, dsn.Report{
		From: lab, To: []addr.Address{desk}, Date: time.Now(), MessageID: "<dsn@south.example>", Subject: "Failed", ReportingMTA: "mx.south.example",
		OriginalMessageID: original, Recipients: []dsn.Status{{FinalRecipient: lab, Action: dsn.Failed, Code: "5.3.1", Comment: "the disk is full"}},
	}, "boundary-of-a-report")
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// An expired message whose signer can still not be judged is set aside, not tried for ever.
func TestExpiredUndecided(t *testing.T) {
	s := newSide(t)
	silent := certtest.NewCA(t, "Silent CA")
	silent.CDP = []string{"http://127.0.0.1:1/silent.crl"} // nobody answers there
	s.tx(func(tx *store.Tx) error {
		return tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Domain: desk.Domain}, Direction: transit.Inbound, DER: silent.Certificate.Raw, Source: "test"})
	})
	id := s.accept(ward, s.seal(letter(ward, "x", desk), silent.Issue(t, ward.Domain.String())))
	j := s.claim("inbound")
	s.must(s.run(t.Context(), j))
	if r := s.recipient(id, desk); r.State != transit.Accepted || s.works("inbound") != 1 {
		t.Fatalf("undecided is %q, with %d pieces of work", r.State, s.works("inbound"))
	}
	s.tx(func(tx *store.Tx) error { // due at once, on behalf of the clock
		return tx.InsertWork(&store.Work{Kind: "inbound", Ref: id})
	})
	s.now = s.now.Add(5 * 24 * time.Hour)
	s.must(s.run(t.Context(), s.claim("inbound")))
	if r := s.recipient(id, desk); r.State != transit.Aside || len(s.inbox()) != 0 {
		t.Errorf("after its time it is %q", r.State)
	}
}

// A message is decided in the end, also when the process ended between the last sealed group and the step's own transaction.
func TestDecidedAfterCrash(t *testing.T) {
	s := newSide(t)
	id := s.submit("short", lab)
	j := s.claim("outbound")
	s.stolen(j) // the group is written, the step's own transaction fails
	if err := s.run(t.Context(), j); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("without a lease: %v", err)
	}
	if r := s.recipient(id, lab); r.State != transit.Sealed {
		t.Fatalf("the recipient is %q", r.State)
	}
	s.must(s.run(t.Context(), s.claim("outbound")))
	l, err := s.Timeline(t.Context(), by, id)
	s.must(err)
	if l.Message.State != store.Decided {
		t.Errorf("the message is %q", l.Message.State)
	}
}
