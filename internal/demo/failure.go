package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"carepost/dsn"
	"carepost/internal/audit"
	"carepost/internal/mailbox"
	"carepost/message"
)

// ErrFailed says that the message did not reach the recipient; the error that wraps it says why.
var ErrFailed = errors.New("demo: the message failed")

// reported is why the message failed, in the words of the report in the sender's mailbox.
func (w *world) reported(ctx context.Context) error {
	mails, err := w.a.Mailboxes().List(ctx, actor, sender, mailbox.Inbox, 0, 1)
	if err != nil {
		return err
	}
	if len(mails) == 0 {
		return ErrFailed
	}
	body, err := w.a.Mailboxes().Open(ctx, actor, mails[0])
	if err != nil {
		return err
	}
	defer body.Close()
	root, err := message.Parse(body, body.Size(), message.Limits{})
	if err != nil {
		return fmt.Errorf("%w; its report cannot be read: %w", ErrFailed, err)
	}
	report, err := dsn.Parse(root, body)
	if err != nil {
		return fmt.Errorf("%w; its report cannot be read: %w", ErrFailed, err)
	}
	var why []string
	for _, r := range report.Recipients {
		why = append(why, strings.TrimSpace(r.Comment))
	}
	return fmt.Errorf("%w: %s", ErrFailed, strings.Join(why, "; "))
}

// setAside is why the recipient's side set the message aside, which it tells nobody but its own audit (Direct 3); nil while it has
// not.
func (w *world) setAside(ctx context.Context) error {
	records, err := w.b.Audit(ctx, audit.Filter{Action: "recipient.set-aside", Limit: 1})
	if err != nil || len(records) == 0 {
		return err
	}
	d := records[0].Detail
	return fmt.Errorf("%w: the recipient's side set it aside: %s: %s", ErrFailed, d["clause"], d["reason"])
}
