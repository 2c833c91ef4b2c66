package flow

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// handedOver says that a recipient of a message of our own side no longer waits for us.
func handedOver(r store.Recipient) bool {
	return r.State != transit.Accepted && r.State != transit.Sealed
}

// over says that nobody awaits anything more about a recipient. A failed notice may still follow a processed one; it needs no bodies.
func over(m store.Message, r store.Recipient) bool {
	switch r.State {
	case transit.Relayed:
		return true
	case transit.Processed:
		return !m.Header.FinalDelivery || r.Deadline.IsZero() // no deadline: whose side sends no notices is not waited for
	case transit.Sent:
		return m.Kind == transit.Report // nobody answers it
	}
	return r.State.Final()
}

// decided notes that every recipient of a message has been decided about, and closes it where that is the end.
func (f *Flow) decided(tx *store.Tx, id, cause string) error {
	m, err := tx.Message(id) // as it stands now: what was sealed first may have been answered already
	if err != nil {
		return err
	}
	if m.State == store.Received {
		if err := tx.Advance(&m, store.Decided, cause); err != nil {
			return err
		}
	}
	return f.close(tx, m)
}

// settled looks, at the end of a transaction that has moved recipients of a message, at what is left to do about it: when nobody waits
// to be handed it, nobody is told of a delay; when nobody awaits anything more it is closed, and its bodies go.
func (f *Flow) settled(tx *store.Tx, id string) error {
	m, err := tx.Message(id)
	if err != nil {
		return err
	}
	return f.close(tx, m)
}

// close is settled for a message as it stands now.
func (f *Flow) close(tx *store.Tx, m store.Message) error {
	if m.State == store.Closed {
		return nil
	}
	all, err := tx.Recipients(m.ID)
	if err != nil {
		return err
	}
	sent, done, aside := true, true, false
	for _, r := range all {
		sent, done, aside = sent && handedOver(r), done && over(m, r), aside || r.State == transit.Aside
	}
	if sent && m.Direction == transit.Outbound {
		if err := undelayed(tx, m); err != nil {
			return err
		}
	}
	if !done {
		return nil
	}
	if err := tx.Advance(&m, store.Closed, ""); err != nil {
		return err
	}
	if aside { // a person may want to know what it was
		return tx.InsertWork(&store.Work{Kind: kindPurge, Ref: m.ID, After: f.KeepAside, Unique: kindPurge + ":" + m.ID})
	}
	return f.letGo(tx, "message.close", m, all)
}

// letGo kills the bodies of a closed message that nobody needs any more, for the reason that action names. What was opened lives with the mails that show it.
func (f *Flow) letGo(tx *store.Tx, action string, m store.Message, all []store.Recipient) error {
	bodies := map[string]bool{m.Raw: true}
	for _, r := range all {
		if r.Delivery == "" {
			continue
		}
		d, err := tx.Delivery(r.Delivery)
		if err != nil {
			return err
		}
		bodies[d.Blob] = true
	}
	if m.Work != "" {
		n, err := tx.BlobMails(m.Work)
		if err != nil {
			return err
		}
		bodies[m.Work] = n == 0
	}
	n := 0
	for id, dead := range bodies {
		if id == "" || !dead {
			continue
		}
		if err := tx.KillBlob(id); err != nil {
			return err
		}
		n++
	}
	return audit.Write(tx, audit.Entry{Actor: actor, Action: action, Object: "message:" + m.ID, Detail: map[string]string{"bodies": strconv.Itoa(n)}})
}

// purge lets go of a message that was set aside long enough ago.
func (f *Flow) purge(ctx context.Context, j *queue.Job) error {
	err := f.Store.Tx(ctx, func(tx *store.Tx) error {
		m, err := tx.Message(j.Ref)
		if err != nil {
			return err
		}
		all, err := tx.Recipients(j.Ref)
		if err != nil {
			return err
		}
		if err := f.letGo(tx, "message.purge", m, all); err != nil {
			return err
		}
		if err := tx.RemoveContacts(m.ID); err != nil {
			return err
		}
		return j.Finish(tx)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Sealed opens the sealed message of a recipient, as it goes over the wire. It is there until some days after the message is closed;
// then the error wraps store.ErrNotFound. The caller closes it.
func (f *Flow) Sealed(ctx context.Context, r store.Recipient) (*blob.Body, error) {
	var row store.Blob
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Delivery(r.Delivery)
		if err != nil {
			return err
		}
		row, err = tx.KeptBlob(d.Blob)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: sealed message: %w", err)
	}
	b, err := f.Blobs.Open(blob.Ref(row))
	if err != nil {
		return nil, fmt.Errorf("flow: sealed message: %w", err)
	}
	return b, nil
}
