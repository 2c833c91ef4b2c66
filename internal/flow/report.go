package flow

import (
	"context"
	"errors"
	"fmt"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

// change is what a report says of one recipient of an earlier message of ours.
type change struct {
	recipient  store.Recipient
	event      transit.Event // empty: nothing that moves a state
	dispatched bool
	words      string
	bounced    bounced // what our sender is told, for a failure
}

// said is one statement of a report, in the terms of both forms.
type said struct {
	original string // Message-ID
	about    []addr.Address
	event    transit.Event
	words    string
	reason   string
	dispatch bool
}

// news reads an MDN or DSN and finds the recipients that it speaks of. What cannot be read, or speaks of nothing of ours, is no news;
// it is kept and audited like any report, and not answered.
func (f *Flow) news(ctx context.Context, a *arrival, body transit.Body) ([]change, error) {
	root, err := message.Parse(body, body.Size(), message.Limits{})
	if err != nil {
		return nil, nil
	}
	var all []said
	if n, err := mdn.Parse(root, body); err == nil {
		all = append(all, fromMDN(n))
	} else if r, err := dsn.Parse(root, body); err == nil {
		all = fromDSN(r)
	}
	speaker := a.judged[a.trusted[0].ID]
	var out []change
	for _, s := range all {
		cs, err := f.changes(ctx, s, speaker)
		if err != nil {
			return nil, err
		}
		out = append(out, cs...)
	}
	return out, nil
}

func fromMDN(n *mdn.Notice) said {
	s := said{original: n.OriginalMessageID, about: []addr.Address{n.FinalRecipient, n.OriginalRecipient}}
	switch {
	case n.Failing():
		s.event, s.words = transit.Fail, "failed notice"
		s.reason = or(n.Failure, or(n.Error, "the other side reported a failure without a reason"))
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
	for _, st := range r.Recipients {
		if st.Action != dsn.Failed {
			continue
		}
		all = append(all, said{original: r.OriginalMessageID, about: []addr.Address{st.FinalRecipient, st.OriginalRecipient},
			event: transit.Fail, words: "failed notice", reason: or(st.Comment, or(st.Diagnostic, "the other side reported a failure without a reason"))})
	}
	return all
}

// changes matches a statement with recipients of ours. Only the recipient's own side may speak of him: a trusted stranger's
// notice about somebody else's mail is no news.
func (f *Flow) changes(ctx context.Context, s said, speaker agent.Judged) ([]change, error) {
	if s.original == "" || s.words == "" {
		return nil, nil
	}
	var out []change
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		out = nil
		rs, err := tx.Correlated(store.ByMessageID, s.original)
		if err != nil {
			return err
		}
		for _, r := range rs {
			if r.Address.Domain == speaker.Address.Domain && speaksOf(s, r) {
				out = append(out, change{recipient: r, event: s.event, dispatched: s.dispatch, words: s.words})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("flow: report: %w", err)
	}
	for i := range out {
		if out[i].event == transit.Fail {
			if out[i].bounced, err = f.passOn(ctx, out[i].recipient, s.reason); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func speaksOf(s said, r store.Recipient) bool {
	for _, a := range s.about {
		if !a.IsZero() && a.Equal(r.Address) {
			return true
		}
	}
	return false
}

// passOn tells our own sender of a failure on the other side (Direct 3: in any fitting way).
func (f *Flow) passOn(ctx context.Context, r store.Recipient, reason string) (bounced, error) {
	var m store.Message
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.Message(r.Message)
		return err
	})
	if err != nil {
		return bounced{}, fmt.Errorf("flow: report: %w", err)
	}
	h, err := f.headerOfMessage(ctx, m)
	if err != nil {
		return bounced{}, err
	}
	return f.bounce(m, h, []failure{{r, transit.Fail, "5.0.0", "Direct 3.3", "the recipient's side reports: " + reason}}, f.Clock())
}

// apply moves the recipients that a report speaks of, in the transaction that shows the report. News of a recipient who is
// further on already changes nothing; it is audited all the same (DIR-30).
func (f *Flow) apply(tx *store.Tx, notes []change) error {
	for _, c := range notes {
		err := audit.Write(tx, audit.Entry{Actor: actor, Action: "notice.receive", Object: "recipient:" + c.recipient.ID, Detail: map[string]string{"what": c.words}})
		if err != nil {
			return err
		}
		r, err := tx.Recipient(c.recipient.ID) // as it stands now, not as it stood when the report was read
		if err != nil {
			return err
		}
		if c.dispatched {
			if err := tx.NoteDispatched(r.ID); err != nil {
				return err
			}
			continue
		}
		if c.event == "" {
			continue
		}
		if _, err := r.State.Next(c.event); err != nil {
			continue
		}
		if err := f.move(tx, r, c.event, "Direct 3.2", lines("notice", c.words)); err != nil {
			return err
		}
		if c.bounced.ref.ID == "" {
			continue
		}
		if err := tx.InsertNotice(r.ID, noticeFinal, c.bounced.ref.ID); errors.Is(err, store.ErrDuplicate) {
			continue
		} else if err != nil {
			return err
		}
		m, err := tx.Message(r.Message)
		if err != nil {
			return err
		}
		if err := f.intoMailbox(tx, m.Envelope.From.Address, c.bounced); err != nil {
			return err
		}
	}
	return nil
}
