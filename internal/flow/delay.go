package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/dsn"
	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// noticeDelayed is the kind of notice that tells our own sender that a message waits; there is one for each recipient, for ever.
const noticeDelayed = "delayed"

// watch has the sender told when a message is not handed over in time, whatever it waits for: an answer, a server, a worker, the
// operator. The work is gone as soon as nobody waits (undelayed).
func (f *Flow) watch(tx *store.Tx, m *store.Message) error {
	if m.Kind == transit.Report || f.DelayNotice < 0 {
		return nil // a report's delay is told to nobody, like its failure (Direct 3)
	}
	return tx.InsertWork(&store.Work{Kind: kindDelay, Ref: m.ID, After: f.DelayNotice, Unique: kindDelay + ":" + m.ID})
}

// undelayed takes that work away.
func undelayed(tx *store.Tx, m store.Message) error {
	all, err := tx.WorkOf(m.ID)
	if err != nil {
		return err
	}
	for _, w := range all {
		if w.Kind != kindDelay {
			continue
		}
		if err := tx.CancelWork(w.ID); err != nil {
			return err
		}
	}
	return nil
}

// delay tells the sender which recipients still wait to be handed a message, and until when it is tried (RFC 5321 §4.5.4.1, RFC 3464
// §2.3.3).
func (f *Flow) delay(ctx context.Context, j *queue.Job) error {
	var m store.Message
	var waiting []store.Recipient
	var held []string // ids: of those who wait for a person
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if m, err = tx.Message(j.Ref); err != nil {
			return err
		}
		all, err := tx.Recipients(j.Ref)
		if err != nil {
			return err
		}
		waiting, held = nil, nil
		for _, r := range all {
			if !handedOver(r) {
				waiting = append(waiting, r)
			}
		}
		waiters, err := tx.WaitersOf(j.Ref)
		for _, w := range waiters {
			if w.State == store.Waiting {
				held = append(held, w.Recipient)
			}
		}
		return err
	})
	waiting = tell(m, transit.NotifyDelay, waiting, func(r store.Recipient) store.Recipient { return r })
	if errors.Is(err, store.ErrNotFound) || err == nil && len(waiting) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("flow: delay: %w", err)
	}
	b, err := f.delayed(ctx, m, waiting, held, f.Clock())
	if err != nil {
		return err
	}
	crash.Point("delay.passed")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if err := unmoved(tx, waiting); err != nil { // he would be told of a delay after the final word
			return err
		}
		fresh := 0
		for _, r := range waiting {
			told, err := f.noteDelay(tx, r, b)
			if err != nil {
				return err
			}
			if told {
				fresh++
			}
		}
		if fresh > 0 {
			if err := f.intoMailbox(tx, m.Envelope.From.Address, b); err != nil {
				return err
			}
		}
		return j.Finish(tx)
	}, b.ref)
	crash.Point("delay.settled")
	return err
}

// noteDelay writes down that the sender is told of one recipient's delay; told is false where he was before.
func (f *Flow) noteDelay(tx *store.Tx, r store.Recipient, b bounced) (told bool, err error) {
	err = tx.InsertNotice(r.ID, noticeDelayed, b.ref.ID)
	if errors.Is(err, store.ErrDuplicate) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.delay", Object: "recipient:" + r.ID,
		Detail: map[string]string{"state": string(r.State), "code": delayCode(r)}})
}

// delayed composes the delayed DSN.
func (f *Flow) delayed(ctx context.Context, m store.Message, waiting []store.Recipient, held []string, now time.Time) (bounced, error) {
	sender := m.Envelope.From.Address
	r, err := f.report(sender.Domain, sender, m.Header, now)
	if err != nil {
		return bounced{}, err
	}
	r.Subject = "Delayed: " + or(m.Header.Subject, "(no subject)")
	var text strings.Builder
	text.WriteString(filled("", "", "Your message"+aboutWords(m.Header)+" still waits to be handed over. It is tried until "+moment(m.Expires)+
		"; you need not send it again. If that is in vain you will be told.") + "\nStill waiting:\n")
	for _, x := range waiting {
		why := delayReason(x)
		if slices.Contains(held, x.ID) {
			why = "the operator of your gateway holds such mail until somebody there releases it."
		}
		fmt.Fprintf(&text, "\n  %s\n%s", x.Address, paragraph("Why:", why))
		r.Recipients = append(r.Recipients, dsn.Status{FinalRecipient: x.Address, Action: dsn.Delayed, Code: delayCode(x), Comment: why,
			Diagnostic: diagnostic(x), WillRetryUntil: m.Expires})
	}
	r.Text = text.String()
	f.withOriginal(ctx, &r, m, false)
	return f.keepReport(m, r, waiting)
}

// delayCode is the status of a recipient who waits (RFC 3463): the server's own where it gave one, else 4.4.3 for no answer about
// the recipient's certificate, 4.4.1 for no answer of a server.
func delayCode(r store.Recipient) string {
	own, _, _ := strings.Cut(r.Text, " ")
	switch {
	case r.State == transit.Accepted:
		return "4.4.3"
	case strings.HasPrefix(own, "4.") && dsn.ValidCode(own):
		return own
	}
	return "4.4.1"
}

// diagnostic is the last reply of the server it is handed to, if that gave one: the recipient's, or the one that sends for us.
func diagnostic(r store.Recipient) string {
	if r.Code == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", r.Code, r.Text)
}

func delayReason(r store.Recipient) string {
	switch {
	case r.State == transit.Accepted:
		return "it is not known yet whether the message can be sealed for this recipient: a directory or an authority gives no answer."
	case r.Attempts == 0:
		return "the message is sealed and waits for its turn."
	case r.Code == 0:
		return "the next server on its way could not be reached."
	}
	return "the next server on its way asked for it to be tried again later."
}
