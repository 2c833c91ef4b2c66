package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// hopeless says that trying again cannot help: what the work is about is gone or damaged.
func hopeless(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, blob.ErrDamaged)
}

// guarded runs a step and gives up on it when its message's time is over or its rows or bytes are gone, so that no work is tried for
// ever and no sender waits for ever. Every other error is tried again at the work's back-off.
func (f *Flow) guarded(do func(context.Context, *queue.Job) error) func(context.Context, *queue.Job) error {
	return func(ctx context.Context, j *queue.Job) error {
		err := do(ctx, j)
		if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrConflict) {
			return err
		}
		m, lookErr := f.messageOf(ctx, j)
		over := lookErr == nil && expired(m, f.Clock())
		if !over && !hopeless(err) {
			return err
		}
		if lookErr == nil {
			if giveErr := f.giveUp(ctx, m, err); giveErr != nil {
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
}

// messageOf finds the message that a piece of work is about.
func (f *Flow) messageOf(ctx context.Context, j *queue.Job) (m store.Message, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		id := j.Ref
		switch j.Kind {
		case kindDeliver:
			d, err := tx.Delivery(j.Ref)
			if err != nil {
				return err
			}
			id = d.Message
		case kindNotice, kindFailure, kindDeadline:
			r, err := tx.Recipient(j.Ref)
			if err != nil {
				return err
			}
			id = r.Message
		}
		m, err = tx.Message(id)
		return err
	})
	return m, err
}

// giveUp fails, or sets aside, every recipient of a message that still waits for us.
func (f *Flow) giveUp(ctx context.Context, m store.Message, cause error) error {
	var all []store.Recipient
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Recipients(m.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("flow: giving up: %w", err)
	}
	const reason = "it could not be worked on here; the operator's audit has the cause"
	if m.Direction == transit.Inbound {
		return f.Store.Tx(ctx, func(tx *store.Tx) error {
			for _, r := range all {
				if r.State != transit.Accepted {
					continue
				}
				if err := f.aside(tx, r, "RFC 5321 §4.5.5", reason, map[string]string{"error": cause.Error()}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var failed []failure
	for _, r := range all {
		if r.State == transit.Accepted || r.State == transit.Sealed {
			failed = append(failed, failure{r, transit.Expire, "5.3.0", "RFC 5321 §4.5.4.1", reason})
		}
	}
	header, err := f.headerOfMessage(ctx, m)
	if err != nil {
		header = message.Header{} // the body is what is damaged: the report does without its subject
	}
	b, err := f.bounce(m, header, failed, f.Clock())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return f.Store.Tx(ctx, func(tx *store.Tx) error { return f.fail(tx, m, b, failed) })
}
