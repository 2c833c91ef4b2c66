package flow

import (
	"context"
	"fmt"
	"time"

	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// awaits says whether notices about a recipient are awaited once he has been handed the message, and for how long: until a deadline of
// the operator's for that partner; of a hello until a person has used the telephone. Of partners who send none nothing is awaited
// (PS3.12 Z.2.1, DCM-17). A report is answered by nobody, but has no end before it is handed over.
func (f *Flow) awaits(m store.Message, r store.Recipient) (patience time.Duration, ok bool) {
	demanded := f.Rules.Of(m.Envelope.From.Address, r.Address, transit.Outbound)
	switch {
	case m.Kind == transit.Report:
		return 0, true
	case !demanded.Awaited():
		return 0, false
	case m.Kind == transit.Hello:
		return f.KeepAside, true
	case demanded.Patience > 0:
		return demanded.Patience, true
	}
	return f.Patience, true
}

// await sets the deadline by which a recipient's side is to have answered. It is set once, at the hand-over: the processed notice does
// not move it (delivery notification 1.3).
func (f *Flow) await(tx *store.Tx, m store.Message, r store.Recipient) error {
	patience, ok := f.awaits(m, r)
	if !ok || m.Kind == transit.Report || !r.Deadline.IsZero() {
		return nil
	}
	if err := tx.SetDeadline(r.ID, f.Clock().Add(patience)); err != nil {
		return err
	}
	return tx.InsertWork(&store.Work{Kind: kindDeadline, Ref: r.ID, After: patience, Unique: kindDeadline + ":" + r.ID})
}

// deadline fails a recipient whose side sent no notice in time: refusal of trust on the other side looks like silence (Direct 3).
func (f *Flow) deadline(ctx context.Context, j *queue.Job) error {
	r, m, err := f.concerned(ctx, j)
	if err != nil {
		return fmt.Errorf("flow: deadline: %w", err)
	}
	if r.State != transit.Sent && r.State != transit.Processed || over(m, r) {
		return nil
	}
	if _, ok := f.awaits(m, r); !ok {
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return f.unawaited(tx, j, m, r) })
	}
	if wait := f.grace(r); wait > 0 {
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return j.Retry(tx, wait, "the gateway did not run when it was due") })
	}
	wait, why, err := f.post(ctx, j.Work, r, m)
	if err != nil {
		return err
	}
	if wait > 0 {
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return j.Retry(tx, wait, why) })
	}
	failed := []failure{{r, transit.Overdue, "5.4.7", "Direct 3.2", overdueWords(r), nil}}
	b, err := f.bounce(ctx, m, failed, f.Clock())
	if err != nil {
		return err
	}
	crash.Point("deadline.passed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if err := unmoved(tx, []store.Recipient{r}); err != nil { // a notice came just now
			return err
		}
		if err := f.fail(tx, m, b, failed); err != nil {
			return err
		}
		return j.Finish(tx)
	}, b.ref)
	crash.Point("deadline.settled")
	return err
}

// grace is how much longer a notice is awaited whose deadline passed while we did not run: its sender could not reach us. It gets as
// long again, but no more than everything that waited gets after a start.
func (f *Flow) grace(r store.Recipient) time.Duration {
	if !r.Deadline.Before(f.since) {
		return 0
	}
	most := min(awake, max(r.Deadline.Sub(r.Sent), 0))
	return min(most-f.Clock().Sub(f.since), most)
}

// unawaited lets a recipient be whose side turned out to send no notices: the operator has said so since.
func (f *Flow) unawaited(tx *store.Tx, j *queue.Job, m store.Message, r store.Recipient) error {
	if err := unmoved(tx, []store.Recipient{r}); err != nil {
		return err
	}
	if err := tx.SetDeadline(r.ID, time.Time{}); err != nil {
		return err
	}
	if r.State == transit.Sent {
		if err := f.move(tx, r, transit.Relay, "PS3.12 Z.2.1", "notices: none are awaited of this partner, as a rule of the operator says"); err != nil {
			return err
		}
		err := audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.relay", Object: "recipient:" + r.ID, Detail: map[string]string{"message": m.ID}})
		if err != nil {
			return err
		}
	}
	if r.State == transit.Processed {
		if err := tx.Remark(r, "PS3.12 Z.2.1", "notices: no more are awaited of this partner, as a rule of the operator says"); err != nil {
			return err
		}
	}
	r, err := tx.Recipient(r.ID)
	if err != nil {
		return err
	}
	if err := f.promise(tx, m, r); err != nil {
		return err
	}
	if err := f.settled(tx, m.ID); err != nil {
		return err
	}
	return j.Finish(tx)
}

func overdueWords(r store.Recipient) string {
	switch {
	case r.State == transit.Processed:
		return "the recipient's side has taken the message over, but has not confirmed its final delivery, as you asked: it may have arrived, or not"
	case !r.Dispatched.IsZero():
		return "the recipient's side says that the message was delivered, but has sent no processed notice: it may have arrived, or not"
	}
	return "the recipient's side took the message but has sent no processed notice: it may not trust us, or may not have opened it"
}

// concerned are the recipient that a step is about, and the message.
func (f *Flow) concerned(ctx context.Context, j *queue.Job) (r store.Recipient, m store.Message, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Recipient(j.Ref); err != nil {
			return err
		}
		m, err = tx.Message(r.Message)
		return err
	})
	return r, m, err
}
