package trial_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// tale is one message of a trial and what must have become of it.
type tale struct {
	name      string
	from, to  *practice
	sender    addr.Address
	recipient addr.Address
	messageID string // as in the header: what both sides know it by
	text      string
	id        string // at the sender's; empty until told
	end       end
}

// end is how a tale ends.
type end int

const (
	read    end = iota // in the recipient's mailbox, the processed notice at the sender's
	unknown            // nobody has the address: processed, then failed
	late               // the notice came after the sender's deadline
	laid               // a notice of the final delivery was asked for, and has come
)

// submit hands the message over until somebody has said that it is taken. A sender whose answer was lost sends the same message again.
func (x *tale) submit(t testing.TB) {
	t.Helper()
	m := x.from.mailer(t, x.sender)
	defer m.close()
	x.post(t, m)
}

// post is submit by a mail program that has more to send. It does not end the test, and may be called beside it.
func (x *tale) post(t testing.TB, m *mailer) bool {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		id, err := m.submit([]addr.Address{x.recipient}, strings.NewReader(x.text))
		if err == nil {
			x.id = id
			return true
		}
		if refused(err) || time.Now().After(end) {
			t.Errorf("%s is not taken: %v", x.name, err)
			return false
		}
		<-time.After(50 * time.Millisecond) // the server is being started
	}
}

// acts counts the audit entries about an object, by action and kind.
func acts(tx *store.Tx, object string) (map[string]int, error) {
	records, err := audit.List(tx, audit.Filter{Object: object, Limit: 10_000})
	out := map[string]int{}
	for _, r := range records {
		what := r.Action
		if what == "timeline.read" { // that is us, again and again
			continue
		}
		for _, key := range []string{"kind", "what"} {
			if k := r.Detail[key]; k != "" {
				what += ", " + k
			}
		}
		out[what]++
	}
	return out, err
}

// once complains of acts that were not done exactly once, and of those wanted that were not done.
func once(t testing.TB, about string, tx *store.Tx, object string, want ...string) error {
	t.Helper()
	got, err := acts(tx, object)
	for _, w := range want {
		if got[w] != 1 {
			t.Errorf("%s: %d entries of %q, want 1: %v", about, got[w], w, got)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(got)) {
		if got[what] > 1 && !slices.Contains(want, what) {
			t.Errorf("%s: %d entries of %q", about, got[what], what)
		}
	}
	return err
}

const (
	processedNotice = "notice.receive, processed notice, signed and encrypted"
	failedNotice    = "notice.receive, failed notice"

	dispatchedNotice = "notice.receive, dispatched notice: it has been delivered to its final destination"
)

// one is the only message that a side knows by a Message-ID, in one direction, and its only recipient.
func one(t testing.TB, about string, tx *store.Tx, messageID string, d transit.Direction) (m store.Message, r store.Recipient, err error) {
	t.Helper()
	all, err := tx.MessagesByHeaderID(messageID)
	all = slices.DeleteFunc(all, func(m store.Message) bool { return m.Direction != d })
	if err != nil || len(all) != 1 {
		t.Errorf("%s: %d messages, want 1 (%v)", about, len(all), err)
		return m, r, errors.Join(err, errNone)
	}
	rs, err := tx.Recipients(all[0].ID)
	if err != nil || len(rs) != 1 {
		t.Errorf("%s: %d recipients, want 1 (%v)", about, len(rs), err)
		return m, r, errors.Join(err, errNone)
	}
	return all[0], rs[0], nil
}

var errNone = errors.New("not there")

// books are the store of a practice as its last process left it.
type books struct {
	*store.Store
	shown map[string]map[string]int // what copies has counted, by address
}

func (b *books) copies(tx *store.Tx, of addr.Address) (map[string]int, error) {
	if b.shown[of.Key()] == nil {
		all, err := copies(tx, of)
		if err != nil {
			return nil, err
		}
		b.shown[of.Key()] = all
	}
	return b.shown[of.Key()], nil
}

// copies counts the mails of an address by the message that they are.
func copies(tx *store.Tx, of addr.Address) (map[string]int, error) {
	out := map[string]int{}
	account, err := tx.Account(of)
	if err != nil {
		return nil, err
	}
	boxes, err := tx.Mailboxes(account.ID)
	if err != nil {
		return nil, err
	}
	for _, box := range boxes {
		mails, err := tx.ListMail(box.ID, 0, 1<<20)
		if err != nil {
			return nil, err
		}
		for _, m := range mails {
			out[m.Message]++
		}
	}
	return out, nil
}

// check reads what both sides have written about the tale.
func (x *tale) check(t testing.TB, from, to *books) {
	t.Helper()
	var notice string
	view(t, to, func(tx *store.Tx) (err error) {
		notice, err = x.checkRecipient(t, to, tx)
		return ignore(err)
	})
	view(t, from, func(tx *store.Tx) error { return ignore(x.checkSender(t, tx, notice)) })
}

// checkRecipient looks at the recipient's side and gives the Message-ID of the notice that it has made.
func (x *tale) checkRecipient(t testing.TB, b *books, tx *store.Tx) (messageID string, err error) {
	t.Helper()
	m, r, err := one(t, x.name+": at the recipient's", tx, x.messageID, transit.Inbound)
	if err != nil {
		return "", err
	}
	if r.State != transit.Settled {
		t.Errorf("%s: the recipient is %q on his own side", x.name, r.State)
	}
	want := []string{"recipient.open", "notice.send, processed"}
	if x.end == laid {
		want = append(want, "notice.send, dispatched")
	}
	if x.end == unknown {
		want = append(want, "notice.send, failed")
	} else if mails, err := b.copies(tx, x.recipient); err != nil || mails[m.ID] != 1 {
		t.Errorf("%s: %d copies in the mailbox, want 1 (%v)", x.name, mails[m.ID], err)
	}
	notice, err := tx.NoticeOf(r.ID, "processed")
	if err != nil {
		return "", err
	}
	n, err := tx.Message(notice)
	if err != nil {
		return "", err
	}
	_, nr, err := one(t, x.name+": the processed notice", tx, n.Header.MessageID, transit.Outbound)
	if err != nil {
		return "", err
	}
	return n.Header.MessageID, errors.Join(
		once(t, x.name+": the message", tx, "message:"+m.ID, "message.accept", "message.close"),
		once(t, x.name+": its recipient", tx, "recipient:"+r.ID, want...),
		once(t, x.name+": the notice", tx, "message:"+n.ID, "message.accept", "message.close"),
		once(t, x.name+": the notice's recipient", tx, "recipient:"+nr.ID, "recipient.seal", "recipient.hand-over"),
	)
}

// checkSender looks at the sender's side, which knows of that notice.
func (x *tale) checkSender(t testing.TB, tx *store.Tx, notice string) error {
	t.Helper()
	m, r, err := one(t, x.name+": at the sender's", tx, x.messageID, transit.Outbound)
	if err != nil {
		return err
	}
	if m.ID != x.id {
		t.Errorf("%s: the sender was told %s, and the message is %s", x.name, x.id, m.ID)
	}
	// No entry of the hand-over where the notice came before the answer, which was lost: there was none.
	state, want := transit.Processed, []string{"recipient.seal", processedNotice}
	switch x.end {
	case unknown:
		state, want = transit.Failed, append(want, failedNotice)
	case late:
		state, want = transit.Failed, append(want, "recipient.fail")
	case laid:
		state, want = transit.Dispatched, append(want, dispatchedNotice, "recipient.succeed, final")
	}
	if r.State != state {
		t.Errorf("%s: the recipient is %q at the sender's, want %q", x.name, r.State, state)
	}
	if report, err := tx.NoticeOf(r.ID, "final"); (state != transit.Processed) != (err == nil) {
		t.Errorf("%s: the sender's report is %q (%v)", x.name, report, err)
	}
	n, nr, err := one(t, x.name+": the notice as it arrived", tx, notice, transit.Inbound)
	if err != nil {
		return err
	}
	return errors.Join(
		once(t, x.name+": the message", tx, "message:"+m.ID, "message.accept", "message.close"),
		once(t, x.name+": its recipient, at the sender's", tx, "recipient:"+r.ID, want...),
		once(t, x.name+": the notice as it arrived", tx, "message:"+n.ID, "message.accept", "message.close"),
		once(t, x.name+": the notice's recipient, as it arrived", tx, "recipient:"+nr.ID, "recipient.open"),
	)
}

// ignore drops what has been complained of.
func ignore(err error) error {
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}

// wanted is the state of the recipient at the sender's at the end.
func (x *tale) wanted() string {
	switch x.end {
	case read:
		return string(transit.Processed)
	case laid:
		return string(transit.Dispatched)
	}
	return string(transit.Failed)
}

// state is that of the recipient at the sender's, as the sender is shown it; empty where there is no answer.
func (x *tale) state() (state string) {
	x.from.ask(func(ctx context.Context, c *admind.Client) error {
		l, err := c.Message(ctx, x.id)
		if err == nil {
			state = l.Recipients[0].State
		}
		return err
	})
	return state
}

// come waits until the sender sees the tale's end.
func (x *tale) come(t testing.TB) {
	t.Helper()
	state := ""
	until(t, func() bool {
		x.to.hurry()
		x.from.hurry()
		state = x.state()
		return state == x.wanted()
	}, func() string {
		return fmt.Sprintf("the message to be %q; it is %q\n%s", x.wanted(), state, x.from.lastWords())
	})
}
