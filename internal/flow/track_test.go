package flow_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

// asking is the field by which a sender asks for a notice of the final delivery.
const asking = "Disposition-Notification-To: desk@north.example\r\n" +
	"Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true\r\n"

// tracked is a message of ours that the test follows.
type tracked struct {
	id, messageID string
	asked         bool
	notify        transit.Notify // of all recipients
	to            []addr.Address
}

// wants says whether the sender is to be told of an end.
func (m tracked) wants(what transit.Notify) bool {
	if what == transit.NotifySuccess && m.asked {
		return m.notify != transit.NotifyNever
	}
	return m.notify.Wants(what)
}

func (s *side) track(asked bool, to ...addr.Address) tracked {
	s.t.Helper()
	return s.trackWith(asked, 0, to...)
}

func (s *side) trackWith(asked bool, notify transit.Notify, to ...addr.Address) tracked {
	s.t.Helper()
	text := letter(desk, "short", to...)
	if asked {
		text = asking + text
	}
	_, rest, _ := strings.Cut(text, "Message-ID: ")
	named, _, _ := strings.Cut(rest, "\r\n")
	env := transit.Envelope{From: addr.Path{Address: desk}, To: to, Wishes: map[string]transit.Wish{}}
	for _, a := range to {
		env.Wishes[a.Key()] = transit.Wish{Notify: notify}
	}
	id, err := s.Submit(s.t.Context(), by, env, strings.NewReader(text))
	s.must(err)
	return tracked{id, named, asked, notify, to}
}

// word composes what the side of one of the strangers says about a message.
func (s *side) word(m tracked, from addr.Address, d mdn.Disposition, field bool) string {
	s.t.Helper()
	letters++
	n := mdn.Notice{From: from, To: []addr.Address{desk}, Date: s.now, MessageID: fmt.Sprintf("<n%d@%s>", letters, from.Domain), Subject: string(d),
		OriginalMessageID: m.messageID, OriginalRecipient: from, FinalRecipient: from, Disposition: d, Text: "x"}
	if field {
		n.Extensions = []mdn.Extension{{Name: mdn.DeliveryExtension}}
	}
	var out strings.Builder
	s.must(mdn.Compose(&out, n, "boundary-of-a-notice"))
	return out.String()
}

// hear has a notice come in and be dealt with.
func (s *side) hear(m tracked, from addr.Address, d mdn.Disposition, field bool) {
	s.t.Helper()
	s.accept(from, s.seal(s.word(m, from, d, field), s.others[from.Domain]))
	s.step("inbound")
}

// heard counts what the mailbox of the sender says of each recipient of each message: "<id> address action".
func (s *side) heard() map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for _, mail := range s.inbox() {
		src := []byte(s.text(mail))
		root, err := message.Parse(bytes.NewReader(src), int64(len(src)), message.Limits{})
		s.must(err)
		r, err := dsn.Parse(root, bytes.NewReader(src))
		if err != nil {
			continue // a displayed notice, say
		}
		for _, st := range r.Recipients {
			out[fmt.Sprint(r.OriginalMessageID, " ", st.FinalRecipient, " ", st.Action)]++
		}
	}
	return out
}

func (s *side) state(m tracked, a addr.Address) transit.State { return s.recipient(m.id, a).State }

// MT 27, 29 (facts §5d), delivery notification 1.3: final is processed and dispatched, in any order; the sender who asked is told once.
func TestFinalDelivery(t *testing.T) {
	for name, order := range map[string][]mdn.Disposition{
		"in order": {mdn.Processed, mdn.Dispatched}, "dispatched first": {mdn.Dispatched, mdn.Processed},
		"each twice": {mdn.Dispatched, mdn.Dispatched, mdn.Processed, mdn.Processed, mdn.Dispatched},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			m := s.track(true, lab)
			s.step("outbound")
			s.step("deliver")
			for i, d := range order {
				if got := s.state(m, lab); got == transit.Dispatched && i < 2 {
					t.Errorf("delivered after %v", order[:i])
				}
				s.hear(m, lab, d, true)
			}
			if got := s.state(m, lab); got != transit.Dispatched {
				t.Fatalf("%q after both", got)
			}
			s.step("success")
			s.hear(m, lab, mdn.Failed, false) // against its own word
			heard := s.heard()
			if len(s.inbox()) != 1 || heard[m.messageID+" "+lab.String()+" delivered"] != 1 {
				t.Errorf("the sender hears %v, of %d mails", heard, len(s.inbox()))
			}
			if l, err := s.Timeline(t.Context(), by, m.id); err != nil || l.Message.State != store.Closed {
				t.Errorf("the message is %q", l.Message.State)
			}
		})
	}
}

// DIR-41. MT 27, 28: no dispatched notice in time is a failure, told once; the late one is swallowed and audited. The processed notice does not
// move the deadline. A dispatched notice without the field counts for nothing.
func TestNoDispatchedNotice(t *testing.T) {
	s := newSide(t)
	m := s.track(true, lab)
	s.step("outbound")
	s.step("deliver")
	before := s.recipient(m.id, lab).Deadline
	s.hear(m, lab, mdn.Processed, false)
	s.hear(m, lab, mdn.Dispatched, false)
	r := s.recipient(m.id, lab)
	if r.State != transit.Processed || !r.Deadline.Equal(before) || before.IsZero() {
		t.Errorf("%q until %v, not %v", r.State, r.Deadline, before)
	}
	l, err := s.Timeline(t.Context(), by, m.id)
	s.must(err)
	if res, awaits := flow.ResultOf(l.Message, l.Recipients[0]); res != flow.Pending || awaits != "dispatched notice" {
		t.Errorf("%s, awaits %q", res, awaits)
	}
	s.now = before.Add(time.Second)
	s.hasten("deadline")
	s.step("deadline")
	if got := s.state(m, lab); got != transit.Failed {
		t.Fatalf("after the deadline %q", got)
	}
	s.hear(m, lab, mdn.Dispatched, true)
	if heard := s.heard(); len(heard) != 1 || heard[m.messageID+" "+lab.String()+" failed"] != 1 || s.works("success") != 0 {
		t.Errorf("the sender hears %v", heard)
	}
	if n := s.received("late"); n != 1 {
		t.Errorf("%d late notices are audited", n)
	}
	l, err = s.Timeline(t.Context(), by, m.id)
	s.must(err)
	if last := l.Events[len(l.Events)-1]; !strings.Contains(last.Detail, "too late") {
		t.Errorf("the timeline ends with %q", last.Detail)
	}
}

// hasten makes the work of a kind due.
func (s *side) hasten(kind string) {
	s.t.Helper()
	s.tx(func(tx *store.Tx) error {
		all, err := tx.Works(store.Ready, 1000)
		for _, w := range all {
			if w.Kind == kind && err == nil {
				err = tx.RetryWorkNow(w.ID)
			}
		}
		return err
	})
}

// received counts the notices that had an effect, by the audit.
func (s *side) received(effect string) (n int) {
	s.t.Helper()
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: "notice.receive", Limit: 1000})
		n = 0
		for _, r := range all {
			if r.Detail["effect"] == effect {
				n++
			}
		}
		return err
	}))
	return n
}

// DCM-17: who sends no notices is served without a false failure, and it is said that no more is known. Who sends one all the same is heard.
func TestPartnerWithoutNotices(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{{With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}, Notices: rule.Never}}
	for _, asked := range []bool{false, true} {
		m := s.track(asked, lab)
		s.step("outbound")
		s.step("deliver")
		if r := s.recipient(m.id, lab); r.State != transit.Relayed || !r.Deadline.IsZero() || s.works("deadline") != 0 {
			t.Fatalf("%q, with a deadline %v", r.State, r.Deadline)
		}
		l, err := s.Timeline(t.Context(), by, m.id)
		s.must(err)
		if res, awaits := flow.ResultOf(l.Message, l.Recipients[0]); res != flow.HandedOn || awaits != "" || l.Message.State != store.Closed {
			t.Errorf("%s, awaits %q, %q", res, awaits, l.Message.State)
		}
		if asked {
			s.step("success")
		}
		if heard := s.heard(); heard[m.messageID+" "+lab.String()+" relayed"] != map[bool]int{true: 1}[asked] {
			t.Errorf("asked=%v: the sender hears %v", asked, heard)
		}
		s.hear(m, lab, mdn.Processed, false)
		if got := s.state(m, lab); got != transit.Processed {
			t.Errorf("a notice that comes all the same leaves %q", got)
		}
		s.hear(m, lab, mdn.Failed, false)
		if heard := s.heard(); heard[m.messageID+" "+lab.String()+" failed"] != 1 {
			t.Errorf("a failure is not told: %v", heard)
		}
	}
}

// A rule that comes later saves who waits already; a partner's patience is his own.
func TestRuleComesLater(t *testing.T) {
	s := newSide(t)
	south := rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}
	s.Rules = rule.Rules{{With: south, Patience: 2 * time.Hour}}
	m := s.track(false, lab)
	s.step("outbound")
	s.step("deliver")
	if d := s.recipient(m.id, lab).Deadline.Sub(s.now).Round(time.Second); d != 2*time.Hour {
		t.Errorf("a deadline after %v", d)
	}
	s.Rules = rule.Rules{{With: south, Notices: rule.Never}}
	s.hasten("deadline")
	s.step("deadline")
	if got := s.state(m, lab); got != transit.Relayed || len(s.inbox()) != 0 {
		t.Errorf("%q, with %d mails", got, len(s.inbox()))
	}
}

// A deadline that passed while the gateway did not run waits a while longer: the other side could not reach us. Then it passes, once.
func TestDeadlineWhileAway(t *testing.T) {
	s := newSide(t)
	m := s.track(false, lab)
	s.step("outbound")
	s.step("deliver")
	s.now = s.now.Add(5 * time.Hour)
	s.restart()
	s.hasten("deadline")
	s.must(s.run(t.Context(), s.claim("deadline")))
	if got := s.state(m, lab); got != transit.Sent || s.works("deadline") != 1 {
		t.Fatalf("right after the start %q", got)
	}
	s.now = s.now.Add(16 * time.Minute)
	s.hasten("deadline")
	s.step("deadline")
	if got := s.state(m, lab); got != transit.Failed || len(s.inbox()) != 1 {
		t.Errorf("%q, with %d mails", got, len(s.inbox()))
	}
}

// What a person wants to see of a report is shown, once: displayed notices. Others are taken note of.
func TestDisplayedIsShown(t *testing.T) {
	s := newSide(t)
	m := s.track(false, lab)
	s.step("outbound")
	s.step("deliver")
	s.hear(m, lab, mdn.Displayed, false)
	s.hear(m, lab, mdn.Displayed, false)
	if got := s.state(m, lab); got != transit.Processed || len(s.inbox()) != 1 {
		t.Errorf("%q, with %d mails", got, len(s.inbox()))
	}
}

// Who reads a timeline is in the audit; who is told that there is nothing new has read nothing.
func TestTimelineIsAudited(t *testing.T) {
	s := newSide(t)
	m := s.track(false, lab)
	l, err := s.Timeline(t.Context(), "account:1", m.id)
	s.must(err)
	if _, err := s.News(t.Context(), "account:1", m.id, l.Events[len(l.Events)-1].Seq); err != flow.ErrNoNews {
		t.Errorf("no news: %v", err)
	}
	if n := s.audited("timeline.read"); n != 1 {
		t.Errorf("%d entries", n)
	}
	if ids, err := s.Named(t.Context(), by, strings.Trim(m.messageID, "<>")); err != nil || !slices.Equal(ids, []string{m.id}) || s.audited("message.find") != 1 {
		t.Errorf("%v, %v", ids, err)
	}
	for _, name := range []string{"", "<", "<none@north.example>"} {
		if _, err := s.Named(t.Context(), by, name); err == nil {
			t.Errorf("%q is found", name)
		}
	}
}

// reach says that states lead from one to the other.
func reach(from, to transit.State) bool {
	if from == to {
		return true
	}
	for _, e := range []transit.Event{transit.Seal, transit.Refuse, transit.HandOver, transit.Relay, transit.Reject, transit.Expire, transit.Overdue,
		transit.Cancel, transit.Confirm, transit.Dispatch, transit.Fail} {
		if next, err := from.Next(e); err == nil && reach(next, to) {
			return true
		}
	}
	return false
}

// ATT-34, DIR-23, DIR-50. Any order of events, with drops, repeats, a clock that leaps, and restarts: states move forward alone, every recipient comes to an end,
// each deadline fires once at most, and the sender has one final word on each recipient: a failure, or, where he asked, a delivery.
func TestAnyOrder(t *testing.T) {
	rounds := 1
	if os.Getenv("CAREPOST_FULL") != "" {
		rounds = 12
	}
	for i := range rounds {
		seed := uint64(i)
		if rounds > 1 {
			seed = rand.Uint64()
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { anyOrder(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func anyOrder(t *testing.T, rnd *rand.Rand) {
	s := newSide(t)
	s.Patience = time.Millisecond
	s.Rules = rule.Rules{{With: rule.Who{Addresses: map[string]bool{ward.Key(): rnd.IntN(2) == 0}}, Notices: rule.Never}}
	s.reply = func(c transit.Consignment) transit.Outcome {
		if rnd.IntN(6) == 0 {
			return answers(c, transit.Rejected, 550)
		}
		return answers(c, transit.Delivered, 250)
	}
	var all []tracked
	last := map[string]transit.State{}
	sent := [][]byte{}
	steps := []string{"outbound", "deliver", "inbound", "success"}
	base := s.now
	for op := range 90 {
		switch n := rnd.IntN(20); {
		case n < 3 && len(all) < 8:
			notify := []transit.Notify{0, 0, transit.NotifyNever, transit.NotifySuccess, transit.NotifyFailure | transit.NotifySuccess}[rnd.IntN(5)]
			all = append(all, s.trackWith(rnd.IntN(2) == 0, notify, [][]addr.Address{{lab}, {ward}, {lab, ward}}[rnd.IntN(3)]...))
		case n < 8 && len(all) > 0:
			m := all[rnd.IntN(len(all))]
			from := m.to[rnd.IntN(len(m.to))]
			if s.recipient(m.id, from).State == transit.Accepted {
				continue // nobody has it yet
			}
			d := []mdn.Disposition{mdn.Processed, mdn.Processed, mdn.Dispatched, mdn.Dispatched, mdn.Displayed, mdn.Failed}[rnd.IntN(6)]
			sealed := s.seal(s.word(m, from, d, rnd.IntN(4) > 0), s.others[from.Domain])
			sent = append(sent, sealed)
			if rnd.IntN(5) > 0 { // else it is lost
				s.accept(from, sealed)
			}
		case n == 8 && len(sent) > 0:
			s.accept(lab, sent[rnd.IntN(len(sent))]) // once more, or after the rest
		case n == 9:
			s.now = base.Add(time.Duration(rnd.IntN(7)-3) * time.Hour) // the clock leaps, either way
		case n == 10 && op%3 == 0:
			s.restart()
		case n == 11:
			s.deadlines()
		default:
			if kind := steps[rnd.IntN(len(steps))]; s.works(kind) > 0 {
				s.step(kind)
			}
		}
		s.forward(all, last)
	}
	for s.works("outbound")+s.works("deliver")+s.works("inbound")+s.works("deadline")+s.works("success") > 0 {
		for _, kind := range steps {
			for s.works(kind) > 0 {
				s.step(kind)
				s.forward(all, last)
			}
		}
		s.now = s.now.Add(time.Hour) // past all leaps
		s.deadlines()
		s.forward(all, last)
	}
	s.ends(all)
}

// deadlines has those fire that are due; the millisecond that each is long has gone.
func (s *side) deadlines() {
	for range s.works("deadline") {
		s.now = s.now.Add(time.Second)
		s.hasten("deadline")
		s.step("deadline")
	}
}

// forward checks that no recipient has gone back.
func (s *side) forward(all []tracked, last map[string]transit.State) {
	s.t.Helper()
	for _, m := range all {
		for _, to := range m.to {
			key, now := m.id+to.String(), s.state(m, to)
			if was, ok := last[key]; ok && !reach(was, now) {
				s.t.Fatalf("from %q to %q", was, now)
			}
			last[key] = now
		}
	}
}

// ends checks what became of everything, and what the sender was told.
func (s *side) ends(all []tracked) {
	s.t.Helper()
	heard := s.heard()
	told := map[transit.State]int{}
	for _, m := range all {
		l, err := s.Timeline(s.t.Context(), by, m.id)
		s.must(err)
		for _, r := range l.Recipients {
			told[r.State]++
			count := func(a dsn.Action) int { return heard[fmt.Sprint(m.messageID, " ", r.Address, " ", a)] }
			failed, delivered, relayed := count(dsn.Failed), count(dsn.Delivered), count(dsn.Relayed)
			if _, awaits := flow.ResultOf(l.Message, r); awaits != "" {
				s.t.Errorf("%q waits for the %s for ever", r.State, awaits)
			}
			overdue := 0
			for _, e := range l.Events {
				if e.Recipient == r.ID && e.From != e.To && e.To == string(transit.Failed) {
					overdue++
				}
			}
			want := map[bool]int{true: 1}
			good := m.wants(transit.NotifySuccess)
			if failed != want[r.State == transit.Failed && m.wants(transit.NotifyFailure)] || delivered != want[r.State == transit.Dispatched && good] ||
				relayed > 1 || relayed > 0 && !good || overdue > 1 {
				s.t.Errorf("%q, asked %v: failed %d, delivered %d, relayed %d times, %d failures", r.State, m.asked, failed, delivered, relayed, overdue)
			}
		}
	}
	s.t.Log("ended as", told)
}
