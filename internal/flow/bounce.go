package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// failure is a recipient that a message does not reach, and why.
type failure struct {
	recipient store.Recipient
	event     transit.Event
	code      string // RFC 3463
	clause    string
	reason    string            // one sentence, or several lines
	evidence  map[string]string // besides, for the audit; may be nil
}

// bounced is a DSN for our own sender, durable, waiting for its rows; the zero one is none.
type bounced struct {
	ref   blob.Ref
	head  store.Header
	about map[string]bool // ids of the recipients that it speaks of
}

// speaksOf says whether the sender is told of a recipient by it.
func (b bounced) speaksOf(r store.Recipient) bool { return b.ref.ID != "" && b.about[r.ID] }

// bounce composes the DSN that tells one of our own senders which recipients were not reached, and why (Direct 3.3, 4.3). It goes
// to the sender's mailbox, never over the network, so there is nothing to seal. A report's failure is told to nobody (Direct 3), nor one
// that the sender does not want to hear of (RFC 3461 §4.1).
func (f *Flow) bounce(ctx context.Context, m store.Message, failed []failure, now time.Time) (bounced, error) {
	failed = tell(m, transit.NotifyFailure, failed, func(x failure) store.Recipient { return x.recipient })
	if len(failed) == 0 || m.Kind == transit.Report || m.Envelope.From.IsNull() {
		return bounced{}, nil
	}
	sender := m.Envelope.From.Address
	r, err := f.failureReport(sender.Domain, sender, m.Header, failed, now)
	if err != nil {
		return bounced{}, err
	}
	f.withOriginal(ctx, &r, m, true)
	return f.keepReport(m, r, recipients(failed, func(x failure) store.Recipient { return x.recipient }))
}

// keepReport writes a DSN for our own sender, in his own words where he had some: his ENVID, and what he called the recipients (ORCPT).
func (f *Flow) keepReport(m store.Message, r dsn.Report, about []store.Recipient) (bounced, error) {
	r.ArrivalDate, r.OriginalEnvelopeID = m.Received, m.Envelope.ID
	out := bounced{about: map[string]bool{}}
	for i, x := range about {
		out.about[x.ID] = true
		r.Recipients[i].OriginalAs = m.Envelope.Wish(x.Address).Original
	}
	var err error
	if out.ref, err = f.keep(func(w io.Writer, boundary string) error { return dsn.Compose(w, r, boundary) }); err != nil {
		return bounced{}, err
	}
	out.head = store.Header{MessageID: r.MessageID, Subject: r.Subject, Sender: r.From.String(), Date: r.Date}
	return out, nil
}

func recipients[T any](all []T, of func(T) store.Recipient) (out []store.Recipient) {
	for _, x := range all {
		out = append(out, of(x))
	}
	return out
}

// report begins a DSN of the postmaster of one of our domains, about a message with header h.
func (f *Flow) report(d addr.Domain, to addr.Address, h store.Header, now time.Time) (dsn.Report, error) {
	id, err := message.NewMessageID(rand.Reader, d)
	if err != nil {
		return dsn.Report{}, fmt.Errorf("flow: report: %w", err)
	}
	return dsn.Report{
		From: addr.Address{Endpoint: "postmaster", Domain: d}, To: []addr.Address{to}, Date: now, MessageID: id,
		OriginalMessageID: h.MessageID, ReportingMTA: f.Hostname,
	}, nil
}

// failureReport is a failed DSN.
func (f *Flow) failureReport(d addr.Domain, to addr.Address, h store.Header, failed []failure, now time.Time) (dsn.Report, error) {
	r, err := f.report(d, to, h, now)
	if err != nil {
		return dsn.Report{}, err
	}
	r.Subject = "Not delivered: " + or(h.Subject, "(no subject)")
	r.Text = failureText(h, failed)
	for _, x := range failed {
		r.Recipients = append(r.Recipients, dsn.Status{
			FinalRecipient: x.recipient.Address, Action: dsn.Failed, Code: x.code, Comment: x.clause + ": " + x.reason, Diagnostic: x.recipient.Text,
		})
	}
	return r, nil
}

// failureText says to a person what has happened, why, and what can be done (Direct 3.3).
func failureText(h store.Header, failed []failure) string {
	var text strings.Builder
	text.WriteString(filled("", "", "Your message"+aboutWords(h)+" was NOT delivered to:"))
	for _, x := range failed {
		fmt.Fprintf(&text, "\n  %s\n%s%s%s", x.recipient.Address, paragraph("Why:", x.reason), paragraph("To do:", remedy(x)),
			paragraph("Rule:", x.clause+" ("+x.code+")"))
	}
	text.WriteString("\nRecipients who are not named here are not meant; of each you are told apart.\n")
	return text.String()
}

// remedy says what the sender can do about it (Direct 3.3).
func remedy(x failure) string {
	switch {
	case x.evidence["remedy"] != "":
		return x.evidence["remedy"]
	case x.code == "5.3.4":
		return "send a study again from the same files with \"carepost send\": it now goes in several mails that the server takes. Send other files one by one."
	case x.event == transit.Refuse && x.clause == "Direct 2.3":
		return "check the address; ask the recipient to publish a certificate, or to name one to your administrator."
	case x.event == transit.Refuse && x.clause == "Direct 2.2":
		return "name the recipient in To or Cc, or write to it in a message of its own."
	case x.event == transit.Refuse:
		return "ask your administrator whether the recipient's authority may be trusted; ask the recipient for a valid certificate."
	case x.event == transit.Cancel:
		return "ask the operator of your own gateway, whose decision it was."
	case x.event == transit.Expire, x.event == transit.Overdue:
		return "ask the recipient's operator whether their server is running, then send it again."
	case strings.HasPrefix(x.code, "5.1."):
		return "check the address."
	}
	return "ask the recipient, or their operator, then send it again."
}

// fail writes the rows of failed recipients and of the DSN about them. Who has moved on since, because a notice was quicker, has not
// failed: store.ErrConflict where b names them beside others. A recipient is reported once for ever.
func (f *Flow) fail(tx *store.Tx, m store.Message, b bounced, failed []failure) error {
	fresh, gone := 0, 0
	for _, x := range failed {
		r, err := tx.Recipient(x.recipient.ID)
		if err != nil {
			return err
		}
		if _, err := r.State.Next(x.event); err != nil {
			if b.speaksOf(r) {
				gone++
			}
			continue
		}
		if err := f.move(tx, r, x.event, x.clause, x.reason); err != nil {
			return err
		}
		detail := map[string]string{"event": string(x.event), "code": x.code, "clause": x.clause, "reason": x.reason}
		for k, words := range x.evidence {
			if detail[k] == "" {
				detail[k] = words
			}
		}
		err = audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.fail", Object: "recipient:" + r.ID, Detail: detail})
		if err != nil {
			return err
		}
		if !b.speaksOf(r) {
			continue
		}
		switch err := tx.InsertNotice(r.ID, noticeFinal, b.ref.ID); {
		case err == nil:
			fresh++
		case !errors.Is(err, store.ErrDuplicate):
			return err
		}
	}
	if fresh > 0 && gone > 0 { // he would be told of a failure that is none, or twice
		return store.ErrConflict
	}
	if fresh > 0 {
		if err := f.intoMailbox(tx, m.Envelope.From.Address, b); err != nil {
			return err
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return f.settled(tx, m.ID)
}

// intoMailbox shows a report of ours to one of our own senders.
func (f *Flow) intoMailbox(tx *store.Tx, to addr.Address, b bounced) error {
	if err := tx.InsertBlob(store.Blob(b.ref)); err != nil {
		return err
	}
	err := f.Mailboxes.Deliver(tx, to, mailbox.Inbox, store.Mail{
		Blob: b.ref.ID, At: b.head.Date, Size: b.ref.Size, Subject: b.head.Subject, Sender: b.head.Sender,
	})
	if errors.Is(err, mailbox.ErrNoAccount) {
		// The account is closed since: the audit has what happened.
		return tx.KillBlob(b.ref.ID)
	}
	return err
}
