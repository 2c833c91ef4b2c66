package flow_test

import (
	"errors"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// onTime has fn run once, when the step under test looks at the clock: between what it reads and what it writes.
func (s *side) onTime(fn func()) {
	s.Clock = func() time.Time {
		if do := fn; do != nil {
			fn = nil
			do()
		}
		return s.now
	}
}

// A recipient who failed while the notice about the delay was being written is not reported as waiting after that.
func TestDelayNoticeIsNotOutOfDate(t *testing.T) {
	s := newSide(t)
	id := s.submit("short", lab, ward)
	s.step("outbound")
	var failed addr.Address
	j := s.due("delay")
	s.onTime(func() {
		s.reply = func(c transit.Consignment) transit.Outcome {
			failed = c.To[0]
			return answers(c, transit.Rejected, 550)
		}
		s.step("deliver")
	})
	err := s.run(t.Context(), j)
	for _, m := range s.inbox() {
		for _, r := range s.status(m).Recipients {
			if r.Action == dsn.Delayed && r.FinalRecipient == failed {
				t.Error("delayed, after it was reported as failed")
			}
		}
	}
	if err == nil {
		t.Fatal("who waits still is not told")
	}
	s.tx(func(tx *store.Tx) error { return j.Retry(tx, 0, "again") })
	s.must(s.run(t.Context(), s.claim("delay")))
	if mails := s.inbox(); len(mails) != 2 || len(s.status(mails[1]).Recipients) != 1 {
		t.Errorf("%d reports about %s", len(mails), id)
	}
}

// Who has got further while the operator cancelled is not reported as cancelled: he looks again.
func TestCancelWhatHasMoved(t *testing.T) {
	s := newSide(t)
	boss := addr.Address{Endpoint: "boss", Domain: lab.Domain}
	text := letter(desk, "short", lab, boss)
	id := s.submitText(text, lab, boss)
	s.step("outbound")
	w := s.work("deliver", store.Ready)
	s.onTime(func() {
		s.accept(lab, s.seal(processedMDN(t, text), s.others[lab.Domain]))
		s.step("inbound")
	})
	if err := s.Cancel(t.Context(), operator, w.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if r := s.recipient(id, boss); r.State != transit.Sealed || s.audited("work.cancel") != 0 {
		t.Errorf("half done: %q", r.State)
	}
	s.must(s.Cancel(t.Context(), operator, w.ID))
	mails := s.inbox()
	if len(mails) != 1 {
		t.Fatalf("%d reports", len(mails))
	}
	if rs := s.status(mails[0]).Recipients; len(rs) != 1 || rs[0].FinalRecipient != boss {
		t.Errorf("reported as cancelled: %+v", rs)
	}
}
