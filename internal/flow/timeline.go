package flow

import (
	"context"
	"errors"
	"fmt"

	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// ErrNoNews says that nothing has happened to a message since.
var ErrNoNews = errors.New("flow: nothing has happened since")

// Timeline is what happened to a message: its rows as they are now, and its events, oldest first.
type Timeline struct {
	Message    store.Message
	Recipients []store.Recipient
	Events     []store.Event
}

// Timeline reads the history of one message. store.ErrNotFound.
func (f *Flow) Timeline(ctx context.Context, by audit.Actor, id string) (Timeline, error) {
	return f.News(ctx, by, id, -1)
}

// News is Timeline for somebody who watches, and has seen the events up to that Seq: where there is nothing new he is told so, and not
// shown anything: ErrNoNews. What is shown is audited each time.
func (f *Flow) News(ctx context.Context, by audit.Actor, id string, seen int64) (Timeline, error) {
	var t Timeline
	var err error
	if seen >= 0 {
		err = f.Store.View(ctx, func(tx *store.Tx) (err error) { t, err = history(tx, id); return err })
		if err == nil && t.Events[len(t.Events)-1].Seq == seen {
			return Timeline{}, ErrNoNews
		}
	}
	if err == nil {
		err = f.Store.Tx(ctx, func(tx *store.Tx) (err error) {
			if t, err = history(tx, id); err != nil {
				return err
			}
			return audit.Write(tx, audit.Entry{Actor: by, Action: "timeline.read", Object: "message:" + id})
		})
	}
	if err != nil {
		return Timeline{}, fmt.Errorf("flow: timeline: %w", err)
	}
	return t, nil
}

// Named lists the messages with a Message-ID, oldest first: those that parts of one letter went as, or that came under one name.
// store.ErrNotFound where there is none.
func (f *Flow) Named(ctx context.Context, by audit.Actor, messageID string) (ids []string, err error) {
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		all, err := tx.MessagesByHeaderID(message.ParseID(messageID))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return store.ErrNotFound
		}
		ids = nil
		for _, m := range all[:min(len(all), mostNamed)] {
			ids = append(ids, m.ID)
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "message.find", Object: "message:" + m.ID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("flow: message of that name: %w", err)
	}
	return ids, nil
}

// mostNamed is how many messages of one Message-ID are listed.
const mostNamed = mostUnderOneID

func history(tx *store.Tx, id string) (t Timeline, err error) {
	if t.Message, err = tx.Message(id); err != nil {
		return t, err
	}
	if t.Recipients, err = tx.Recipients(id); err != nil {
		return t, err
	}
	t.Events, err = tx.Timeline(id)
	return t, err
}

// Result is what became of a message for one recipient, for programs: it is never more than is known.
type Result string

const (
	Pending   Result = "pending"   // something is awaited
	HandedOn  Result = "relayed"   // outbound: the next server took it, and no more will be heard
	TakenOver Result = "processed" // outbound: the other side has verified it and answers for it; whether it was delivered is not known
	Delivered Result = "delivered" // outbound: the other side confirms the final delivery, as was asked
	NotSent   Result = "failed"    // outbound: the sender has been told why
	Shown     Result = "shown"     // inbound: in the mailbox, or taken note of
	SetAside  Result = "aside"     // inbound: not trusted, kept away from everybody
)

// ResultOf is what became of a message for a recipient of it, and what is awaited: nothing, where awaited is empty. A failure may follow
// TakenOver and HandedOn, but is awaited by nobody.
func ResultOf(m store.Message, r store.Recipient) (res Result, awaited string) {
	switch r.State {
	case transit.Accepted:
		return Pending, "decision"
	case transit.Sealed:
		return Pending, "hand-over"
	case transit.Failed:
		return NotSent, ""
	case transit.Dispatched:
		return Delivered, ""
	case transit.Aside:
		return SetAside, ""
	case transit.Opened:
		return Shown, "notice of ours"
	case transit.Settled:
		return Shown, ""
	}
	switch {
	case over(m, r) && r.State == transit.Processed:
		return TakenOver, ""
	case over(m, r):
		return HandedOn, ""
	case r.State == transit.Processed:
		return Pending, "dispatched notice"
	}
	return Pending, "processed notice"
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
