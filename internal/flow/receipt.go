package flow

import (
	"context"
	"fmt"
	"io"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
)

// oweDelivery writes down, in the transaction that shows a mail, that its sender asks to be told of the final delivery (Implementation
// Guide for Delivery Notification in Direct, 1.3).
func (f *Flow) oweDelivery(tx *store.Tx, r store.Recipient, head store.Header) error {
	if !head.FinalDelivery {
		return nil
	}
	return tx.InsertWork(&store.Work{Kind: kindDelivery, Ref: r.ID, Unique: kindDelivery + ":" + r.ID})
}

// delivery answers with a dispatched MDN that a mail is where its recipient reads it: in the mailbox and, where the account's holder wants
// it laid into folders outside, there too. The processed notice goes first. What cannot be laid down is reported as a failure.
func (f *Flow) delivery(ctx context.Context, j *queue.Job) error {
	o, err := f.owed(ctx, j.Ref)
	if err != nil || len(o.to) == 0 {
		return err
	}
	first, err := f.processedGone(ctx, o)
	if err != nil {
		return err
	}
	if !first {
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return j.Retry(tx, noticeWait(j.Attempt), "the processed notice goes first") })
	}
	laid := mailbox.Laid
	err = f.Store.View(ctx, func(tx *store.Tx) (err error) {
		laid, err = f.Mailboxes.Laid(tx, o.self, o.message.ID)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("flow: delivery: %w", err)
	case laid == mailbox.NeverLaid, laid == mailbox.NotLaid && expired(o.message, o.now):
		return f.answerFailure(ctx, j, o, failure{o.recipient, transit.Fail, "5.2.0", "Direct 3.3",
			"the mail could not be laid where its recipient reads it: in a folder, or in an archive of images", nil})
	case laid == mailbox.NotLaid:
		return f.Store.Tx(ctx, func(tx *store.Tx) error {
			return j.Retry(tx, noticeWait(j.Attempt), "it waits to be laid into a folder, or to be taken by an archive")
		})
	}
	n, err := f.mdn(o, mdn.Dispatched)
	if err != nil {
		return err
	}
	n.Extensions = []mdn.Extension{{Name: mdn.DeliveryExtension}}
	n.Text = "Your message has been delivered: it is where its recipient reads it. This notice does not\nsay that it has been read.\n"
	ref, err := f.keep(func(w io.Writer, boundary string) error { return mdn.Compose(w, n, boundary) })
	if err != nil {
		return err
	}
	crash.Point("delivery.composed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if _, err := f.answer(tx, actor, o, noticeDispatched, ref, headOf(n)); err != nil {
			return err
		}
		return j.Finish(tx)
	}, ref)
	crash.Point("delivery.rows-durable")
	return err
}

// Receipt is what is known of a mail that somebody has: who asks to be told that it is read, and whether they have been told.
type Receipt struct {
	To   []addr.Address // none: nobody asks, or nobody may be told
	Sent bool
}

// Receipt tells whether the sender of a message asks to be told that one of ours reads it. store.ErrNotFound.
func (f *Flow) Receipt(ctx context.Context, of addr.Address, message string) (out Receipt, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		o, err := f.receipt(tx, of, message)
		if err != nil {
			return err
		}
		out.To = o.to
		_, err = tx.NoticeOf(o.recipient.ID, noticeDisplayed)
		out.Sent, err = found(err)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("flow: receipt: %w", err)
	}
	return out, nil
}

// receipt finds whom a displayed MDN about a message would go to.
func (f *Flow) receipt(tx *store.Tx, of addr.Address, message string) (*owed, error) {
	o := &owed{now: f.Clock()}
	var err error
	if o.message, err = tx.Message(message); err != nil {
		return nil, err
	}
	all, err := tx.Recipients(message)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		shown := r.State == transit.Opened || r.State == transit.Settled
		if o.message.Direction != transit.Inbound || !shown {
			continue
		}
		if o.self, o.known, err = home(tx, r.Address); err != nil {
			return nil, err
		}
		if o.self.Equal(of) {
			o.recipient = r
			if o.message.Header.Receipt {
				o.to = o.message.Header.NoticeTo
			}
			return o, nil
		}
	}
	return nil, store.ErrNotFound
}

// SendReceipt tells the sender of a mail that it has been read, because the person who reads it says so, and only where he asks for it
// (RFC 3798 §2.1). It is sent once: sent is false when it was before. *Refusal where nobody asks. store.ErrNotFound.
func (f *Flow) SendReceipt(ctx context.Context, by audit.Actor, of addr.Address, message string) (sent bool, err error) {
	var o *owed
	err = f.Store.View(ctx, func(tx *store.Tx) error { o, err = f.receipt(tx, of, message); return err })
	if err != nil {
		return false, fmt.Errorf("flow: receipt: %w", err)
	}
	if len(o.to) == 0 {
		return false, &Refusal{"RFC 3798 §2.1", "the sender of this mail does not ask to be told that it is read"}
	}
	n, err := f.mdn(o, mdn.Displayed)
	if err != nil {
		return false, err
	}
	n.Manual = true
	n.Text = "Your message has been shown to its recipient, who consents to your being told. This notice\ndoes not say that it was understood or acted upon.\n"
	var ref blob.Ref
	if ref, err = f.keep(func(w io.Writer, boundary string) error { return mdn.Compose(w, n, boundary) }); err != nil {
		return false, err
	}
	err = f.commit(ctx, func(tx *store.Tx) (err error) {
		sent, err = f.answer(tx, by, o, noticeDisplayed, ref, headOf(n))
		return err
	}, ref)
	if err != nil {
		return false, fmt.Errorf("flow: receipt: %w", err)
	}
	return sent, nil
}
