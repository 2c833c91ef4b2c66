package handover

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/dicom/fileset"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
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
	to    *Destination
	about transit.Subjects
	h     store.Handover
	all   []fileset.Content
	set   int // how many of them are the set's; those after it are the letter's
	fates []byte
	last  string // the last reason for which something was not taken

	unsaved int
	saved   time.Time
}

// newRun takes up where the last try ended. The instances are in the same order each time, for the mail is the same. Where they are not as
// many as they were (another version judged it, or the letter goes with it now, or no more), they are begun anew: the other side knows by
// the UIDs what it has.
func newRun(s *Service, j *queue.Job, h store.Handover, set, letter []fileset.Content) *run {
	begin := func(before string, n int) string {
		if len(before) == n {
			return before
		}
		return strings.Repeat(string(rune(Untried)), n)
	}
	if len(h.Detail.Fates) != len(set) {
		h.Detail.Refused = nil
	}
	h.Total = int64(len(set) + len(letter))
	h.Detail.Fates, h.Detail.Letter = begin(h.Detail.Fates, len(set)), begin(h.Detail.Letter, len(letter))
	return &run{s: s, j: j, h: h, all: slices.Concat(set, letter), set: len(set), fates: []byte(h.Detail.Fates + h.Detail.Letter), saved: s.o.Clock()}
}

// give sends what the destination does not have yet.
func (r *run) give(ctx context.Context) error {
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
	err := r.to.To.Give(ctx, some, func(i int, o Outcome) error { return r.told(ctx, open[i], o) }, r.j.Progress)
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
	h.Detail.Fates, h.Detail.Letter, h.Detail.Reason = string(r.fates[:r.set]), string(r.fates[r.set:]), r.last
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
