package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// Folders lists the folders of a local address, oldest first. ErrNoAccount.
func (s *Service) Folders(ctx context.Context, by audit.Actor, of addr.Address) (out []store.Mailbox, err error) {
	err = s.Store.Tx(ctx, func(tx *store.Tx) error {
		account, err := tx.Account(of)
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoAccount
		}
		if err != nil {
			return err
		}
		if out, err = tx.Mailboxes(account.ID); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "mailbox.folders", Object: "account:" + account.ID})
	})
	if err != nil {
		return nil, fmt.Errorf("mailbox: folders: %w", err)
	}
	return out, nil
}

// Delete removes one message of a folder for good. Its body dies when no other mail has it and no recipient of the message waits: else it
// dies with the last of them. What was laid into folders outside stays there. store.ErrNotFound.
func (s *Service) Delete(ctx context.Context, by audit.Actor, m store.Mail) error {
	err := s.Store.Tx(ctx, func(tx *store.Tx) error {
		m, err := tx.RemoveMail(m.Mailbox, m.UID)
		if err != nil {
			return err
		}
		err = audit.Write(tx, audit.Entry{Actor: by, Action: "mail.delete", Object: "mailbox:" + m.Mailbox,
			Detail: map[string]string{"uid": strconv.FormatUint(uint64(m.UID), 10), "message": m.Message}})
		if err != nil {
			return err
		}
		about, err := alone(tx, m.Message)
		if err != nil {
			return err
		}
		n, err := tx.BlobMails(m.Blob)
		if err != nil || n > 0 || m.Message != "" && about.State != store.Closed {
			return err // somebody may be shown it yet; package flow lets it go when the message is closed
		}
		return tx.KillBlob(m.Blob)
	})
	if err != nil {
		return fmt.Errorf("mailbox: delete: %w", err)
	}
	return nil
}

// alone reads a message, if there is one, in a transaction that writes to its row: others who let its bodies go, or close it, do so before
// that or after this transaction (PostgreSQL would show neither what the other has done, and the body would be left to nobody).
func alone(tx *store.Tx, id string) (m store.Message, err error) {
	if id == "" {
		return m, nil
	}
	if m, err = tx.Message(id); err != nil {
		return m, err
	}
	if err := tx.SetMessageWork(id, m.Work); err != nil { // as it is: what has been shown stays the same body
		return m, err
	}
	return tx.Message(id)
}
