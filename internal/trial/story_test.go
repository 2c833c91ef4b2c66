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
	id        string // at the sender's; empty until told
	end       end
}

// end is how a tale ends.
type end int

const (
	read    end = iota // in the recipient's mailbox, the processed notice at the sender's
	unknown            // nobody has the address: processed, then failed
	late               // the notice came after the sender's deadline
)

// letter is the tale's message: canaries in its subject and text, and size bytes of text.
func (x *tale) letter(size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\nTo: %s\nDate: %s\nMessage-ID: %s\nSubject: %s about %s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n",
		x.sender, x.recipient, time.Now().UTC().Format(time.RFC1123Z), x.messageID, canarySubject, x.messageID)
	for b.Len() < size {
		b.WriteString("The " + canaryBody + " sings of a knee that is better than it was, and of nothing else.\n")
	}
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

// submit hands the message over until somebody has said that it is taken. A sender whose answer was lost asks again with the same
// message; "sent before" is as good an answer as an id.
func (x *tale) submit(t testing.TB, text string) {
	t.Helper()
	until(t, func() bool {
		return x.from.ask(func(ctx context.Context, c *admind.Client) error {
			id, err := c.Send(ctx, x.sender, []addr.Address{x.recipient}, strings.NewReader(text))
			if refused := (*admind.Error)(nil); errors.As(err, &refused) && refused.Code == admind.Refused {
				if refused.Clause == "RFC 5322 §3.6.4" {
					return nil
				}
				t.Errorf("refused: %v", err)
				return nil
			}
			x.id = id
			return err
		})
	}, func() string { return x.from.domain.String() + " to take the message" })
}

// acts counts the audit entries about an object, by action and kind.
func acts(tx *store.Tx, object string) (map[string]int, error) {
	records, err := audit.List(tx, audit.Filter{Object: object, Limit: 1000})
	out := map[string]int{}
	for _, r := range records {
		what := r.Action
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

// check reads what both sides have written about the tale. Neither is running.
func (x *tale) check(t testing.TB) {
	t.Helper()
	var noticeID string
	x.to.look(t, func(tx *store.Tx) error {
		m, r, err := one(t, x.name+": at the recipient's", tx, x.messageID, transit.Inbound)
		if err != nil {
			return ignore(err)
		}
		want := []string{"recipient.open", "notice.send, processed"}
		if x.end == unknown {
			want = append(want, "notice.send, failed")
		} else if mails, err := copies(tx, x.recipient); err != nil || mails[m.ID] != 1 {
			t.Errorf("%s: %d copies in the mailbox, want 1 (%v)", x.name, mails[m.ID], err)
		}
		if r.State != transit.Settled {
			t.Errorf("%s: the recipient is %q on his own side", x.name, r.State)
		}
		notice, err := tx.NoticeOf(r.ID, "processed")
		if err != nil {
			return err
		}
		n, err := tx.Message(notice)
		if err != nil {
			return err
		}
		noticeID = n.Header.MessageID
		_, nr, err := one(t, x.name+": the processed notice", tx, noticeID, transit.Outbound)
		if err != nil {
			return ignore(err)
		}
		return errors.Join(
			once(t, x.name+": the message", tx, "message:"+m.ID, "message.accept"),
			once(t, x.name+": its recipient", tx, "recipient:"+r.ID, want...),
			once(t, x.name+": the notice", tx, "message:"+notice, "message.accept"),
			once(t, x.name+": the notice's recipient", tx, "recipient:"+nr.ID, "recipient.seal", "recipient.hand-over"),
		)
	})
	x.from.look(t, func(tx *store.Tx) error {
		m, r, err := one(t, x.name+": at the sender's", tx, x.messageID, transit.Outbound)
		if err != nil {
			return ignore(err)
		}
		if x.id != "" && m.ID != x.id {
			t.Errorf("%s: the sender was told %s, and the message is %s", x.name, x.id, m.ID)
		}
		// No entry of the hand-over where the notice came before the answer, which was lost: there was none.
		state, want := transit.Processed, []string{"recipient.seal", processedNotice}
		switch x.end {
		case unknown:
			state, want = transit.Failed, append(want, failedNotice)
		case late:
			state, want = transit.Failed, append(want, "recipient.fail")
		}
		if r.State != state {
			t.Errorf("%s: the recipient is %q at the sender's, want %q", x.name, r.State, state)
		}
		if final, err := tx.NoticeOf(r.ID, "final"); (state == transit.Failed) != (err == nil) {
			t.Errorf("%s: the sender's report is %q (%v)", x.name, final, err)
		}
		n, nr, err := one(t, x.name+": the notice as it arrived", tx, noticeID, transit.Inbound)
		if err != nil {
			return ignore(err)
		}
		return errors.Join(
			once(t, x.name+": the message", tx, "message:"+m.ID, "message.accept"),
			once(t, x.name+": its recipient, at the sender's", tx, "recipient:"+r.ID, want...),
			once(t, x.name+": the notice as it arrived", tx, "message:"+n.ID, "message.accept"),
			once(t, x.name+": the notice's recipient, as it arrived", tx, "recipient:"+nr.ID, "recipient.open"),
		)
	})
}

// ignore drops what has been complained of.
func ignore(err error) error {
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}

// come waits until the sender sees the tale's end.
func (x *tale) come(t testing.TB) {
	t.Helper()
	want := transit.Processed
	if x.end != read {
		want = transit.Failed
	}
	state := ""
	until(t, func() bool {
		x.to.hurry()
		x.from.hurry()
		return x.from.ask(func(ctx context.Context, c *admind.Client) error {
			l, err := c.Message(ctx, x.id)
			if err != nil {
				return err
			}
			if state = l.Recipients[0].State; state != string(want) {
				return errNone
			}
			return nil
		})
	}, func() string {
		return fmt.Sprintf("the message to be %q; it is %q\n%s", want, state, x.from.lastWords())
	})
}
