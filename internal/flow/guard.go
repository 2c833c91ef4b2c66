package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// hopeless says that trying again cannot help: what the work is about is gone or damaged.
func hopeless(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, blob.ErrDamaged)
}

// giveUpTime is how long giving up is tried, when our own stop has come in between.
const giveUpTime = 10 * time.Second

// guarded runs a step and gives up on it when its message's time is over or its rows or bytes are gone, so that no work is tried for
// ever and no sender waits for ever. Every other error is tried again at the work's back-off.
func (f *Flow) guarded(do func(context.Context, *queue.Job) error) func(context.Context, *queue.Job) error {
	return func(ctx context.Context, j *queue.Job) error {
		return f.afterwards(ctx, j, j.Safely(ctx, do))
	}
}

// afterwards decides about a step that ended with err. What it returns is tried again; nil is settled.
func (f *Flow) afterwards(ctx context.Context, j *queue.Job, err error) error {
	// When the queue has lost its patience with the step, the context has ended by another cause, and the work is still ours.
	stopped := errors.Is(context.Cause(ctx), context.Canceled) || errors.Is(context.Cause(ctx), store.ErrLeaseLost)
	if err == nil || stopped || errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrConflict) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	m, waiting, lookErr := f.about(ctx, j.Work)
	over := lookErr == nil && expired(m, f.Clock())
	if !over && !hopeless(err) {
		return err
	}
	if lookErr == nil {
		if giveErr := f.giveUp(ctx, m, waiting, err); giveErr != nil {
			return errors.Join(err, giveErr)
		}
	}
	return f.Store.Tx(ctx, func(tx *store.Tx) error {
		e := audit.Entry{Actor: actor, Action: "work.bury", Object: "work:" + j.ID, Detail: map[string]string{"kind": j.Kind, "error": err.Error()}}
		if err := audit.Write(tx, e); err != nil {
			return err
		}
		return j.Bury(tx, err.Error())
	})
}

// about finds the message that a piece of work is about, and the recipients who wait for just this work.
func (f *Flow) about(ctx context.Context, w store.Work) (m store.Message, waiting []store.Recipient, err error) {
	var in []transit.State // which of them wait
	err = f.Store.View(ctx, func(tx *store.Tx) (err error) {
		waiting = nil
		id := w.Ref
		switch w.Kind {
		case kindDeliver:
			d, err := tx.Delivery(w.Ref)
			if err != nil {
				return err
			}
			if waiting, err = tx.RecipientsOf(d.ID); err != nil {
				return err
			}
			id, in = d.Message, []transit.State{transit.Sealed}
		case kindNotice, kindFailure, kindDelivery, kindDeadline, kindSuccess, kindRelease, kindWarn:
			r, err := tx.Recipient(w.Ref)
			if err != nil {
				return err
			}
			waiting, id, in = []store.Recipient{r}, r.Message, []transit.State{transit.Sent, transit.Processed}
		default:
			if waiting, err = tx.Recipients(id); err != nil {
				return err
			}
			in = []transit.State{transit.Accepted}
		}
		m, err = tx.Message(id)
		f.allow(&m)
		return err
	})
	waiting = slices.DeleteFunc(waiting, func(r store.Recipient) bool { return !slices.Contains(in, r.State) || over(m, r) })
	return m, waiting, err
}

// giveUp fails the recipients who wait, or sets the message aside for them.
func (f *Flow) giveUp(ctx context.Context, m store.Message, waiting []store.Recipient, cause error) error {
	const reason = "it could not be worked on here; the operator's audit has the cause"
	if m.Direction == transit.Inbound {
		return f.Store.Tx(ctx, func(tx *store.Tx) error {
			for _, r := range waiting {
				if err := f.aside(tx, r, "RFC 5321 §4.5.5", reason, map[string]string{"error": cause.Error()}); err != nil {
					return err
				}
			}
			return f.settled(tx, m.ID)
		})
	}
	var failed []failure
	for _, r := range waiting {
		event := transit.Expire
		if handedOver(r) {
			event = transit.Overdue
		}
		failed = append(failed, failure{r, event, "5.3.0", "RFC 5321 §4.5.4.1", reason, nil})
	}
	b, err := f.bounce(ctx, m, failed, f.Clock())
	if err != nil {
		return fmt.Errorf("flow: giving up: %w", err)
	}
	return f.commit(ctx, func(tx *store.Tx) error { return f.fail(tx, m, b, failed) }, b.ref)
}
