package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/smime"
)

// Kinds of notices made about a recipient; there is one of each for ever.
const (
	noticeProcessed  = "processed"
	noticeFailed     = "failed"
	noticeDispatched = "dispatched"
	noticeDisplayed  = "displayed"
	noticeFinal      = "final" // what our own sender is told at last
)

// owed is a recipient whose side owes the sender an answer.
type owed struct {
	recipient store.Recipient
	self      addr.Address // in whose name: that of the account, where the recipient is written with a tag
	known     bool         // somebody has it
	message   store.Message
	to        []addr.Address // DIR-28; none: nobody can be told
	now       time.Time
}

// notice answers an opened message with a processed MDN (Direct 3.2): a message of our own, from the recipient, that goes the way of
// all others. It is made once for each recipient, whatever crashes: the notice row is unique and in the same transaction.
func (f *Flow) notice(ctx context.Context, j *queue.Job) error {
	o, err := f.owed(ctx, j.Ref)
	if err != nil {
		return err
	}
	if len(o.to) == 0 || o.recipient.State != transit.Opened {
		return f.Store.Tx(ctx, func(tx *store.Tx) error {
			if o.recipient.State == transit.Opened {
				if err := f.discharge(tx, o, "the message names nobody who could be answered"); err != nil {
					return err
				}
			}
			return j.Finish(tx)
		})
	}
	n, err := f.mdn(o, mdn.Processed)
	if err != nil {
		return err
	}
	n.Text = "Your message was received, its signature and the trust in its signer were verified, and it is being delivered to the\n" +
		"recipient. This notice does not say that it has been read.\n"
	ref, err := f.keep(func(w io.Writer, boundary string) error { return mdn.Compose(w, n, boundary) })
	if err != nil {
		return err
	}
	crash.Point("notice.composed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if _, err := f.answer(tx, actor, o, noticeProcessed, ref, headOf(n)); err != nil {
			return err
		}
		if err := f.discharge(tx, o, lines("answered", "a processed notice is on its way")); err != nil {
			return err
		}
		return j.Finish(tx)
	}, ref)
	crash.Point("notice.rows-durable")
	return err
}

// discharge ends the duty to answer.
func (f *Flow) discharge(tx *store.Tx, o *owed, detail string) error {
	if err := f.move(tx, o.recipient, transit.Discharge, "Direct 3.2", detail); err != nil {
		return err
	}
	return f.settled(tx, o.message.ID)
}

// failure answers, after the processed notice, that a message cannot be delivered or used as it is: nobody has the address, or
// its file-set is not COMPLETE (DCM-33, Direct 3.3).
func (f *Flow) failure(ctx context.Context, j *queue.Job) error {
	o, err := f.owed(ctx, j.Ref)
	if err != nil {
		return err
	}
	first, err := f.processedGone(ctx, o)
	if err != nil {
		return err
	}
	if !first {
		// Direct 3.3: only after the processed notice.
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return j.Retry(tx, noticeWait(j.Attempt), "the processed notice goes first") })
	}
	if len(o.to) == 0 {
		return nil
	}
	x, err := f.fault(ctx, j, o)
	if err != nil {
		return err
	}
	return f.answerFailure(ctx, j, o, x)
}

// answerFailure tells the other side that its message was not delivered, or is of no use, by a DSN or, to partners who want it so, by an MDN
// (rule.Rule.Failures).
func (f *Flow) answerFailure(ctx context.Context, j *queue.Job, o *owed, x failure) error {
	compose, head, err := f.failureNotice(o, x)
	if err != nil {
		return err
	}
	ref, err := f.keep(compose)
	if err != nil {
		return err
	}
	crash.Point("failure.composed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if _, err := f.answer(tx, actor, o, noticeFailed, ref, head); err != nil {
			return err
		}
		return j.Finish(tx)
	}, ref)
	crash.Point("failure.rows-durable")
	return err
}

// processedGone says that the processed notice about a recipient is no longer on its way from us: the other side has it, or never
// will.
func (f *Flow) processedGone(ctx context.Context, o *owed) (gone bool, err error) {
	if o.recipient.State == transit.Opened {
		return false, nil
	}
	gone = true
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		id, err := tx.NoticeOf(o.recipient.ID, noticeProcessed)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rs, err := tx.Recipients(id)
		for _, r := range rs {
			gone = gone && r.State != transit.Accepted && r.State != transit.Sealed
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("flow: notice: %w", err)
	}
	return gone, nil
}

// noticeWait is how long a failure waits for the processed notice: briefly at first, for that is on its way already.
func noticeWait(attempt int64) time.Duration {
	const first, most = 500 * time.Millisecond, 15 * time.Minute
	return min(first<<min(max(attempt-1, 0), 12), most)
}

// fault says what is wrong with a message that was opened.
func (f *Flow) fault(ctx context.Context, j *queue.Job, o *owed) (failure, error) {
	if !o.known {
		return failure{o.recipient, transit.Fail, "5.1.1", "RFC 3463 §3.2", "nobody has this address", nil}, nil
	}
	if x, no := o.message.Header.Refused[o.recipient.ID]; no {
		return objected(o.recipient, transit.Fail, x), nil
	}
	const unusable = "the DICOM file-set is not usable as it arrived"
	body, err := f.body(ctx, o.message.Work)
	if errors.Is(err, store.ErrNotFound) { // its recipient has deleted it since
		return failure{o.recipient, transit.Fail, "5.6.0", "PS3.12 V.1.2.2", unusable, nil}, nil
	}
	if err != nil {
		return failure{}, err
	}
	defer body.Close()
	r, _, err := f.checkFileSet(ctx, j, body)
	if err != nil {
		return failure{}, err
	}
	reason := unusable
	if r != nil {
		reason = "the DICOM file-set is " + r.Verdict.String() + faults(r)
	}
	return failure{o.recipient, transit.Fail, "5.6.0", "PS3.12 V.1.2.2", reason, nil}, nil
}

// faults names what is missing or wrong, one to a line, the first of many.
func faults(r *fileset.Report) string {
	const most = 50
	var out string
	for i, m := range r.Missing {
		if i == most {
			return out + fmt.Sprintf("\nand %d more missing", len(r.Missing)-most)
		}
		out += "\nmissing: " + m
	}
	n := 0
	for _, x := range r.Findings {
		if x.Severity == fileset.Note || x.Severity == fileset.Missing {
			continue
		}
		if n++; n > most {
			return out + "\nand more"
		}
		out += "\n" + x.String()
	}
	return out
}

func (f *Flow) owed(ctx context.Context, recipient string) (*owed, error) {
	o := &owed{now: f.Clock()}
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if o.recipient, err = tx.Recipient(recipient); err != nil {
			return err
		}
		if o.self, o.known, err = home(tx, o.recipient.Address); err != nil {
			return err
		}
		o.message, err = tx.Message(o.recipient.Message)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: notice: %w", err)
	}
	o.to = o.message.Header.NoticeTo
	return o, nil
}

// maxNoticeTo is how many addresses may ask for the notice of one message; more is no request but an attack on others.
const maxNoticeTo = 10

// noticeTo says where the notices about a message go (Direct 3.2). In an unwrapped message Disposition-Notification-To is not
// signed, so that anybody on the way could have written it: the sender to whom the signer is bound gets them.
func noticeTo(o *smime.Opened, env transit.Envelope, bound addr.Address) []addr.Address {
	to := mdn.ReturnAddresses(o.Header, env.From)
	if len(to) > maxNoticeTo || !o.Wrapped && !o.HeaderProtected {
		return []addr.Address{bound}
	}
	return to
}

// answer puts a report of ours on its way. When it has been made before nothing is written.
func (f *Flow) answer(tx *store.Tx, by audit.Actor, o *owed, kind string, ref blob.Ref, head store.Header) (fresh bool, err error) {
	if !o.self.Equal(o.recipient.Address) { // a certificate of the account speaks for nothing else (Direct 4.1.1)
		head.SignFor = []addr.Address{o.recipient.Address}
	}
	m := store.Message{
		ID: tx.NewID(), Direction: transit.Outbound, Kind: transit.Report, Size: ref.Size, Raw: ref.ID, Header: head,
		// Direct 3.1.1: the envelope's sender of a notice is not null.
		Envelope: transit.Envelope{From: addr.Path{Address: o.self}, To: once(o.to)}, Expires: o.now.Add(f.Lifetime),
	}
	switch err := tx.InsertNotice(o.recipient.ID, kind, m.ID); {
	case errors.Is(err, store.ErrDuplicate):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := f.record(tx, by, &m, ref, nil); err != nil {
		return false, err
	}
	return true, audit.Write(tx, audit.Entry{Actor: by, Action: "notice.send", Object: "recipient:" + o.recipient.ID,
		Detail: map[string]string{"kind": kind, "message": m.ID}})
}
