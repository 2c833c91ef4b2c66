package sweep

import (
	"context"
	"errors"
	"slices"
	"time"

	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
)

const (
	pass  = 7 * 24 * time.Hour // from the beginning of one reading of all bodies to that of the next, at least
	slice = 8 << 30            // read in one hour, about: 1 TB in five days
	shown = 100                // damaged bodies that are named
)

// scrubState is what is kept from run to run.
type scrubState struct {
	Began   time.Time `json:"began"`             // of this pass over all bodies
	After   string    `json:"after,omitempty"`   // id of the last one read in it; empty: it has not begun
	Checked int       `json:"checked,omitempty"` // in it
	Found   []string  `json:"found,omitempty"`   // damaged, in it
	Ended   time.Time `json:"ended"`             // of the pass before
	Damaged []string  `json:"damaged,omitempty"` // found in that
}

// known are the bodies that were damaged when they were last read.
func (s scrubState) known() []string {
	ids := slices.Clone(s.Found)
	for _, id := range s.Damaged {
		if id > s.After && s.After != "" || s.After == "" { // not read again yet
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (s *Service) scrub(ctx context.Context, j *queue.Job) error {
	var state scrubState
	if err := s.Store.View(ctx, func(tx *store.Tx) error { return load(tx, scrubbing, &state) }); err != nil {
		return err
	}
	now := s.now()
	if state.After == "" {
		if since := now.Sub(state.Began); since >= 0 && since < pass { // less than nothing: a clock was set back
			return nil
		}
		state.Began, state.Checked, state.Found = now, 0, nil
	}
	for read := int64(0); read < slice; {
		var rows []store.Blob
		if err := s.Store.View(ctx, func(tx *store.Tx) (err error) { rows, err = tx.LiveBlobs(state.After, batch); return err }); err != nil {
			return err
		}
		n, err := s.check(ctx, j, rows, &state)
		if err != nil {
			return err
		}
		read += n
		if len(rows) < batch {
			state.After, state.Damaged, state.Ended = "", state.Found, now
			state.Found = nil
			break
		}
	}
	return s.Store.Tx(ctx, func(tx *store.Tx) error { return save(tx, scrubbing, state) })
}

// check reads bodies and tells how many bytes they have.
func (s *Service) check(ctx context.Context, j *queue.Job, rows []store.Blob, state *scrubState) (read int64, err error) {
	for _, row := range rows {
		if err := j.Progress(); err != nil {
			return read, err
		}
		bad, err := s.read(ctx, j, row)
		if bad != nil {
			bad, err = s.again(ctx, j, row.ID)
		}
		if err != nil {
			return read, err
		}
		if bad != nil {
			if err := s.damaged(ctx, row.ID, bad); err != nil {
				return read, err
			}
			if len(state.Found) < shown {
				state.Found = append(state.Found, row.ID)
			}
		}
		state.After = row.ID
		state.Checked++
		read += row.Size
	}
	return read, nil
}

// again reads a body with its row as it is now: it may have died meanwhile, or its data key been wrapped anew.
func (s *Service) again(ctx context.Context, j *queue.Job, id string) (bad, err error) {
	var row store.Blob
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) { row, err = tx.Blob(id); return err })
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.read(ctx, j, row)
}

// read tells what is wrong with a body, or why nobody can say. A large one takes its time, which is no reason to take the work away.
func (s *Service) read(ctx context.Context, j *queue.Job, row store.Blob) (bad, err error) {
	bad = s.Blobs.CheckPieces(ctx, blob.Ref(row), func(int64) error { err = j.Progress(); return err })
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	return bad, nil
}

// damaged tells of a body that does not read true.
func (s *Service) damaged(ctx context.Context, id string, bad error) error {
	what := "unreadable"
	if errors.Is(bad, blob.ErrDamaged) {
		what = "damaged"
	}
	s.log().Error("a body does not read as it was written", "body", id, "err", bad)
	return s.Store.Tx(ctx, func(tx *store.Tx) error {
		return note(tx, "body.damaged", id, map[string]string{"what": what, "error": bad.Error()})
	})
}
