// Package mailbox is the folders of local addresses: what came in for them, what could not be sent for them, and the file-sets
// attached to it. Every act on a person's mail names who acts and is audited in the same transaction.
package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
)

// Inbox is the folder that arrivals go to.
const Inbox = "INBOX"

// ErrNoAccount says that an address is not ours to keep mail for.
var ErrNoAccount = errors.New("mailbox: no such account")

// Service reads and fills mailboxes.
type Service struct {
	Store *store.Store
	Blobs *blob.Store
	Outs  []Out // where studies go besides
}

// Deliver puts m into a folder of a local address, once per message, in the caller's transaction, and has it laid into the folders
// outside that the account's holder wants it in, and its study given to the destinations in Outs. desk+urgent is desk's (store.Tx.Holder). ErrNoAccount where the address is unknown.
func (s *Service) Deliver(tx *store.Tx, to addr.Address, folder string, m store.Mail) error {
	account, err := tx.Holder(to)
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoAccount
	}
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	box, err := tx.EnsureMailbox(account.ID, folder)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	m.Mailbox = box.ID
	fresh, err := tx.AppendMail(&m)
	if err == nil && fresh {
		err = errors.Join(drop(tx, account, m), s.handOver(tx, account, m))
	}
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	return nil
}

// List shows a folder of a local address, oldest first, after the message with UID after.
func (s *Service) List(ctx context.Context, by audit.Actor, of addr.Address, folder string, after uint32, limit int) ([]store.Mail, error) {
	var out []store.Mail
	err := s.Store.Tx(ctx, func(tx *store.Tx) error {
		account, err := tx.Account(of)
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoAccount
		}
		if err != nil {
			return err
		}
		box, err := tx.EnsureMailbox(account.ID, folder)
		if err != nil {
			return err
		}
		if out, err = tx.ListMail(box.ID, after, limit); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "mailbox.list", Object: "mailbox:" + box.ID})
	})
	if err != nil {
		return nil, fmt.Errorf("mailbox: list: %w", err)
	}
	return out, nil
}

// Open opens one message of a folder for reading. The caller closes it.
func (s *Service) Open(ctx context.Context, by audit.Actor, m store.Mail) (*blob.Body, error) {
	var row store.Blob
	err := s.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		if m, err = tx.Mail(m.Mailbox, m.UID); err != nil { // what the entry names is what is read
			return err
		}
		if row, err = tx.Blob(m.Blob); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "mail.open", Object: "mailbox:" + m.Mailbox,
			Detail: map[string]string{"uid": strconv.FormatUint(uint64(m.UID), 10)}})
	})
	if err != nil {
		return nil, fmt.Errorf("mailbox: open: %w", err)
	}
	body, err := s.Blobs.Open(blob.Ref(row))
	if err != nil {
		return nil, fmt.Errorf("mailbox: open: %w", err)
	}
	return body, nil
}
