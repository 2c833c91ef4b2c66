// Package sweep looks after the life of bodies: it removes those that nobody needs any more, and reads those that stay.
//
// Two kinds of work do it, each a row that puts its successor on the queue when it is done. Work "sweep", every hour:
//
//   - a live body that no row has referred to for a day is marked dead;
//   - a body that has been dead for Grace is erased: its data key is destroyed in the transaction that says so, its file goes after
//     that. Grace is longer than a backup takes and than the operator goes back to an older database: neither finds rows without bodies;
//   - a file without a row, left by a crash between its fsync and its transaction, is removed: begun in an hour that ended a day ago or
//     earlier (no row is made for such a body, store.Tx.InsertBlob), not touched since, found without a row twice, half an hour apart by
//     a clock that nobody sets, and once more in the transaction that audits its removal.
//
// A crash anywhere between leaves a file without a row, which a later run finds. Each body that goes has an audit entry. The first run of an
// installation removes nothing: it tells what it would.
//
// Work "scrub" reads every body within a week of the last time and compares it with its digest; what does not read true is audited, logged by id, and
// shown by Status until it does.
package sweep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// Kinds of work, and the settings that keep what is known from run to run.
const (
	sweeping  = "sweep"
	scrubbing = "scrub"
)

const (
	actor = audit.Actor("sweep")
	every = time.Hour
	grace = 7 * 24 * time.Hour
	young = 24 * time.Hour // what is not older has perhaps a transaction under way
)

// Service is for one installation. Store and Blobs are needed. It is safe for concurrent use.
type Service struct {
	Store *store.Store
	Blobs *blob.Store
	Clock transit.Clock // default time.Now; the one that Store and Blobs have
	Log   *slog.Logger  // default discards

	Grace  time.Duration // how long the bytes of a dead body stay [7 days]
	Report bool          // tell what would be removed, remove nothing

	mu       sync.Mutex
	suspects map[string]time.Time // files that were found without a row, and when
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
func (s *Service) Handlers() []queue.Handler {
	return []queue.Handler{
		{Kind: sweeping, Do: s.hourly(s.sweep)},
		{Kind: scrubbing, Do: s.hourly(s.scrub)},
	}
}

// Start puts the first work on the queue where there is none.
func (s *Service) Start(ctx context.Context) error {
	for i, kind := range []string{sweeping, scrubbing} {
		err := s.Store.Tx(ctx, func(tx *store.Tx) error {
			return tx.InsertWork(&store.Work{Kind: kind, Unique: kind, After: time.Duration(i+1) * 10 * time.Minute})
		})
		if err != nil && !errors.Is(err, store.ErrDuplicate) {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// Status of the last runs.
func (s *Service) Status(ctx context.Context) (Status, error) {
	var swept sweepState
	var read scrubState
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		return errors.Join(load(tx, sweeping, &swept), load(tx, scrubbing, &read))
	})
	if err != nil {
		return Status{}, fmt.Errorf("sweep: %w", err)
	}
	return Status{
		Swept: swept.Ended, Reported: swept.Reported, Killed: swept.Killed, Erased: swept.Erased, Orphans: swept.Orphans, Bytes: swept.Bytes,
		Scrubbed: read.Ended, Checked: read.Checked, Damaged: read.known(),
	}, nil
}

// hourly makes a handler that settles its work and puts the next on the queue in one transaction.
func (s *Service) hourly(do func(context.Context, *queue.Job) error) func(context.Context, *queue.Job) error {
	return func(ctx context.Context, j *queue.Job) error {
		if err := do(ctx, j); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		return s.Store.Tx(ctx, func(tx *store.Tx) error {
			if err := j.Finish(tx); err != nil {
				return err
			}
			return tx.InsertWork(&store.Work{Kind: j.Kind, Unique: j.Kind, After: every})
		})
	}
}

func (s *Service) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

func (s *Service) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}

func (s *Service) grace() time.Duration { return cmp.Or(s.Grace, grace) }

// load reads what a former run kept; what was never kept is left as it is.
func load(tx *store.Tx, key string, into any) error {
	value, _, err := tx.Setting(key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return json.Unmarshal(value, into)
}

// save keeps it for the next run.
func save(tx *store.Tx, key string, state any) error {
	value, err := json.Marshal(state)
	if err != nil {
		return err
	}
	_, version, err := tx.Setting(key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return tx.SetSetting(key, value, version)
}

// note writes the audit entry about one body.
func note(tx *store.Tx, action, id string, detail map[string]string) error {
	return audit.Write(tx, audit.Entry{Actor: actor, Action: action, Object: "body:" + id, Detail: detail})
}
