package flow_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/drop"
	"carepost/internal/flow"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

const asksDelivery = "Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\r\n"

// notice reads the notice of a kind that was made about a recipient of ours; nil where there is none.
func (s *side) notice(id, kind string) *mdn.Notice {
	s.t.Helper()
	var made string
	err := s.Store.View(s.t.Context(), func(tx *store.Tx) (err error) { made, err = tx.NoticeOf(s.recipient(id, desk).ID, kind); return err })
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	s.must(err)
	raw := s.raw(made)
	root, err := message.Parse(strings.NewReader(raw), int64(len(raw)), message.Limits{})
	s.must(err)
	n, err := mdn.Parse(root, strings.NewReader(raw))
	s.must(err)
	return n
}

// arrive has a stranger's letter with more fields come in, and runs the inbound step.
func (s *side) arrive(from addr.Address, fields, text string) (id string) {
	s.t.Helper()
	id = s.accept(from, s.seal(fields+letter(from, text, desk), s.others[from.Domain]))
	s.step("inbound")
	return id
}

// answered sends the processed notice on its way, out of the house.
func (s *side) answered() {
	s.t.Helper()
	s.step("notice")
	s.step("outbound")
	s.step("deliver")
}

// MT39, MT40: who asks for it is told of the final delivery, after the processed notice; a malformed request asks for nothing. DIR-51.
func TestDispatched(t *testing.T) {
	for name, tc := range map[string]struct {
		fields string
		want   bool
	}{
		"asked":          {asksDelivery, true},
		"any case":       {strings.ToLower(asksDelivery), true},
		"not asked":      {"", false},
		"bad option":     {"Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=true\r\n", false},
		"another option": {"Disposition-Notification-Options: X-XXXX-FINAL-DESTINATION-DELIVERY=optional,true\r\n", false},
		"only a receipt": {"Disposition-Notification-To: lab@south.example\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			id := s.arrive(lab, tc.fields, "text")
			if n := s.works("delivery"); n != map[bool]int{true: 1}[tc.want] {
				t.Fatalf("%d duties", n)
			}
			if !tc.want {
				return
			}
			s.must(s.run(t.Context(), s.claim("delivery"))) // the processed notice goes first
			if s.notice(id, "dispatched") != nil {
				t.Error("dispatched before processed")
			}
			s.answered()
			s.step("delivery")
			n := s.notice(id, "dispatched")
			if n == nil || !n.FinalDelivery() || n.From != desk || len(n.To) != 1 || n.To[0] != lab || n.FinalRecipient != desk ||
				n.OriginalMessageID == "" || n.Manual || n.Subject != "Delivered: the subject" {
				t.Errorf("the notice: %+v", n)
			}
			if n := s.audited("notice.send"); n != 2 {
				t.Errorf("%d notices in the audit", n)
			}
		})
	}
}

// Whose mail is laid into folders has it when it lies there: until then nobody says so. What cannot be laid there is reported as failed.
func TestDispatchedWhereItIsRead(t *testing.T) {
	s := newSide(t)
	dir := filepath.Join(t.TempDir(), "mail")
	s.tx(func(tx *store.Tx) error {
		a, err := tx.Account(desk)
		if err != nil {
			return err
		}
		return tx.SetDrops(a.ID, store.Drops{Maildir: dir, Studies: dir + ".studies"})
	})
	d := &drop.Service{Store: s.Store, Blobs: s.Blobs}
	q, err := queue.New(queue.Options{Store: s.Store}, append(s.Handlers(), d.Handlers()...)...)
	s.must(err)
	s.queue, s.handlers["drop"] = q, d.Handlers()[0].Do

	id := s.arrive(lab, asksDelivery, "text")
	s.answered()
	s.must(s.run(t.Context(), s.claim("delivery")))
	s.step("drop")
	s.must(s.run(t.Context(), s.claim("delivery")))
	if s.notice(id, "dispatched") != nil {
		t.Error("dispatched while a folder lacks it")
	}
	s.step("drop")
	s.step("delivery")
	if n := s.notice(id, "dispatched"); n == nil || !n.FinalDelivery() {
		t.Errorf("the notice: %+v", n)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "new", "*")); len(found) != 1 {
		t.Errorf("in the folder: %v", found)
	}

	s.step("outbound")
	s.step("deliver")
	id = s.arrive(lab, asksDelivery, "text")
	s.answered()
	j := s.claim("drop")
	s.tx(func(tx *store.Tx) error { return j.Bury(tx, "the disk is gone") })
	s.step("delivery")
	if s.notice(id, "dispatched") != nil {
		t.Error("dispatched what was never laid down")
	}
	var made string
	s.must(s.Store.View(t.Context(), func(tx *store.Tx) (err error) {
		made, err = tx.NoticeOf(s.recipient(id, desk).ID, "failed")
		return err
	}))
	if text := s.raw(made); !strings.Contains(text, "Status: 5.2.0") || !strings.Contains(text, "could not be laid") {
		t.Errorf("the failure:\n%s", text)
	}
}

// A receipt is sent by a person's consent only, once, and only to who asks. Never for a report. RFC 3798 §2.1, DIR-24, DIR-51.
func TestReceipt(t *testing.T) {
	s := newSide(t)
	asked := s.arrive(lab, "Disposition-Notification-To: Records <records@south.example>, LAB@south.example\r\n", "text")
	plain := s.arrive(lab, "", "text")
	if n := s.audited("notice.send"); n != 0 || s.notice(asked, "displayed") != nil {
		t.Error("sent unasked")
	}
	r, err := s.Receipt(t.Context(), desk, asked)
	if err != nil || len(r.To) != 2 || r.Sent {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Receipt(t.Context(), desk, plain); err != nil || len(r.To) != 0 {
		t.Errorf("who did not ask: %+v, %v", r, err)
	}
	for i, want := range []bool{true, false} {
		if sent, err := s.SendReceipt(t.Context(), by, desk, asked); err != nil || sent != want {
			t.Errorf("time %d: %v, %v", i+1, sent, err)
		}
	}
	n := s.notice(asked, "displayed")
	if n == nil || n.Disposition != mdn.Displayed || !n.Manual || len(n.To) != 2 || n.From != desk || n.OriginalMessageID == "" {
		t.Errorf("the receipt: %+v", n)
	}
	if r, err := s.Receipt(t.Context(), desk, asked); err != nil || !r.Sent {
		t.Errorf("afterwards: %+v, %v", r, err)
	}
	var refusal *flow.Refusal
	if _, err := s.SendReceipt(t.Context(), by, desk, plain); !errors.As(err, &refusal) {
		t.Errorf("who did not ask is told: %v", err)
	}
	for name, id := range map[string]string{"nothing": "none", "our own": s.submit("text", lab)} {
		if _, err := s.SendReceipt(t.Context(), by, desk, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.SendReceipt(t.Context(), by, lab, asked); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("somebody else's mail: %v", err)
	}
	// A report about nothing of ours lies in the mailbox, and asks in vain.
	report := s.accept(lab, s.seal("Disposition-Notification-To: lab@south.example\r\n"+failedDSN(t, "Message-ID: <none@north.example>\r\n"), s.others[lab.Domain]))
	s.step("inbound")
	if r, err := s.Receipt(t.Context(), desk, report); err != nil || len(r.To) != 0 {
		t.Errorf("a report: %+v, %v", r, err)
	}
}

// A message with the null reverse-path is answered to whom its header names, and never to "<>" (RFC 5321 §4.5.5, DIR-28).
func TestNullSender(t *testing.T) {
	s := newSide(t)
	id, err := s.Accept(t.Context(), transit.Envelope{To: []addr.Address{desk}}, bytes.NewReader(s.seal(asksDelivery+letter(lab, "text", desk), s.others[lab.Domain])))
	s.must(err)
	s.step("inbound")
	s.step("notice")
	processed := s.notice(id, "processed")
	s.step("outbound")
	s.step("deliver")
	s.step("delivery")
	for _, n := range []*mdn.Notice{processed, s.notice(id, "dispatched")} {
		if n == nil || len(n.To) != 1 || n.To[0] != lab {
			t.Errorf("%+v", n)
		}
	}
}
