package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carepost/internal/audit"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// Mail that a rule holds waits for a person. Of mail on its way out nothing has been decided then. Mail on its way in is open and
// trusted, and its processed notice goes out: that is what Direct 3.2 promises, and whose deadline would pass; but no mailbox shows it. Who
// waits has work of kindRelease, which ends the waiting at its time; the row in the store says which of two that come at once was first.

// hold has a recipient's mail wait for a person; blob is the body of one that was opened, why says what rule has it wait.
func (f *Flow) hold(tx *store.Tx, r store.Recipient, blob, why string) error {
	w := store.Work{Kind: kindRelease, Ref: r.ID, After: f.KeepHeld, Unique: kindRelease + ":" + r.ID}
	if err := tx.InsertWork(&w); err != nil {
		return err
	}
	if err := tx.InsertWaiter(store.Waiter{Recipient: r.ID, Message: r.Message, Work: w.ID, Blob: blob}); err != nil {
		return err
	}
	until := f.Clock().Add(f.KeepHeld).UTC().Format(time.RFC3339)
	if err := tx.NoteRecipient(r, "rule", lines("held", "a person of this gateway is to release it, until "+until+": "+why)); err != nil {
		return err
	}
	return audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.hold", Object: "recipient:" + r.ID, Detail: map[string]string{"until": until, "reason": why}})
}

// resting settles the work of a message on its way out of which nothing is left but what waits for a person, or was released just now.
func (f *Flow) resting(tx *store.Tx, j *queue.Job) (settled bool, err error) {
	waiters, err := tx.WaitersOf(j.Ref)
	if err != nil {
		return false, err
	}
	for _, w := range waiters {
		r, err := tx.Recipient(w.Recipient)
		if err != nil {
			return false, err
		}
		switch {
		case r.State != transit.Accepted:
		case w.State == store.Released:
			return true, j.Retry(tx, 0, "released meanwhile")
		default:
			settled = true
		}
	}
	if settled {
		return true, j.Finish(tx)
	}
	return false, nil
}

// Held is mail that waits for a person.
type Held struct {
	Work         string    // id, for Release and Cancel
	Since, Until time.Time // Until by the engine's clock
	Message      store.Message
	Recipient    store.Recipient
}

// maxHeld is how much held mail one answer lists.
const maxHeld = 1000

// HeldMail lists what waits for a person, longest first.
func (f *Flow) HeldMail(ctx context.Context, by audit.Actor) (out []Held, err error) {
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		waiters, err := tx.Waiters(maxHeld)
		if err != nil {
			return err
		}
		for _, w := range waiters {
			h, err := held(tx, w)
			if errors.Is(err, store.ErrNotFound) {
				continue // its end is being worked out
			}
			if err != nil {
				return err
			}
			if h.Message.Direction == transit.Inbound || h.Recipient.State == transit.Accepted {
				out = append(out, h)
			}
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "queue.list", Object: "queue:waiting"})
	})
	if err != nil {
		return nil, fmt.Errorf("flow: held mail: %w", err)
	}
	return out, nil
}

func held(tx *store.Tx, w store.Waiter) (h Held, err error) {
	work, err := tx.Work(w.Work)
	if err != nil {
		return h, err
	}
	h.Work, h.Since, h.Until = w.Work, w.At, work.NextAt
	if h.Recipient, err = tx.Recipient(w.Recipient); err != nil {
		return h, err
	}
	h.Message, err = tx.Message(w.Message)
	return h, err
}
