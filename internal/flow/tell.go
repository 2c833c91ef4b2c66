package flow

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/message"
)

// Tell puts a letter of the postmaster into the mailbox of one of our own accounts, in the transaction of and, which does what the letter is
// about. Where there is no such account and is done alone. It never leaves the house, so it is not sealed.
func (f *Flow) Tell(ctx context.Context, to addr.Address, subject, text string, and func(*store.Tx) error) error {
	b, err := f.toOwn(to, subject, text, "", f.Clock())
	if err != nil {
		return err
	}
	return f.commit(ctx, func(tx *store.Tx) error {
		if err := and(tx); err != nil {
			return err
		}
		return f.intoMailbox(tx, to, b)
	}, b.ref)
}

// toOwn composes a letter of the postmaster to one of our own accounts, about a message where it has an id.
func (f *Flow) toOwn(to addr.Address, subject, text, about string, now time.Time) (b bounced, err error) {
	from := addr.Address{Endpoint: "postmaster", Domain: to.Domain}
	id, err := message.NewMessageID(rand.Reader, to.Domain)
	if err != nil {
		return b, fmt.Errorf("flow: letter: %w", err)
	}
	b.head = store.Header{MessageID: id, Subject: subject, Sender: from.String(), Date: now}
	b.ref, err = f.keep(func(out io.Writer, boundary string) error {
		var l message.Builder
		l.AddMailboxes("From", message.Mailbox{Address: from}).AddMailboxes("To", message.Mailbox{Address: to})
		l.AddText("Subject", subject).AddDate(now).Add("Message-ID", id).Add("Auto-Submitted", "auto-generated") // RFC 3834 §5
		if about != "" {
			l.Add("In-Reply-To", about).Add("References", about)
		}
		if err := l.Err(); err != nil {
			return err
		}
		return message.WriteLetter(out, &l, text, boundary)
	})
	return b, err
}
