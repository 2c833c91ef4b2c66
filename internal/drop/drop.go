// Package drop lays what arrives for an account into folders outside the installation: its mail into a Maildir, so that any mail
// program reads it, and the studies attached to it into folders of their own. Plaintext leaves the sealed store here, and only because the
// account's holder asked for it (store.Drops); every file or folder that is laid down has its audit entry.
package drop

import (
	"log/slog"

	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// Service does the work that mailbox.Service.Deliver puts on the queue for accounts with folders.
type Service struct {
	Store     *store.Store
	Blobs     *blob.Store
	Mailboxes *mailbox.Service
	Clock     transit.Clock // default time.Now
	Log       *slog.Logger  // default discards
}

// Handlers is the work, for queue.New.
func (s *Service) Handlers() []queue.Handler { panic("to be written") }
