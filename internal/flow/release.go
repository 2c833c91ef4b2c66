package flow

import (
	"context"
	"errors"
	"fmt"

	"carepost/internal/audit"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// Release lets mail go on that waits for a person. store.ErrNotFound; store.ErrConflict when its waiting has just ended; *Refusal for work of
// another kind.
func (f *Flow) Release(ctx context.Context, by audit.Actor, workID string) error {
	err := f.Store.Tx(ctx, func(tx *store.Tx) error {
		w, err := tx.Work(workID)
		if err != nil {
			return err
		}
		if w.Kind != kindRelease {
			return &Refusal{"local policy", "it does not wait to be released; work that was held is retried"}
		}
		return f.release(tx, by, w)
	})
	if err != nil {
		return fmt.Errorf("flow: release: %w", err)
	}
	return nil
}

func (f *Flow) release(tx *store.Tx, by audit.Actor, w store.Work) error {
	r, err := tx.Recipient(w.Ref)
	if err != nil {
		return err
	}
	m, err := tx.Message(r.Message)
	if err != nil {
		return err
	}
	if err := tx.EndWaiting(r.ID, store.Released); err != nil {
		return err
	}
	if err := tx.CancelWork(w.ID); err != nil {
		return err
	}
	if err := tx.NoteRecipient(r, "rule", lines("released", "by a person of this gateway")); err != nil {
		return err
	}
	if err := audit.Write(tx, audit.Entry{Actor: by, Action: "recipient.release", Object: "recipient:" + r.ID}); err != nil {
		return err
	}
	if m.Direction == transit.Inbound {
		return f.arrive(tx, m, r)
	}
	if err := tx.Prolong(m.ID, f.Clock().Add(f.Lifetime)); err != nil { // its time begins now
		return err
	}
	again := store.Work{Kind: kindOutbound, Ref: m.ID, Lane: queue.Lane(m.Size), Unique: kindOutbound + ":" + m.ID}
	err = tx.InsertWork(&again)
	if twin := (*store.Duplicate)(nil); errors.As(err, &twin) {
		err = tx.RetryWorkNow(twin.First)
		if errors.Is(err, store.ErrConflict) { // it is being done, and looks at the end what was released
			return nil
		}
	}
	return err
}

// arrive shows released mail to its recipient.
func (f *Flow) arrive(tx *store.Tx, m store.Message, r store.Recipient) error {
	body, err := tx.Blob(m.Work)
	if err != nil {
		return err
	}
	err = f.Mailboxes.Deliver(tx, r.Address, mailbox.Inbox, store.Mail{
		Message: m.ID, Blob: m.Work, At: f.Clock(), Size: body.Size, Subject: m.Header.Subject, Sender: m.Header.Sender,
	})
	if errors.Is(err, mailbox.ErrNoAccount) { // closed since
		return f.unheld(tx, m, r)
	}
	if err != nil {
		return err
	}
	if _, err := f.gather(tx, m.ID, r.Address, m.Header.Part); err != nil {
		return err
	}
	if err := tx.InsertWork(&store.Work{Kind: kindWarn, Ref: r.ID, Unique: kindWarn + ":" + r.ID}); err != nil {
		return err
	}
	if failing, err := failingAlready(tx, r); err != nil || failing {
		return err
	}
	return f.oweDelivery(tx, r, m.Header)
}

// failingAlready says that the sender of an arrival is told, or has been, that it is of no use: its file-set is not whole.
func failingAlready(tx *store.Tx, r store.Recipient) (bool, error) {
	works, err := tx.WorkOf(r.ID)
	if err != nil {
		return false, err
	}
	for _, w := range works {
		if w.Kind == kindFailure {
			return true, nil
		}
	}
	_, err = tx.NoticeOf(r.ID, noticeFailed)
	return found(err)
}

// unheld has the sender of an arrival told that it did not get there, if he is owed an answer, and lets its body go.
func (f *Flow) unheld(tx *store.Tx, m store.Message, r store.Recipient) error {
	_, err := tx.NoticeOf(r.ID, noticeProcessed)
	if err == nil || r.State == transit.Opened {
		err = tx.InsertWork(&store.Work{Kind: kindFailure, Ref: r.ID, Unique: kindFailure + ":" + r.ID})
		if errors.Is(err, store.ErrDuplicate) { // of its file-set
			err = nil
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	n, err := tx.BlobMails(m.Work)
	if err != nil || n > 0 || m.State != store.Closed {
		return err
	}
	return tx.KillBlob(m.Work)
}

// notReleased is the reason that timelines and reports give.
const notReleased = "the operator of this gateway holds such mail, and has not let it pass"

// unreleased ends the waiting of mail that nobody has released in time.
func (f *Flow) unreleased(ctx context.Context, j *queue.Job) error {
	const reason = "the operator of this gateway holds such mail until somebody releases it, and nobody has in time"
	err := f.turnAway(ctx, actor, j.Work, transit.Expire, reason, j.Finish)
	if errors.Is(err, store.ErrNotFound) { // nobody waits by it
		return nil
	}
	return err
}

// turnAway ends the waiting of mail with a no: its sender is told. end settles the work that it waited by.
func (f *Flow) turnAway(ctx context.Context, by audit.Actor, w store.Work, e transit.Event, reason string, end func(*store.Tx) error) error {
	r, m, err := f.waiter(ctx, w)
	if errors.Is(err, store.ErrConflict) { // it was released, or has failed by another way
		return f.Store.Tx(ctx, end)
	}
	if err != nil {
		return err
	}
	o := rule.Objection{Code: "5.7.1", Clause: "RFC 3463 §3.8", Reason: reason, Remedy: "ask the operator of the recipient's side."}
	var failed []failure
	var b bounced
	if m.Direction == transit.Outbound {
		o.Remedy = "ask the operator of your own gateway."
		failed = []failure{objected(r, e, o)}
		if b, err = f.bounce(ctx, m, failed, f.Clock()); err != nil {
			return err
		}
	}
	return f.commit(ctx, func(tx *store.Tx) error {
		if err := tx.EndWaiting(r.ID, store.Ended); err != nil {
			return err
		}
		if err := end(tx); err != nil {
			return err
		}
		if err := audit.Write(tx, audit.Entry{Actor: by, Action: "recipient.turn-away", Object: "recipient:" + r.ID, Detail: map[string]string{"reason": reason}}); err != nil {
			return err
		}
		if m.Direction == transit.Outbound {
			return f.ended(tx, m, b, failed)
		}
		return f.endedHere(tx, r, o)
	}, b.ref)
}

// waiter finds whose mail waits by a piece of work. store.ErrConflict when it waits no more.
func (f *Flow) waiter(ctx context.Context, w store.Work) (r store.Recipient, m store.Message, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		h, err := tx.Waiter(w.Ref)
		if err != nil {
			return err
		}
		if r, err = tx.Recipient(w.Ref); err != nil {
			return err
		}
		if m, err = tx.Message(r.Message); err != nil {
			return err
		}
		if h.State != store.Waiting || m.Direction == transit.Outbound && r.State != transit.Accepted {
			return store.ErrConflict
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("flow: held mail: %w", err)
	}
	return r, m, err
}

// ended fails a recipient of ours whose mail was turned away, and ends the message where he was the last.
func (f *Flow) ended(tx *store.Tx, m store.Message, b bounced, failed []failure) error {
	if err := f.fail(tx, m, b, failed); err != nil {
		return err
	}
	all, err := tx.Recipients(m.ID)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.State == transit.Accepted {
			return nil
		}
	}
	return f.decided(tx, m.ID, "")
}

// endedHere notes that an arrival is not shown to its recipient after all, and why.
func (f *Flow) endedHere(tx *store.Tx, r store.Recipient, o rule.Objection) error {
	m, err := tx.Message(r.Message) // as it stands now
	if err != nil {
		return err
	}
	if m.Header.Refused == nil {
		m.Header.Refused = map[string]rule.Objection{}
	}
	m.Header.Refused[r.ID] = o
	if err := tx.SetMessageHeader(m.ID, m.Header); err != nil {
		return err
	}
	if err := tx.NoteRecipient(r, "rule", lines("refused", o.Reason)); err != nil {
		return err
	}
	return f.unheld(tx, m, r)
}
