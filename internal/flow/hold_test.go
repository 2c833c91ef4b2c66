package flow_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"carepost/internal/flow"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// holding has a person release all mail of one way with somebody.
func holding(d transit.Direction, with ...string) rule.Rules {
	yes := true
	r := rule.Rule{Hold: &yes, Direction: d}
	if len(with) > 0 {
		r.With.Addresses = map[string]bool{}
	}
	for _, key := range with {
		r.With.Addresses[key] = true
	}
	return rule.Rules{r}
}

func (s *side) held(n int) []flow.Held {
	s.t.Helper()
	all, err := s.HeldMail(s.t.Context(), operator)
	s.must(err)
	if len(all) != n {
		s.t.Fatalf("%d wait, not %d", len(all), n)
	}
	return all
}

// Mail on its way out waits for each recipient on its own; the others have theirs. What is released goes the way of all mail, once.
func TestHoldOutgoing(t *testing.T) {
	s := newSide(t)
	s.Rules = holding(transit.Outbound, ward.Key())
	id := s.submit("short", lab, ward)
	s.step("outbound")
	s.step("deliver")
	if r := s.recipient(id, lab); r.State != transit.Sent {
		t.Errorf("who is not meant: %q", r.State)
	}
	h := s.held(1)[0]
	if h.Recipient.Address != ward || h.Recipient.State != transit.Accepted || h.Message.ID != id || time.Until(h.Until) < 71*time.Hour {
		t.Errorf("%+v", h)
	}
	if n := s.works("outbound") + s.works("deliver"); n != 0 {
		t.Errorf("%d pieces of work go on", n)
	}
	l, err := s.Timeline(t.Context(), operator, id)
	s.must(err)
	if last := l.Events[len(l.Events)-1]; !strings.Contains(timeline(l), "held: a person of this gateway is to release it") {
		t.Errorf("%+v", last)
	}
	s.refused(s.Retry(t.Context(), operator, h.Work), "local policy")
	s.refused(s.Hold(t.Context(), operator, h.Work), "local policy")

	s.now = s.now.Add(3 * 24 * time.Hour)
	s.must(s.Release(t.Context(), operator, h.Work))
	for name, err := range map[string]error{"release": s.Release(t.Context(), operator, h.Work), "cancel": s.Cancel(t.Context(), operator, h.Work)} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s after that: %v", name, err)
		}
	}
	s.held(0)
	s.step("outbound")
	s.step("deliver")
	if r := s.recipient(id, ward); r.State != transit.Sent || s.audited("recipient.hold") != 1 || s.audited("recipient.release") != 1 || len(s.inbox()) != 0 {
		t.Errorf("%q, %d held, %d released, %d reports", r.State, s.audited("recipient.hold"), s.audited("recipient.release"), len(s.inbox()))
	}
}

// What a rule watches for is held, and nothing else is; why is told in words that hold nothing of the letter. DIR-56.
func TestWatched(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{{Direction: transit.Outbound, Watch: []*regexp.Regexp{regexp.MustCompile(`(?i)\bshort\b`)}}}
	passes := s.submit("long", lab)
	waits := s.submit("in short", lab)
	s.step("outbound")
	s.step("outbound")
	if a, b := s.recipient(passes, lab).State, s.recipient(waits, lab).State; a != transit.Sealed || b != transit.Accepted {
		t.Errorf("%q passes, %q waits", a, b)
	}
	if h := s.held(1)[0]; h.Message.ID != waits {
		t.Errorf("%+v", h)
	}
	l, err := s.Timeline(t.Context(), operator, waits)
	s.must(err)
	if words := timeline(l); !strings.Contains(words, "a rule watches for what it holds (expression 1)") || strings.Contains(words, "in short") {
		t.Error(words)
	}
}

func timeline(l flow.Timeline) (out string) {
	for _, e := range l.Events {
		out += e.Cause + " " + e.Detail + "\n"
	}
	return out
}

// What nobody releases fails, by the operator's word or by time; the sender is told once what held it.
func TestHoldOutgoingEnds(t *testing.T) {
	for name, end := range map[string]func(*side, flow.Held){
		"cancelled": func(s *side, h flow.Held) { s.must(s.Cancel(s.t.Context(), operator, h.Work)) },
		"expired":   func(s *side, _ flow.Held) { s.twice(s.due("release")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.Rules = holding(transit.Outbound)
			id := s.submit("short", lab)
			s.step("outbound")
			h := s.held(1)[0]
			end(s, h)
			mails := s.inbox()
			if r := s.recipient(id, lab); r.State != transit.Failed || len(mails) != 1 {
				t.Fatalf("%q, %d reports", r.State, len(mails))
			}
			if r, text := s.status(mails[0]), strings.ReplaceAll(s.text(mails[0]), "=\r\n", ""); r.Recipients[0].Code != "5.7.1" || !strings.Contains(text, "holds such mail") || !strings.Contains(text, "your own gateway") {
				t.Errorf("%s", text)
			}
			l, err := s.Timeline(t.Context(), operator, id)
			s.must(err)
			if l.Message.State != store.Closed || s.works("outbound")+s.works("delay")+s.works("release") != 0 {
				t.Errorf("the message is %q; %d pieces of work", l.Message.State, s.works(""))
			}
			s.held(0)
		})
	}
}

// twice runs a piece of work and then once more, as after a kill.
func (s *side) twice(j *queue.Job) {
	s.t.Helper()
	s.must(s.run(s.t.Context(), j))
	_ = s.run(s.t.Context(), j)
}

// Who is released while the others are being decided about is not forgotten.
func TestReleasedMeanwhile(t *testing.T) {
	s := newSide(t)
	s.Rules = holding(transit.Outbound, ward.Key())
	id := s.submit("short", lab, ward)
	s.must(s.Store.Tx(t.Context(), func(*store.Tx) error { return nil }))
	j := s.claim("outbound")
	s.tell = func(what string, _, _ int64) {
		if what == "seal" && s.audited("recipient.release") == 0 {
			s.must(s.Release(context.Background(), operator, s.held(1)[0].Work))
		}
	}
	s.must(s.run(t.Context(), j))
	s.step("outbound")
	if r := s.recipient(id, ward); r.State != transit.Sealed {
		t.Errorf("%q", r.State)
	}
}

// Mail that came in is open and trusted, and answered so; a mailbox shows it when a person says so.
func TestHoldIncoming(t *testing.T) {
	for name, end := range map[string]func(*side, flow.Held) (shown int){
		"released":  func(s *side, h flow.Held) int { s.must(s.Release(s.t.Context(), operator, h.Work)); return 1 },
		"cancelled": func(s *side, h flow.Held) int { s.must(s.Cancel(s.t.Context(), operator, h.Work)); return 0 },
		"expired":   func(s *side, _ flow.Held) int { s.twice(s.due("release")); return 0 },
		"closed": func(s *side, h flow.Held) int {
			s.tx(func(tx *store.Tx) error {
				a, err := tx.Account(desk)
				if err != nil {
					return err
				}
				return tx.CloseAccount(a.ID)
			})
			s.must(s.Release(s.t.Context(), operator, h.Work))
			return -1
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.Rules = holding(transit.Inbound)
			id := s.accept(lab, s.seal(letter(lab, large, desk), s.others[lab.Domain]))
			s.step("inbound")
			h := s.held(1)[0]
			if n := len(s.inbox()); n != 0 || h.Message.Header.Subject == "" {
				t.Errorf("%d shown", n)
			}
			s.step("notice") // within the sender's time, whatever becomes of it
			s.step("outbound")
			s.step("deliver")
			if l, err := s.Timeline(t.Context(), operator, id); err != nil || l.Message.State != store.Closed || !strings.Contains(timeline(l), "rule: held until") {
				t.Errorf("%q, %v", l.Message.State, err)
			}
			shown := end(s, h)
			if shown >= 0 && len(s.inbox()) != shown {
				t.Errorf("%d shown, not %d", len(s.inbox()), shown)
			}
			s.held(0)
			var there bool
			s.must(s.Store.View(t.Context(), func(tx *store.Tx) error {
				m, err := tx.Message(id)
				if err != nil {
					return err
				}
				_, err = tx.Blob(m.Work)
				there = err == nil
				return nil
			}))
			if there != (shown == 1) {
				t.Errorf("its body is there: %v", there)
			}
			if shown == 1 {
				if s.works("failure") != 0 || !strings.HasSuffix(s.text(s.inbox()[0]), large) {
					t.Error("what is shown is not what came")
				}
				return
			}
			s.step("failure")
			if s.audited("notice.send") != 2 {
				t.Errorf("%d answers", s.audited("notice.send"))
			}
		})
	}
}

// One who deletes his mail does not take it from another for whom it waits.
func TestHeldBodyStays(t *testing.T) {
	s := newSide(t)
	s.Rules = holding(transit.Inbound)
	s.accept(lab, s.seal(letter(lab, large, desk), s.others[lab.Domain]))
	s.step("inbound")
	h := s.held(1)[0]
	s.must(s.Store.View(t.Context(), func(tx *store.Tx) error {
		n, err := tx.BlobMails(h.Message.Work)
		if n != 1 {
			t.Errorf("%d have it", n)
		}
		return err
	}))
}
