package mailbox

import (
	"errors"
	"fmt"

	"carepost/addr"
	"carepost/internal/store"
)

// Laying says how far a mail has come on its way to the folders outside that an account's holder wants it in, and its study to a PACS.
type Laying uint8

const (
	NotLaid   Laying = iota // it waits
	Laid                    // everywhere, or there is no such folder, or the mail or its account is gone
	NeverLaid               // the work was given up
)

// Laid says how far the mail of a message has come for a local address, beyond the mailbox.
func (s *Service) Laid(tx *store.Tx, of addr.Address, message string) (Laying, error) {
	mail, account, err := mailOf(tx, of, message)
	if errors.Is(err, store.ErrNotFound) {
		return Laid, nil
	}
	if err != nil {
		return NotLaid, fmt.Errorf("mailbox: %w", err)
	}
	all := Laid
	for _, into := range []string{Maildir, Studies} {
		works, err := tx.WorkOf(Drop{Account: account.ID, Mailbox: mail.Mailbox, UID: mail.UID, Into: into}.String())
		if err != nil {
			return NotLaid, fmt.Errorf("mailbox: %w", err)
		}
		for _, w := range works {
			switch {
			case w.Kind != KindDrop:
			case w.State == store.Dead:
				return NeverLaid, nil
			default:
				all = NotLaid
			}
		}
	}
	handed, err := s.handed(tx, mail)
	switch {
	case err != nil:
		return NotLaid, fmt.Errorf("mailbox: %w", err)
	case handed != Laid:
		return handed, nil
	}
	return all, nil
}

// mailOf finds the mail that shows a message in the inbox of the account that keeps it for a local address: desk's for desk+urgent.
// store.ErrNotFound.
func mailOf(tx *store.Tx, of addr.Address, message string) (m store.Mail, a store.Account, err error) {
	if a, err = tx.Holder(of); err != nil {
		return m, a, err
	}
	boxes, err := tx.Mailboxes(a.ID)
	if err != nil {
		return m, a, err
	}
	for _, box := range boxes {
		if box.Name == Inbox {
			m, err = tx.MailOf(box.ID, message)
			return m, a, err
		}
	}
	return m, a, store.ErrNotFound
}
