package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"carepost/dicom/fileset"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
)

const (
	maxRefused = 200             // refusals that are named one by one
	saveEach   = 100             // instances after which the row is written
	saveAfter  = 5 * time.Second // or this
)

// run is one try at one row.
type run struct {
	s     *Service
	j     *queue.Job
	h     store.Handover
	all   []fileset.Content
	fates []byte
	last  string // the last reason for which something was not taken

	unsaved int
	saved   time.Time
}

// newRun takes up where the last try ended. The instances are in the same order each time, for the mail is the same.
func newRun(s *Service, j *queue.Job, h store.Handover, all []fileset.Content) (*run, error) {
	r := &run{s: s, j: j, h: h, all: all, fates: []byte(h.Detail.Fates), saved: s.o.Clock()}
	if h.Detail.Fates == "" {
		r.fates = bytes.Repeat([]byte{byte(Untried)}, len(all))
	}
	if len(r.fates) != len(all) {
		return nil, errors.New("the set is not the one that was begun")
	}
	r.h.Total = int64(len(all))
	return r, nil
}

// give sends what the destination does not have yet.
func (r *run) give(ctx context.Context, to Taker) error {
	var open []int
	var some []fileset.Content
	for i, f := range r.fates {
		if Fate(f) == Untried || Fate(f) == Later {
			open, some = append(open, i), append(some, r.all[i])
		}
	}
	if len(open) == 0 {
		return nil
	}
	err := to.Give(ctx, some, func(i int, o Outcome) error { return r.told(ctx, open[i], o) }, r.j.Progress)
	if err != nil {
		r.last = err.Error()
	}
	return err
}

// told notes what became of one instance, and writes it down now and then.
func (r *run) told(ctx context.Context, i int, o Outcome) error {
	r.fates[i] = byte(o.Fate)
	switch o.Fate {
	case Refused:
		r.last = o.Reason
		if x := r.all[i]; len(r.h.Detail.Refused) < maxRefused {
			r.h.Detail.Refused = append(r.h.Detail.Refused, store.HandoverRefusal{SOPClass: x.SOPClass, SOPInstance: x.SOPInstance, Reason: o.Reason})
		}
	case Later:
		r.last = o.Reason
	}
	crash.Point("handover.given")
	r.unsaved++
	if now := r.s.o.Clock(); r.unsaved < saveEach && now.Sub(r.saved) < saveAfter {
		return r.j.Progress()
	}
	if err := r.s.o.Store.Tx(ctx, func(tx *store.Tx) error { return tx.PutHandover(r.row()) }); err != nil {
		return err
	}
	r.unsaved, r.saved = 0, r.s.o.Clock()
	return r.j.Progress()
}

// row is how far it is now.
func (r *run) row() store.Handover {
	h := r.h
	h.Detail.Fates, h.Detail.Reason = string(r.fates), r.last
	h.Taken = int64(r.count(Taken) + r.count(Warned))
	return h
}

func (r *run) count(f Fate) int { return bytes.Count(r.fates, []byte{byte(f)}) }

// left says what is not taken yet, for people.
func (r *run) left() string {
	refused, open := r.count(Refused), r.count(Untried)+r.count(Later)
	text := fmt.Sprintf("%d of %d instances are not taken yet", open, len(r.all))
	switch {
	case open == 0:
		text = fmt.Sprintf("%d of %d instances were refused", refused, len(r.all))
	case refused > 0:
		text += fmt.Sprintf(", %d were refused", refused)
	}
	if r.last != "" {
		text += "; the last answer: " + r.last
	}
	return text
}
