package flow

import (
	"errors"

	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// effect is what a notice does, for the audit.
type effect string

const (
	moves  effect = "moves"                    // the recipient
	early  effect = "kept"                     // dispatched before processed: it counts as soon as that comes
	known  effect = "known"                    // it was known before
	beside effect = "noted"                    // it moves nothing
	late   effect = "late"                     // the sender has had the final word: swallowed
	barred effect = "against a final delivery" // a failure after the other side said delivered: swallowed
)

// weigh decides what a claim about a recipient, as he stands now, does. asked says that the message asked for a notice of the final
// delivery: then it takes both the processed and the dispatched notice, in any order (delivery notification 1.3); else any notice that
// shows the message on the other side is as good as the processed one, for no sender is told of a failure that did not happen.
func weigh(c claim, asked bool, r store.Recipient) ([]transit.Event, effect) {
	waits := r.State == transit.Sealed || r.State == transit.Sent || r.State == transit.Relayed
	lenient := !asked || r.State == transit.Relayed // there is no deadline
	switch {
	case r.State == transit.Failed:
		return nil, late
	case c == lost && r.State == transit.Dispatched:
		return nil, barred
	case c == lost:
		return []transit.Event{transit.Fail}, moves
	case c == takenOver && waits && !r.Dispatched.IsZero():
		return []transit.Event{transit.Confirm, transit.Dispatch}, moves
	case c == takenOver && waits:
		return []transit.Event{transit.Confirm}, moves
	case c == takenOver, c == delivered && r.State == transit.Dispatched:
		return nil, known
	case c == delivered && r.State == transit.Processed:
		return []transit.Event{transit.Dispatch}, moves
	case c == delivered && lenient:
		return []transit.Event{transit.Confirm, transit.Dispatch}, moves
	case c == delivered:
		return nil, early
	case c == arrived && waits && lenient:
		return []transit.Event{transit.Confirm}, moves
	}
	return nil, beside
}

// apply takes note of what a report says, in the transaction that settles the report: it moves recipients, tells our sender of
// failures, and writes down every notice (DIR-30), those that come too late as well. show says that the report itself is for a person.
func (f *Flow) apply(tx *store.Tx, report string, notes []change) (show bool, err error) {
	shown := map[*bounced]bool{}
	moved := map[string]bool{} // messages
	for _, c := range notes {
		done, err := f.applyOne(tx, c)
		if err != nil {
			return false, err
		}
		moved[c.recipient.Message] = moved[c.recipient.Message] || done == moves
		if c.show && done != late {
			fresh, err := first(tx, c.recipient, "shown: "+c.words, report)
			if err != nil {
				return false, err
			}
			show = show || fresh
		}
		if c.claim != lost || done != moves || c.bounced == nil || !c.bounced.speaksOf(c.recipient) {
			continue
		}
		fresh, err := first(tx, c.recipient, noticeFinal, c.bounced.ref.ID)
		if err != nil {
			return false, err
		}
		if fresh && !shown[c.bounced] {
			shown[c.bounced] = true
			if err := f.intoMailbox(tx, c.message.Envelope.From.Address, *c.bounced); err != nil {
				return false, err
			}
		}
	}
	for id, did := range moved {
		if !did {
			continue
		}
		if err := f.settled(tx, id); err != nil {
			return false, err
		}
	}
	return show, nil
}

// first says whether a notice of a kind is the first about a recipient; it is then the only one for ever.
func first(tx *store.Tx, r store.Recipient, kind, id string) (bool, error) {
	err := tx.InsertNotice(r.ID, kind, id)
	if errors.Is(err, store.ErrDuplicate) {
		return false, nil
	}
	return err == nil, err
}

// applyOne does what one notice does to its recipient.
func (f *Flow) applyOne(tx *store.Tx, c change) (effect, error) {
	r, err := tx.Recipient(c.recipient.ID) // as it stands now, not as it stood when the report was read
	if err != nil {
		return "", err
	}
	if c.bounced != nil && r.Version != c.recipient.Version {
		return "", store.ErrConflict // what our sender would be told may be no longer so
	}
	events, done := weigh(c.claim, c.message.Header.FinalDelivery, r)
	words := lines("notice", c.words, "reason", c.reason)
	if len(events) == 0 {
		detail := words
		if done == late || done == barred {
			detail += "\ntoo late: the sender has had the final word on this recipient"
		}
		if err := tx.Remark(r, "Direct 3.2", detail); err != nil {
			return "", err
		}
	}
	if c.claim == delivered && done != late {
		if err := tx.NoteDispatched(r.ID); err != nil {
			return "", err
		}
	}
	was := r.State
	for _, e := range events {
		if err := f.move(tx, r, e, "Direct 3.2", words); err != nil {
			return "", err
		}
		words = "delivered: both notices have come"
		if r, err = tx.Recipient(r.ID); err != nil {
			return "", err
		}
	}
	if done == moves {
		if err := f.follow(tx, c.message, was, r); err != nil {
			return "", err
		}
	}
	return done, audit.Write(tx, audit.Entry{Actor: actor, Action: "notice.receive", Object: "recipient:" + r.ID, Detail: map[string]string{
		"what": c.words, "effect": string(done), "state": string(r.State), "message": r.Message}})
}

// follow writes down what is owed after a recipient has moved from was: a deadline for the notice that is still awaited, and a good word
// to a sender who asked for one.
func (f *Flow) follow(tx *store.Tx, m store.Message, was transit.State, r store.Recipient) error {
	if was == transit.Sealed && r.State == transit.Processed && m.Header.FinalDelivery { // the notice overtook the reply to our final dot
		if err := f.await(tx, m, r); err != nil {
			return err
		}
	}
	return f.promise(tx, m, r)
}
