package flow_test

import (
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// submitWith submits a letter with what a mail program may say by RFC 3461.
func (s *side) submitWith(env transit.Envelope, to ...addr.Address) string {
	s.t.Helper()
	env.From, env.To = addr.Path{Address: desk}, to
	id, err := s.Submit(s.t.Context(), by, env, strings.NewReader(letter(desk, "the text", to...)))
	s.must(err)
	return id
}

// reports reads the DSNs in the sender's mailbox.
func (s *side) reports() (out []*dsn.Report) {
	s.t.Helper()
	for _, m := range s.inbox() {
		text := s.text(m)
		root, err := message.Parse(strings.NewReader(text), int64(len(text)), message.Limits{})
		s.must(err)
		r, err := dsn.Parse(root, strings.NewReader(text))
		s.must(err)
		out = append(out, r)
	}
	return out
}

// What a sender said at submission is obeyed: NOTIFY, ENVID, ORCPT, RET. RFC 3461 §4, §6; DIR-31.
func TestWishes(t *testing.T) {
	wish := func(n transit.Notify) map[string]transit.Wish {
		return map[string]transit.Wish{lab.Key(): {Notify: n, Original: "rfc822;The.Lab@south.example"}}
	}
	for name, tc := range map[string]struct {
		notify transit.Notify
		failed bool
	}{
		"nothing":         {0, true},
		"never":           {transit.NotifyNever, false},
		"failure":         {transit.NotifyFailure, true},
		"success":         {transit.NotifySuccess, false},
		"delay":           {transit.NotifyDelay, false},
		"failure success": {transit.NotifyFailure | transit.NotifySuccess, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.reply = func(c transit.Consignment) transit.Outcome { return answers(c, transit.Rejected, 550) }
			id := s.submitWith(transit.Envelope{ID: "QQ314159", Full: true, Wishes: wish(tc.notify)}, lab)
			s.step("outbound")
			s.step("deliver")
			if r := s.recipient(id, lab); r.State != transit.Failed {
				t.Fatalf("the recipient is %q", r.State)
			}
			if n := s.audited("recipient.fail"); n != 1 {
				t.Errorf("%d failures in the audit", n)
			}
			all := s.reports()
			if len(all) != map[bool]int{true: 1}[tc.failed] {
				t.Fatalf("%d reports", len(all))
			}
			if !tc.failed {
				return
			}
			r := all[0].Recipients[0]
			if all[0].OriginalEnvelopeID != "QQ314159" || r.OriginalRecipient.String() != "The.Lab@south.example" || r.Action != dsn.Failed {
				t.Errorf("the report: %+v", all[0])
			}
			if text := s.text(s.inbox()[0]); !strings.Contains(text, "Content-Type: message/rfc822\r\n") || !strings.Contains(text, "\r\n\r\nthe text") {
				t.Errorf("RET=FULL gives\n%s", text)
			}
		})
	}
	t.Run("one of two", func(t *testing.T) {
		s := newSide(t)
		s.reply = func(c transit.Consignment) transit.Outcome { return answers(c, transit.Rejected, 550) }
		s.submitWith(transit.Envelope{Wishes: wish(transit.NotifyNever)}, lab, ward)
		s.step("outbound")
		s.step("deliver")
		s.step("deliver")
		all := s.reports()
		if len(all) != 1 || len(all[0].Recipients) != 1 || all[0].Recipients[0].FinalRecipient != ward {
			t.Errorf("%+v", all)
		}
		if text := s.text(s.inbox()[0]); strings.Contains(text, "the text") || !strings.Contains(text, "\r\nSubject: the subject\r\n") {
			t.Errorf("without RET:\n%s", text)
		}
	})
	t.Run("delay", func(t *testing.T) {
		s := newSide(t)
		s.DelayNotice = time.Millisecond
		s.submitWith(transit.Envelope{Wishes: map[string]transit.Wish{lab.Key(): {Notify: transit.NotifyFailure}, ward.Key(): {Notify: transit.NotifyDelay}}}, lab, ward)
		s.step("delay")
		all := s.reports()
		if len(all) != 1 || len(all[0].Recipients) != 1 || all[0].Recipients[0].FinalRecipient != ward || all[0].Recipients[0].Action != dsn.Delayed {
			t.Errorf("%+v", all)
		}
	})
}

// A body that is gone keeps no report back.
func TestReportWithoutOriginal(t *testing.T) {
	s := newSide(t)
	id := s.submitWith(transit.Envelope{Full: true}, ward)
	s.tx(func(tx *store.Tx) error {
		m, err := tx.Message(id)
		if err != nil {
			return err
		}
		return tx.KillBlob(m.Raw)
	})
	work := s.claim("outbound")
	_ = s.run(t.Context(), work)
	if all := s.reports(); len(all) != 1 || all[0].OriginalMessageID == "" {
		t.Errorf("%+v", all)
	}
}
