package mailbox

import (
	"context"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// Folders lists the folders of a local address, oldest first. ErrNoAccount.
func (s *Service) Folders(ctx context.Context, by audit.Actor, of addr.Address) ([]store.Mailbox, error) {
	panic("to be written")
}

// Delete removes one message of a folder for good; its body goes when nothing else refers to it.
func (s *Service) Delete(ctx context.Context, by audit.Actor, m store.Mail) error { panic("to be written") }
