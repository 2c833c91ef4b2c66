package flow

import (
	"context"
	"errors"
	"fmt"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// Backlog is one row of the queue, and the message behind it where there is one.
type Backlog struct {
	store.Work
	Message string // id
}

// Queue shows the operator what waits or runs in some state ("" = any), soonest first, at most limit.
func (f *Flow) Queue(ctx context.Context, by audit.Actor, state string, limit int) (out []Backlog, err error) {
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		works, err := tx.Works(store.WorkState(state), limit)
		if err != nil {
			return err
		}
		out = make([]Backlog, len(works))
		for i, w := range works {
			if out[i], err = behind(tx, w); err != nil {
				return err
			}
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "queue.list", Object: "queue:" + or(state, "all")})
	})
	if err != nil {
		return nil, fmt.Errorf("flow: queue: %w", err)
	}
	return out, nil
}

// Queued shows the operator one row. store.ErrNotFound.
func (f *Flow) Queued(ctx context.Context, by audit.Actor, id string) (out Backlog, err error) {
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		w, err := tx.Work(id)
		if err != nil {
			return err
		}
		if out, err = behind(tx, w); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "queue.show", Object: "work:" + w.ID})
	})
	if err != nil {
		return out, fmt.Errorf("flow: queue: %w", err)
	}
	return out, nil
}

// behind finds the message that work is about.
func behind(tx *store.Tx, w store.Work) (b Backlog, err error) {
	b.Work = w
	switch w.Kind {
	case kindOutbound, kindInbound, kindDelay, kindPurge:
		b.Message = w.Ref
	case kindDeliver:
		var d store.Delivery
		d, err = tx.Delivery(w.Ref)
		b.Message = d.Message
	case kindNotice, kindFailure, kindDeadline, kindRelease, kindWarn:
		var r store.Recipient
		r, err = tx.Recipient(w.Ref)
		b.Message = r.Message
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil // dead work may outlive what it was about
	}
	return b, err
}
