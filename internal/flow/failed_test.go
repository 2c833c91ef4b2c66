package flow_test

import (
	"errors"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

// What cannot be delivered is told by a DSN, or by an MDN to partners who want it so: after the processed notice, once, from the recipient, with
// the cause and the remedy, and never to others than the rule names. Direct 3.1.1, 3.3; DIR-25, DIR-31.
func TestFailedForms(t *testing.T) {
	nobody := addr.Address{Endpoint: "nobody", Domain: desk.Domain}
	for name, tc := range map[string]struct {
		rules rule.Rules
		mdn   bool
	}{
		"no rule":         {nil, false},
		"MDN":             {rule.Rules{{Failures: rule.ByMDN}}, true},
		"DSN":             {rule.Rules{{Failures: rule.ByDSN}, {Failures: rule.ByMDN}}, false},
		"MDN for others":  {rule.Rules{{With: rule.Who{Domains: map[addr.Domain]bool{ward.Domain: true}}, Failures: rule.ByMDN}}, false},
		"MDN for partner": {rule.Rules{{With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}, Failures: rule.ByMDN}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.Rules = tc.rules
			in := s.seal(asksDelivery+letter(lab, "text", nobody), s.others[lab.Domain])
			id, err := s.Accept(t.Context(), transit.Envelope{From: addr.Path{Address: lab}, To: []addr.Address{nobody}}, strings.NewReader(string(in)))
			s.must(err)
			s.step("inbound")
			s.must(s.run(t.Context(), s.claim("failure")))
			made := func(kind string) (made string, err error) {
				err = s.Store.View(t.Context(), func(tx *store.Tx) (err error) {
					made, err = tx.NoticeOf(s.recipient(id, nobody).ID, kind)
					return err
				})
				return made, err
			}
			if _, err := made("failed"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("failed before processed: %v", err)
			}
			s.answered()
			s.step("failure")
			report, err := made("failed")
			s.must(err)
			if _, err := made("dispatched"); !errors.Is(err, store.ErrNotFound) || s.works("delivery") != 0 {
				t.Errorf("dispatched what nobody has: %v", err)
			}
			raw := s.raw(report)
			root, err := message.Parse(strings.NewReader(raw), int64(len(raw)), message.Limits{})
			s.must(err)
			if tc.mdn {
				n, err := mdn.Parse(root, strings.NewReader(raw))
				s.must(err)
				if n.Disposition != mdn.Failed || n.Manual || n.From != nobody || n.FinalRecipient != nobody || len(n.To) != 1 || n.To[0] != lab || n.OriginalMessageID == "" ||
					!strings.Contains(n.Failure, "nobody has this address") || !strings.Contains(n.Failure, "check the address") ||
					!strings.Contains(n.Text, "NOT delivered") || n.FinalDelivery() {
					t.Errorf("%+v\n%s", n, raw)
				}
				return
			}
			r, err := dsn.Parse(root, strings.NewReader(raw))
			s.must(err)
			if len(r.Recipients) != 1 || r.Recipients[0].Action != dsn.Failed || r.Recipients[0].Code != "5.1.1" || r.Recipients[0].FinalRecipient != nobody ||
				r.From != nobody || len(r.To) != 1 || r.To[0] != lab || r.OriginalMessageID == "" {
				t.Errorf("%+v\n%s", r, raw)
			}
		})
	}
}

// Mail for an address with a tag lies in the mailbox of the account; the notices about it come from the account and name the tag.
func TestDispatchedTagged(t *testing.T) {
	s := newSide(t)
	tagged := addr.Address{Endpoint: "desk+urgent", Domain: desk.Domain}
	in := s.seal(asksDelivery+"Disposition-Notification-To: lab@south.example\r\n"+letter(lab, "text", tagged), s.others[lab.Domain])
	id, err := s.Accept(t.Context(), transit.Envelope{From: addr.Path{Address: lab}, To: []addr.Address{tagged}}, strings.NewReader(string(in)))
	s.must(err)
	s.step("inbound")
	s.answered()
	s.step("delivery")
	if sent, err := s.SendReceipt(t.Context(), by, desk, id); err != nil || !sent {
		t.Errorf("receipt: %v, %v", sent, err)
	}
	for _, kind := range []string{"dispatched", "displayed"} {
		var made string
		s.must(s.Store.View(t.Context(), func(tx *store.Tx) (err error) {
			made, err = tx.NoticeOf(s.recipient(id, tagged).ID, kind)
			return err
		}))
		raw := s.raw(made)
		root, err := message.Parse(strings.NewReader(raw), int64(len(raw)), message.Limits{})
		s.must(err)
		n, err := mdn.Parse(root, strings.NewReader(raw))
		s.must(err)
		if n.From != desk || n.OriginalRecipient != tagged || n.FinalRecipient != tagged {
			t.Errorf("%s: %+v", kind, n)
		}
	}
}

// A recipient who has got his last word while a report about him and others was written is not in the one that is shown.
func TestReportOverrun(t *testing.T) {
	s := newSide(t)
	other := addr.Address{Endpoint: "other", Domain: lab.Domain}
	id := s.submit("text", lab, other)
	s.step("outbound")
	work := s.claim("deliver")
	s.reply = func(c transit.Consignment) transit.Outcome {
		if len(c.To) > 1 { // just now its recipient is failed by another way
			r := s.recipient(id, lab)
			s.tx(func(tx *store.Tx) error {
				return tx.MoveRecipient(r.ID, r.Version, store.Move{To: transit.Failed, Cause: string(transit.Cancel)})
			})
		}
		return answers(c, transit.Rejected, 550)
	}
	if err := s.run(t.Context(), work); !errors.Is(err, store.ErrConflict) {
		t.Errorf("told: %v", err)
	}
	if all := s.reports(); len(all) != 0 {
		t.Errorf("%+v", all[0])
	}
	s.must(s.run(t.Context(), work))
	if all := s.reports(); len(all) != 1 || len(all[0].Recipients) != 1 || all[0].Recipients[0].FinalRecipient != other {
		t.Errorf("%+v", all)
	}
}
