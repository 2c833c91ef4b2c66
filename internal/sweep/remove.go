package sweep

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"time"

	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
)

const (
	batch  = 100              // bodies in one transaction
	perRun = 50_000           // files that one run looks at; the next goes on from there
	apart  = 30 * time.Minute // between the two times that a file is found without a row
	most   = 100_000          // suspects; a run finds more when these are gone
)

// sweepState is what is kept from run to run.
type sweepState struct {
	Ended    time.Time `json:"ended"`
	Reported bool      `json:"reported,omitempty"`
	Killed   int       `json:"killed,omitempty"`
	Erased   int       `json:"erased,omitempty"`
	Orphans  int       `json:"orphans,omitempty"`
	Bytes    int64     `json:"bytes,omitempty"`
	After    string    `json:"after,omitempty"` // key of the last file that was looked at
}

// run is one sweep.
type run struct {
	*Service
	job *queue.Job
	now time.Time
	sweepState
}

func (s *Service) sweep(ctx context.Context, j *queue.Job) error {
	var last sweepState
	if err := s.Store.View(ctx, func(tx *store.Tx) error { return load(tx, sweeping, &last) }); err != nil {
		return err
	}
	r := &run{Service: s, job: j, now: s.now()}
	r.Reported, r.After = s.Report || last.Ended.IsZero(), last.After
	for _, step := range []func(context.Context) error{r.kill, r.erase, r.orphans} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.Ended = r.now
	if err := s.Store.Tx(ctx, func(tx *store.Tx) error { return save(tx, sweeping, r.sweepState) }); err != nil {
		return err
	}
	if text := "bodies swept"; r.Killed+r.Erased+r.Orphans > 0 {
		if r.Reported {
			text = "bodies that a sweep would remove"
		}
		s.log().Info(text, "unreferred", r.Killed, "dead", r.Erased, "orphans", r.Orphans, "bytes", r.Bytes)
	}
	return nil
}

// kill marks the bodies dead that no row refers to.
func (r *run) kill(ctx context.Context) error {
	before := r.now.Add(-young)
	for {
		var ids []string
		if err := r.Store.View(ctx, func(tx *store.Tx) (err error) { ids, err = tx.UnreferredBlobs(before, batch); return err }); err != nil {
			return err
		}
		if r.Reported || len(ids) == 0 {
			r.Killed += len(ids)
			return nil
		}
		killed := 0
		err := r.Store.Tx(ctx, func(tx *store.Tx) error {
			killed = 0
			for _, id := range ids {
				switch done, err := tx.KillUnreferred(id); { // somebody may refer to it by now
				case err != nil:
					return err
				case done:
					killed++
					if err := note(tx, "body.kill", id, nil); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.Killed += killed
		if len(ids) < batch {
			return nil
		}
		if err := r.job.Progress(); err != nil {
			return err
		}
	}
}

// erase destroys the keys of bodies that have been dead for long enough, then removes their files.
func (r *run) erase(ctx context.Context) error {
	for {
		var dead []store.Blob
		find := func(tx *store.Tx) (err error) { dead, err = tx.DeadBlobs(r.now.Add(-r.grace()), batch); return err }
		if err := r.Store.View(ctx, find); err != nil {
			return err
		}
		if r.Reported || len(dead) == 0 {
			r.erased(dead)
			return nil
		}
		err := r.Store.Tx(ctx, func(tx *store.Tx) error {
			if err := find(tx); err != nil {
				return err
			}
			for _, b := range dead {
				if err := errors.Join(tx.SweepBlob(b.ID), note(tx, "body.erase", b.ID, nil)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		// A crash here leaves files without a row, and without a key.
		for _, b := range dead {
			r.remove(b.ID, b.Key)
		}
		r.erased(dead)
		if len(dead) < batch {
			return nil
		}
		if err := r.job.Progress(); err != nil {
			return err
		}
	}
}

func (r *run) erased(dead []store.Blob) {
	for _, b := range dead {
		r.Erased++
		r.Bytes += b.Size
	}
}

// remove deletes a file. What cannot be removed now is a file without a row, and found again.
func (r *run) remove(id, key string) {
	if err := r.Blobs.Remove(blob.Ref{ID: id, Key: key}); err != nil {
		r.log().Warn("a body's file stays for now", "body", id, "err", err)
	}
}

// file of a body.
type file struct {
	key  string
	size int64
}

// orphans removes files without a row.
func (r *run) orphans(ctx context.Context) error {
	var files []file
	look := func() error {
		err := r.rowless(ctx, files)
		files = files[:0]
		return errors.Join(err, r.job.Progress())
	}
	seen, before := 0, r.now.Add(-young)
	err := r.Blobs.WalkFrom(ctx, r.After, before, func(key string, size int64) error {
		files = append(files, file{key, size})
		seen++
		if len(files) == batch {
			if err := look(); err != nil {
				return err
			}
		}
		if r.After = key; seen == perRun {
			return fs.SkipAll
		}
		return nil
	})
	if err := errors.Join(err, look()); err != nil {
		return err
	}
	if seen == perRun {
		return nil
	}
	r.After = ""
	if r.Reported {
		return nil
	}
	return r.Blobs.Prune(ctx, before)
}

// rowless removes those of files that have no row and had none before.
func (r *run) rowless(ctx context.Context, files []file) error {
	if len(files) == 0 {
		return nil
	}
	var lost []file
	if err := r.Store.View(ctx, func(tx *store.Tx) (err error) { lost, err = without(tx, files); return err }); err != nil {
		return err
	}
	lost = r.suspect(files, lost)
	if r.Reported || len(lost) == 0 {
		r.lost(lost)
		return nil
	}
	err := r.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		if lost, err = without(tx, lost); err != nil {
			return err
		}
		for _, f := range lost {
			if err := note(tx, "body.sweep", path.Base(f.key), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range lost {
		r.remove(path.Base(f.key), f.key)
		r.forget(f.key)
	}
	r.lost(lost)
	return nil
}

func (r *run) lost(files []file) {
	for _, f := range files {
		r.Orphans++
		r.Bytes += f.size
	}
}

// without gives those of files that no row knows.
func without(tx *store.Tx, files []file) (lost []file, err error) {
	keys := make([]string, len(files))
	for i, f := range files {
		keys[i] = f.key
	}
	known, err := tx.KnownKeys(keys)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if !known[f.key] {
			lost = append(lost, f)
		}
	}
	return lost, nil
}

// suspect remembers which of files are without a row, and gives those that were so half an hour ago; when only telling, all of them.
// That time is measured by the monotonic clock: were the machine's clock set forward by days, bodies that are minutes old would look old, and
// have their rows when it is set back.
func (r *run) suspect(files, lost []file) (ripe []file) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.suspects == nil {
		r.suspects = make(map[string]time.Time)
	}
	now := time.Now()
	still := make(map[string]bool, len(lost))
	for _, f := range lost {
		still[f.key] = true
		first, seen := r.suspects[f.key]
		if !seen && len(r.suspects) < most {
			r.suspects[f.key] = now
		}
		if r.Reported || seen && now.Sub(first) >= apart {
			ripe = append(ripe, f)
		}
	}
	for _, f := range files {
		if !still[f.key] {
			delete(r.suspects, f.key)
		}
	}
	return ripe
}

func (r *run) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.suspects, key)
}
