// Package handover gives the studies that arrive by mail to PACS: by C-STORE (PS3.4 Annex B, package dimse) or STOW-RS (PS3.18 §10.5, package
// stow), each instance as it came, byte for byte in its data set.
//
// It is work on the queue: package mailbox puts it there in the transaction that shows the mail, one row and one piece of work for each
// destination. Only a set that is COMPLETE, in a mail that gives no cause for doubt, is given away; any other stays in its mail. How far each
// instance is stands in the row: what a destination has taken is not sent again, what it had no room for is tried again at the queue's
// back-off until the destination's patience ends, and what it refuses is not tried until the operator says so. The mailbox keeps its copy.
//
// Exactly once, as far as the other side allows: what was taken just before a crash, and not yet written down, is sent a second time, under
// the same SOP Instance UID and with the same bytes, which a PACS knows for a duplicate (PS3.4 §B.2.3; status 0111H counts as taken).
//
// What the sender wrote in the body of the mail (DCM-27) does not travel by C-STORE or STOW-RS, which know instances alone: it stays with the
// mail, which the row and the audit entry name. Where the operator wants it, it goes along as instances that are made of it, one Basic Text SR
// for each study of the set (package textsr); but not with a set of several patients, for it may speak of each.
package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"carepost/dicom/fileset"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
)

const actor = audit.Actor("handover")

// Destination is one [[dicom.out]].
type Destination struct {
	Name     string
	With     rule.Who      // senders whose studies it gets
	Patience time.Duration // how long an instance is tried [4 days]
	Letter   bool          // the letter of the mail goes with the study, as a Basic Text SR of each study
	To       Taker

	Calling, Called, Host string // AE titles, and the host of the other side, for the audit
	Secure                bool   // by TLS
}

const patience = 4 * 24 * time.Hour

// Taker is the other side, on the network.
type Taker interface {
	// Give sends instances and says of each, as soon as it is known, what became of it. An error ends it: the others are not known. moved is
	// called while octets move. Errors of told and moved end it too.
	Give(ctx context.Context, all []fileset.Content, told func(i int, o Outcome) error, moved func() error) error
	// Reach asks whether the other side is there and speaks with us.
	Reach(ctx context.Context) error
}

// Fate of one instance.
type Fate byte

// The fates, as they stand in the row.
const (
	Untried Fate = '.'
	Taken   Fate = 't'
	Warned  Fate = 'w' // taken, though the other side has something to say about it
	Later   Fate = 'l' // not taken, perhaps another time
	Refused Fate = 'r'
)

// Outcome is what the other side says of one instance.
type Outcome struct {
	Fate   Fate
	Reason string // for people; nothing of a patient
}

// Service does the work.
type Service struct {
	o      Options
	pruned atomic.Int64 // Unix time of the last time that old rows were forgotten
}

// Options of a Service.
type Options struct {
	Store        *store.Store
	Blobs        *blob.Store
	Destinations []Destination
	Clock        func() time.Time
	Log          *slog.Logger // default discards
}

// New makes a Service; the queue runs it.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Service{o: o}
}

// Handlers is the work, for queue.New. A PACS that hangs keeps nobody else waiting.
func (s *Service) Handlers() []queue.Handler {
	return []queue.Handler{
		{Kind: mailbox.KindHandOver, Lane: store.Small, Workers: 2, Stalled: 8, Do: s.do},
		{Kind: mailbox.KindHandOver, Lane: store.Huge, Workers: 2, Stalled: 4, Do: s.do},
	}
}

func (s *Service) destination(name string) *Destination {
	for i := range s.o.Destinations {
		if s.o.Destinations[i].Name == name {
			return &s.o.Destinations[i]
		}
	}
	return nil
}

// do gives the set of one mail to one destination, as far as it goes this time.
func (s *Service) do(ctx context.Context, j *queue.Job) error {
	h, err := s.row(ctx, j.Ref)
	if errors.Is(err, store.ErrNotFound) || err == nil && h.State != store.HandoverWaiting {
		return nil
	}
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	d := s.destination(h.Target)
	if d == nil {
		return s.fail(ctx, j, h, "carepost.toml has no [[dicom.out]] of this name any more")
	}
	it, err := s.open(ctx, j, h)
	switch {
	case errors.Is(err, errNothing), errors.Is(err, store.ErrNotFound):
		return s.forget(ctx, j, h)
	case errors.Is(err, blob.ErrDamaged):
		return s.fail(ctx, j, h, "the stored mail does not read as it was written: restore it from a backup, and retry")
	case err != nil:
		return fmt.Errorf("handover: %w", err)
	}
	defer it.close()
	switch {
	case !d.With.Has(it.from):
		return s.forget(ctx, j, h)
	case it.verdict == fileset.Unverifiable:
		return s.leave(ctx, j, h, it.verdict, "images without a DICOMDIR, of which nobody can say whether they are all; they are in the mail")
	case it.verdict != fileset.Complete:
		return s.leave(ctx, j, h, it.verdict, "only a COMPLETE file-set is handed over; this one is in the mail")
	case it.set.Unprotected: // DCM-32: a PACS has no place for the mark
		return s.leave(ctx, j, h, it.verdict, "the mail was neither encrypted nor signed, and nobody vouches for the set; it is in the mail")
	}
	var letter []fileset.Content
	if h.Detail.Note = ""; d.Letter {
		if letter, h.Detail.Note, err = it.lettered(ctx); err != nil {
			return fmt.Errorf("handover: %w", err)
		}
	}
	r := newRun(s, j, h, it.all, letter)
	r.to, r.about = d, it.about
	return s.settle(ctx, r, r.give(ctx))
}

// row reads what is to be done. What failed and was put on the queue again waits again.
func (s *Service) row(ctx context.Context, id string) (h store.Handover, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error { h, err = tx.Handover(id); return err })
	if err != nil || h.State != store.HandoverFailed {
		return h, err
	}
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		if h, err = tx.Handover(id); err != nil {
			return err
		}
		return reopen(tx, &h)
	})
	return h, err
}

// reopen has one that failed wait again: what was refused is tried again, by its patience from now.
func reopen(tx *store.Tx, h *store.Handover) error {
	if err := tx.ReopenHandover(h.ID); err != nil {
		return err
	}
	h.State = store.HandoverWaiting
	h.Detail.Refused, h.Detail.Reason, h.Detail.Since = nil, "", tx.Now()
	untried := strings.NewReplacer(string(rune(Refused)), string(rune(Untried)))
	h.Detail.Fates, h.Detail.Letter = untried.Replace(h.Detail.Fates), untried.Replace(h.Detail.Letter)
	return tx.PutHandover(*h)
}
