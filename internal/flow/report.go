package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
	"carepost/trust"
)

const (
	maxStatements = 2000    // of one report that are looked at
	maxReason     = 1 << 10 // bytes of a failure's reason that are passed on
)

// change is what a report says of one recipient of an earlier message of ours.
type change struct {
	recipient  store.Recipient
	event      transit.Event // empty: nothing that moves a state
	dispatched bool
	words      string
	reason     string   // of a failure, in the other side's words
	bounced    *bounced // what our sender is told of a failure; one for all failures of a message
	sender     addr.Address
}

// said is one statement of a report, in the terms of both forms.
type said struct {
	about    []addr.Address
	event    transit.Event
	words    string
	reason   string
	dispatch bool
}

// news reads an MDN or DSN and finds the recipients that it speaks of. What cannot be read, or speaks of nothing of ours, is no
// news. An error says that the report could not be looked at now.
func (f *Flow) news(ctx context.Context, a *arrival, body transit.Body) ([]change, error) {
	original, all, err := statements(body)
	if err != nil || original == "" {
		return nil, err
	}
	var rows []store.Recipient
	messages := map[string]store.Message{}
	err = f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if rows, err = tx.Correlated(store.ByMessageID, original); err != nil {
			return err
		}
		for _, r := range rows {
			if messages[r.Message], err = tx.Message(r.Message); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("flow: report: %w", err)
	}
	var out []change
	for _, r := range rows {
		sender := messages[r.Message].Envelope.From.Address
		i := slices.IndexFunc(all, func(s said) bool { return speaksOf(s, r) })
		if i < 0 || !a.maySpeak(sender, r.Address) {
			continue
		}
		s := all[i]
		out = append(out, change{recipient: r, event: s.event, dispatched: s.dispatch, words: s.words, reason: legible(s.reason), sender: sender})
	}
	return out, f.passOn(messages, out)
}

// statements reads a report of either form.
func statements(body transit.Body) (original string, all []said, err error) {
	root, err := message.Parse(body, body.Size(), message.Limits{})
	if err != nil {
		return "", nil, unlessContent(err)
	}
	n, err := mdn.Parse(root, body)
	if err == nil {
		return n.OriginalMessageID, []said{fromMDN(n)}, nil
	}
	if !errors.Is(err, mdn.ErrNotMDN) && unlessContent(err) != nil {
		return "", nil, err
	}
	r, err := dsn.Parse(root, body)
	if errors.Is(err, dsn.ErrNotDSN) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, unlessContent(err)
	}
	return r.OriginalMessageID, fromDSN(r), nil
}

// unlessContent keeps errors of the disk and drops those that are about what the report says.
func unlessContent(err error) error {
	for _, e := range []error{message.ErrSyntax, message.ErrLimit, message.ErrAmbiguous, message.ErrEncoding, message.ErrNotReport} {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

func fromMDN(n *mdn.Notice) said {
	s := said{about: []addr.Address{n.FinalRecipient, n.OriginalRecipient}}
	switch {
	case n.Failing():
		s.event, s.words = transit.Fail, "failed notice"
		s.reason = or(n.Failure, or(n.Error, "no reason is given"))
	case n.Disposition == mdn.Processed:
		s.event, s.words = transit.Confirm, "processed notice, signed and encrypted"
	case n.Disposition == mdn.Dispatched:
		s.dispatch, s.words = true, "dispatched notice"
	case n.Disposition == mdn.Displayed:
		s.words = "displayed notice"
	}
	return s
}

func fromDSN(r *dsn.Report) (all []said) {
	for _, st := range r.Recipients[:min(len(r.Recipients), maxStatements)] {
		if st.Action != dsn.Failed {
			continue
		}
		all = append(all, said{about: []addr.Address{st.FinalRecipient, st.OriginalRecipient},
			event: transit.Fail, words: "failed notice", reason: or(st.Comment, or(st.Diagnostic, "no reason is given"))})
	}
	return all
}

func speaksOf(s said, r store.Recipient) bool {
	return s.words != "" && slices.ContainsFunc(s.about, func(a addr.Address) bool { return !a.IsZero() && a.Equal(r.Address) })
}

// maySpeak says whether this report may speak of a recipient of a message that sender sent: the report must have come to that
// sender, by his own trust, from the recipient's own side. A trusted stranger's words about somebody else's mail are no news.
func (a *arrival) maySpeak(sender, of addr.Address) bool {
	i := slices.IndexFunc(a.trusted, func(r store.Recipient) bool { return r.Address.Equal(sender) })
	if i < 0 {
		return false
	}
	speaker := a.judged[a.trusted[i].ID]
	if speaker.Verdict.Binding == trust.AddressBound {
		return speaker.Address.Equal(of)
	}
	return speaker.Address.Domain == of.Domain
}

// passOn composes what our own senders are told of failures on the other side (Direct 3: in any fitting way): one report for all
// failures of a message.
func (f *Flow) passOn(messages map[string]store.Message, changes []change) error {
	failed := map[string][]failure{}
	for _, c := range changes {
		if _, err := c.recipient.State.Next(transit.Fail); c.event == transit.Fail && err == nil {
			failed[c.recipient.Message] = append(failed[c.recipient.Message],
				failure{c.recipient, transit.Fail, "5.0.0", "Direct 3.3", "the recipient's side reports: " + c.reason, nil})
		}
	}
	for id, all := range failed {
		b, err := f.bounce(messages[id], all, f.Clock())
		if err != nil {
			return err
		}
		for i := range changes {
			if changes[i].recipient.Message == id && changes[i].event == transit.Fail {
				changes[i].bounced = &b
			}
		}
	}
	return nil
}

// legible is a reason of the other side as our own people are shown it: bounded, and no controls of a terminal.
func legible(reason string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, reason[:min(len(reason), maxReason)])
}

// apply moves the recipients that a report speaks of, in the transaction that settles the report. News of a recipient who is
// further on already changes nothing; it is audited all the same (DIR-30).
func (f *Flow) apply(tx *store.Tx, notes []change) error {
	shown := map[*bounced]bool{}
	moved := map[string]bool{} // messages
	for _, c := range notes {
		err := audit.Write(tx, audit.Entry{Actor: actor, Action: "notice.receive", Object: "recipient:" + c.recipient.ID, Detail: map[string]string{"what": c.words}})
		if err != nil {
			return err
		}
		if c.dispatched {
			if err := tx.NoteDispatched(c.recipient.ID); err != nil {
				return err
			}
			continue
		}
		told, err := f.applyOne(tx, c)
		if err != nil {
			return err
		}
		moved[c.recipient.Message] = true
		if told && !shown[c.bounced] {
			shown[c.bounced] = true
			if err := f.intoMailbox(tx, c.sender, *c.bounced); err != nil {
				return err
			}
		}
	}
	for id := range moved {
		if err := f.settled(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// applyOne moves one recipient; told says that its sender is to see the report about it.
func (f *Flow) applyOne(tx *store.Tx, c change) (told bool, err error) {
	r, err := tx.Recipient(c.recipient.ID) // as it stands now, not as it stood when the report was read
	if err != nil || c.event == "" {
		return false, err
	}
	if _, err := r.State.Next(c.event); err != nil {
		return false, nil
	}
	if err := f.move(tx, r, c.event, "Direct 3.2", lines("notice", c.words, "reason", c.reason)); err != nil {
		return false, err
	}
	if c.bounced == nil || c.bounced.ref.ID == "" {
		return false, nil
	}
	err = tx.InsertNotice(r.ID, noticeFinal, c.bounced.ref.ID)
	if errors.Is(err, store.ErrDuplicate) {
		return false, nil
	}
	return err == nil, err
}
