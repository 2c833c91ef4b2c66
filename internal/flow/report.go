package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// maxReason bounds, in bytes, a failure's reason that is passed on.
const maxReason = 1 << 10

// change is what a report says of one recipient of an earlier message of ours.
type change struct {
	said      // its reason is legible
	recipient store.Recipient
	message   store.Message
	bounced   *bounced // what our sender is told of a failure; one for all failures of a message
}

// news reads an MDN or DSN and finds the recipients that it speaks of. What cannot be read, or speaks of nothing of ours, is no
// news. An error says that the report could not be looked at now.
func (f *Flow) news(ctx context.Context, a *arrival, body transit.Body) ([]change, error) {
	t, err := statements(body)
	if err != nil || len(t.all) == 0 {
		return nil, err
	}
	var out []change
	err = f.Store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = a.news(tx, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: report: %w", err)
	}
	return out, f.passOn(ctx, out)
}

// news takes the first message of ours that a report may be about and has something to say of.
func (a *arrival) news(tx *store.Tx, t told) (out []change, err error) {
	type clue struct {
		kind  store.Token
		value string
	}
	var clues []clue
	for _, id := range t.originals {
		clues = append(clues, clue{store.ByMessageID, id})
	}
	for _, to := range a.trusted[:min(len(a.trusted), maxOriginals)] {
		if t.envelope != "" {
			clues = append(clues, clue{store.ByEnvelopeID, envelopeID(to.Address, t.envelope)})
		}
	}
	for _, c := range clues {
		rows, err := tx.Correlated(c.kind, c.value)
		if err != nil {
			return nil, err
		}
		if out, err = a.changes(tx, rows, t.all); err != nil || len(out) > 0 {
			return out, err
		}
	}
	return nil, nil
}

// envelopeID is by what a DSN is matched: an ENVID is its sender's alone (RFC 3461 §4.4).
func envelopeID(sender addr.Address, envid string) string { return sender.Key() + "\n" + envid }

// changes are what a report says of those rows that it may speak of.
func (a *arrival) changes(tx *store.Tx, rows []store.Recipient, all []said) (out []change, err error) {
	messages := map[string]store.Message{}
	var mine []store.Recipient
	for _, r := range rows {
		m, ok := messages[r.Message]
		if !ok {
			if m, err = tx.Message(r.Message); err != nil {
				return nil, err
			}
			messages[r.Message] = m
		}
		if a.maySpeak(m.Envelope.From.Address, r.Address) {
			mine = append(mine, r)
		}
	}
	for i, s := range match(all, mine) {
		if s.aboutAnother(mine[i], rows) {
			continue
		}
		s.reason = legible(s.reason)
		out = append(out, change{said: s, recipient: mine[i], message: messages[mine[i].Message]})
	}
	slices.SortFunc(out, func(x, y change) int { return strings.Compare(x.recipient.ID, y.recipient.ID) })
	return out, nil
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
func (f *Flow) passOn(ctx context.Context, changes []change) error {
	failed := map[string][]failure{}
	for _, c := range changes {
		if _, err := c.recipient.State.Next(transit.Fail); c.claim == lost && err == nil {
			failed[c.recipient.Message] = append(failed[c.recipient.Message],
				failure{c.recipient, transit.Fail, or(c.code, "5.0.0"), "Direct 3.3", "the recipient's side reports: " + c.reason, nil})
		}
	}
	made := map[string]*bounced{}
	for i, c := range changes {
		all := failed[c.recipient.Message]
		if c.claim != lost || len(all) == 0 {
			continue
		}
		if made[c.recipient.Message] == nil {
			b, err := f.bounce(ctx, c.message, all, f.Clock())
			if err != nil {
				return err
			}
			made[c.recipient.Message] = &b
		}
		changes[i].bounced = made[c.recipient.Message]
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
	}, strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
}
