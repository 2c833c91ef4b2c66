package flow

import (
	"context"
	"fmt"

	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// deadline fails a recipient whose side sent no notice in time: refusal of trust on the other side looks like silence (Direct 3).
func (f *Flow) deadline(ctx context.Context, j *queue.Job) error {
	var r store.Recipient
	var m store.Message
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Recipient(j.Ref); err != nil {
			return err
		}
		m, err = tx.Message(r.Message)
		return err
	})
	if err != nil {
		return fmt.Errorf("flow: deadline: %w", err)
	}
	if r.State != transit.Sent {
		return nil
	}
	failed := []failure{{r, transit.Expire, "5.4.7", "Direct 3.2",
		"the recipient's side took the message but has sent no processed notice: it may not trust us, or may not have opened it", nil}}
	b, err := f.bounce(m, failed, f.Clock())
	if err != nil {
		return err
	}
	crash.Point("deadline.passed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if err := f.fail(tx, m, b, failed); err != nil {
			return err
		}
		return j.Finish(tx)
	}, b.ref)
	crash.Point("deadline.settled")
	return err
}
