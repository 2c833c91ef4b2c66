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
		if n, err := tx.BlobMails(m.Blob); n > 0 || err != nil {
			return err
		}
		if m.Message != "" {
			if about, err := tx.Message(m.Message); err != nil || about.State != store.Closed {
				return err // somebody may be shown it yet; package flow lets it go when the message is closed
			}
		}
		return tx.KillBlob(m.Blob)
	})
	if err != nil {
		return fmt.Errorf("mailbox: delete: %w", err)
	}
	return nil
}
