package flow

import (
	"context"
	"errors"
	"fmt"

	"carepost/dsn"
	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// noticeRelayed tells our own sender how far a message is known to have come where no more will be heard. Other than noticeFinal it does
// not bar a failure that is reported later.
const noticeRelayed = "relayed"

// good says what a sender who asks for good news is to be told of a recipient as he stands: a final delivery; or that the message was
// handed on and no more is expected, which is never called delivered (DIR-50). Empty is nothing yet.
func good(m store.Message, r store.Recipient) (kind string) {
	asked := wantsSuccess(m, r)
	switch {
	case m.Kind != transit.Mail || !asked:
		return ""
	case r.State == transit.Dispatched:
		return noticeFinal
	case (r.State == transit.Relayed || r.State == transit.Processed) && over(m, r):
		return noticeRelayed
	}
	return ""
}

// promise makes it a duty to tell the good news of a recipient. It is a row of its own, so that two notices that come at one time do not
// leave it to one another.
func (f *Flow) promise(tx *store.Tx, m store.Message, r store.Recipient) error {
	kind := good(m, r)
	if kind == "" {
		return nil
	}
	_, err := tx.NoticeOf(r.ID, kind)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err = tx.InsertWork(&store.Work{Kind: kindSuccess, Ref: r.ID, Unique: kindSuccess + ":" + r.ID})
	if errors.Is(err, store.ErrDuplicate) {
		return nil // the work that waits tells what is so when it is done
	}
	return err
}

// success tells one of our own senders that a message has arrived, where he asked for it: once for each recipient.
func (f *Flow) success(ctx context.Context, j *queue.Job) error {
	r, m, err := f.concerned(ctx, j)
	if err != nil {
		return fmt.Errorf("flow: success: %w", err)
	}
	kind := good(m, r)
	if kind == "" {
		return nil
	}
	b, err := f.goodNews(ctx, m, r, kind)
	if err != nil {
		return err
	}
	crash.Point("success.composed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if err := unmoved(tx, []store.Recipient{r}); err != nil {
			return err
		}
		fresh, err := first(tx, r, kind, b.ref.ID)
		if err != nil {
			return err
		}
		if fresh {
			if err := f.intoMailbox(tx, m.Envelope.From.Address, b); err != nil {
				return err
			}
			err := audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.succeed", Object: "recipient:" + r.ID,
				Detail: map[string]string{"kind": kind, "state": string(r.State), "message": m.ID}})
			if err != nil {
				return err
			}
		}
		return j.Finish(tx)
	}, b.ref)
	crash.Point("success.settled")
	return err
}

// goodNews composes the DSN that says how well it went: delivered, or relayed (RFC 3464 §2.3.3).
func (f *Flow) goodNews(ctx context.Context, m store.Message, r store.Recipient, kind string) (bounced, error) {
	sender, now := m.Envelope.From.Address, f.Clock()
	rep, err := f.report(sender.Domain, sender, m.Header, now)
	if err != nil {
		return bounced{}, err
	}
	st := dsn.Status{FinalRecipient: r.Address, Action: dsn.Delivered, Code: "2.0.0"}
	subject, what, more := "Delivered: ", "been delivered", "This notice does not say that it has been read."
	st.Comment = "the recipient's side confirms its final delivery"
	if kind == noticeRelayed {
		st.Action = dsn.Relayed
		subject, what, more = "Handed over: ", "been handed over", "Whether it was delivered is not known; no more will be heard unless it fails."
		st.Comment = "the recipient's server took the message, and sends no notices"
		if r.State == transit.Processed {
			st.Comment = "the recipient's side has verified the message and taken it over, and confirms no final delivery"
		}
	}
	rep.Subject = subject + or(m.Header.Subject, "(no subject)")
	rep.Text = fmt.Sprintf("%s\n  %s\n%s\n%s", filled("", "", "Your message"+aboutWords(m.Header)+" has "+what+":"), r.Address,
		paragraph("How:", st.Comment+"."), filled("", "", more))
	rep.Recipients = []dsn.Status{st}
	f.withOriginal(ctx, &rep, m, false)
	return f.keepReport(m, rep, []store.Recipient{r})
}
