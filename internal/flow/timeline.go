package flow

import (
	"context"
	"fmt"

	"carepost/internal/store"
)

// Timeline is what happened to a message: its rows as they are now, and its events, oldest first.
type Timeline struct {
	Message    store.Message
	Recipients []store.Recipient
	Events     []store.Event
}

// Timeline reads the history of one message.
func (f *Flow) Timeline(ctx context.Context, id string) (Timeline, error) {
	var t Timeline
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if t.Message, err = tx.Message(id); err != nil {
			return err
		}
		if t.Recipients, err = tx.Recipients(id); err != nil {
			return err
		}
		t.Events, err = tx.Timeline(id)
		return err
	})
	if err != nil {
		return t, fmt.Errorf("flow: timeline: %w", err)
	}
	return t, nil
}

// NoticeOf is the processed notice that was made about a recipient of ours. store.ErrNotFound.
func (f *Flow) NoticeOf(ctx context.Context, recipient string) (id string, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) (err error) {
		id, err = tx.NoticeOf(recipient, noticeProcessed)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("flow: notice: %w", err)
	}
	return id, nil
}
