// Package sweep looks after the life of bodies: it removes those that nobody needs any more, and reads those that stay.
package sweep

import (
	"context"
	"log/slog"
	"time"

	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// Service does it by two kinds of work, "sweep" and "scrub". Store and Blobs are needed.
type Service struct {
	Store *store.Store
	Blobs *blob.Store
	Clock transit.Clock // default time.Now; the one of Store and Blobs
	Log   *slog.Logger  // default discards

	Grace  time.Duration // how long the bytes of a dead body stay [7 days]
	Report bool          // tell what would be removed, remove nothing
}

// Status is what the last runs found.
type Status struct {
	Swept    time.Time // when the last sweep ended; zero: none has
	Reported bool      // it removed nothing and only told
	Killed   int       // bodies that nothing referred to, marked dead
	Erased   int       // dead bodies past their grace
	Orphans  int       // files without a row
	Bytes    int64     // of erased bodies and orphans

	Scrubbed time.Time // when every body had last been read; zero: not yet
	Checked  int       // bodies read since then
	Damaged  []string  // ids of bodies that do not read as they were written, at most 100
}

// Handlers are for the queue.
func (s *Service) Handlers() []queue.Handler { panic("later") }

// Start puts the first work on the queue where there is none.
func (s *Service) Start(ctx context.Context) error { panic("later") }

// Status of the last runs.
func (s *Service) Status(ctx context.Context) (Status, error) { panic("later") }
