package flow

import (
	"context"
	"errors"
	"fmt"

	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// cancelled is the reason that timelines and reports give.
const cancelled = "the operator of this gateway has cancelled it"

// Cancel ends a piece of work for good. Of mail on its way out, the recipients who still wait for this work fail, and the sender is told; mail
// on its way in is set aside. What is owed to others is not cancelled: *Refusal. store.ErrNotFound, store.ErrConflict when the work
// has moved just now.
func (f *Flow) Cancel(ctx context.Context, by audit.Actor, workID string) error {
	var w store.Work
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) { w, err = tx.Work(workID); return err })
	if err != nil {
		return fmt.Errorf("flow: cancel: %w", err)
	}
	switch w.Kind {
	case kindOutbound, kindDeliver, kindInbound:
		err = f.cancel(ctx, by, w)
	case kindRelease:
		err = f.turnAway(ctx, by, w, transit.Cancel, notReleased, func(tx *store.Tx) error { return tx.CancelWork(w.ID) })
	case kindNotice:
		return &Refusal{"Direct 3.2", "the processed notice is owed to the sender; it can be held and retried"}
	case kindFailure, kindDelivery:
		return &Refusal{"Direct 3.3", "the sender is owed the news of what has become of the message; it can be held and retried"}
	case kindDeadline, kindSuccess, kindDelay:
		return &Refusal{"RFC 5321 §4.5.4.1", "the sender is to learn what has become of his message"}
	default:
		return &Refusal{"local policy", "only mail on its way is cancelled; this work can be held and retried"}
	}
	if err != nil {
		return fmt.Errorf("flow: cancel: %w", err)
	}
	return nil
}

func (f *Flow) cancel(ctx context.Context, by audit.Actor, w store.Work) error {
	m, waiting, err := f.about(ctx, w)
	if err != nil && !errors.Is(err, store.ErrNotFound) { // without its rows the work is good for nothing
		return err
	}
	if m.Direction == transit.Outbound && m.Kind == transit.Report {
		return &Refusal{"Direct 3.2", "it is a notice, owed to the other side; it can be held and retried"}
	}
	var failed []failure
	var b bounced
	if m.Direction == transit.Outbound {
		failed = revoked(w, waiting)
		if b, err = f.bounce(ctx, m, failed, f.Clock()); err != nil {
			return err
		}
	}
	return f.commit(ctx, func(tx *store.Tx) error {
		now, err := tx.Work(w.ID)
		if err != nil {
			return err
		}
		if now.Epoch != w.Epoch {
			return store.ErrConflict // it was leased in between: what the report says may not be so
		}
		if err := unmoved(tx, waiting); err != nil {
			return err
		}
		if err := tx.CancelWork(w.ID); err != nil {
			return err
		}
		if err := audit.Write(tx, operated(by, "work.cancel", w)); err != nil {
			return err
		}
		if m.Direction != transit.Outbound {
			return f.setAsideAll(tx, m, waiting)
		}
		if err := f.fail(tx, m, b, failed); err != nil || w.Kind == kindDeliver {
			return err
		}
		return f.decided(tx, m.ID, "cancelled")
	}, b.ref)
}

// unmoved says that recipients are in the states that they were read in, so that what was written about them is so. store.ErrConflict.
func unmoved(tx *store.Tx, rs []store.Recipient) error {
	for _, r := range rs {
		now, err := tx.Recipient(r.ID)
		if err != nil {
			return err
		}
		if now.Version != r.Version {
			return store.ErrConflict
		}
	}
	return nil
}

// revoked are the failures of recipients whose work is cancelled.
func revoked(w store.Work, waiting []store.Recipient) (failed []failure) {
	reason := cancelled
	if w.Kind == kindDeliver && w.State == store.Leased {
		reason += "; it was being handed over just then, and may have arrived all the same"
	}
	for _, r := range waiting {
		failed = append(failed, failure{r, transit.Cancel, "5.7.1", "RFC 3463 §3.8", reason, nil})
	}
	return failed
}

// setAsideAll sets an arrival aside for those who wait for it still.
func (f *Flow) setAsideAll(tx *store.Tx, m store.Message, waiting []store.Recipient) error {
	for _, r := range waiting {
		if err := f.aside(tx, r, "cancelled", cancelled, map[string]string{"reason": cancelled}); err != nil {
			return err
		}
	}
	if m.ID == "" {
		return nil
	}
	return f.decided(tx, m.ID, "cancelled")
}

// Retry makes a piece of work due at once, whatever it waits for. store.ErrNotFound; store.ErrConflict while it is being done;
// store.ErrDuplicate when other work does the same already.
func (f *Flow) Retry(ctx context.Context, by audit.Actor, workID string) error {
	return f.operate(ctx, by, workID, "work.retry", (*store.Tx).RetryWorkNow)
}

// Hold keeps a piece of work from being done until it is retried. store.ErrNotFound; store.ErrConflict while it is being done.
func (f *Flow) Hold(ctx context.Context, by audit.Actor, workID string) error {
	return f.operate(ctx, by, workID, "work.hold", (*store.Tx).HoldWork)
}

func (f *Flow) operate(ctx context.Context, by audit.Actor, workID, action string, do func(*store.Tx, string) error) error {
	err := f.Store.Tx(ctx, func(tx *store.Tx) error {
		w, err := tx.Work(workID)
		if err != nil {
			return err
		}
		if w.Kind == kindRelease {
			return &Refusal{"local policy", "it waits for somebody to release or cancel it, whatever the time: carepost queue release"}
		}
		if err := do(tx, workID); err != nil {
			return err
		}
		return audit.Write(tx, operated(by, action, w))
	})
	if err != nil {
		return fmt.Errorf("flow: %s: %w", action, err)
	}
	return nil
}

// operated is the entry of what an operator did to work.
func operated(by audit.Actor, action string, w store.Work) audit.Entry {
	return audit.Entry{Actor: by, Action: action, Object: "work:" + w.ID, Detail: map[string]string{"kind": w.Kind, "about": w.Ref, "state": string(w.State)}}
}
