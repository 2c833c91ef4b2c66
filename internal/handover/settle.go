package handover

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"carepost/dicom/fileset"
	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
)

const (
	kept      = 90 * 24 * time.Hour // rows of what is with its destination, or was left in its mail
	pruneEach = time.Hour
)

// entry begins the audit entry of what is done with a row.
func entry(by audit.Actor, action string, h store.Handover) audit.Entry {
	return audit.Entry{Actor: by, Action: action, Object: "handover:" + h.ID, Detail: map[string]string{
		"mailbox": h.Mailbox, "uid": strconv.FormatUint(uint64(h.UID), 10), "message": h.Message, "destination": h.Target}}
}

// settle ends one try: all is taken, or something is refused for good, or it is tried again.
func (s *Service) settle(ctx context.Context, r *run, failed error) error {
	if ctx.Err() != nil {
		err := s.o.Store.Tx(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.PutHandover(r.row()) })
		return errors.Join(ctx.Err(), err)
	}
	if errors.Is(failed, store.ErrConflict) || errors.Is(failed, store.ErrLeaseLost) {
		return failed
	}
	h := r.row()
	open := r.count(Untried) + r.count(Later)
	since := h.Created
	if !h.Detail.Since.IsZero() {
		since = h.Detail.Since
	}
	switch {
	case open == 0 && r.count(Refused) == 0:
		return s.done(ctx, r, h)
	case open == 0:
		return s.fail(ctx, r.j, h, r.left(), r.disclosed)
	case s.o.Clock().Sub(since) > cmp.Or(r.to.Patience, patience):
		return s.fail(ctx, r.j, h, "given up: "+r.left(), r.disclosed)
	}
	return s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.PutHandover(h); err != nil {
			return err
		}
		return r.j.Retry(tx, -1, r.left())
	})
}

// disclosed adds to an entry what an audit repository is told: who has got what of whom. It is sealed there.
func (r *run) disclosed(e audit.Entry) {
	d := e.Detail
	for key, v := range map[string]string{"calling": r.to.Calling, "called": r.to.Called, "host": r.to.Host, "note": r.h.Detail.Note} {
		if v != "" {
			d[key] = v
		}
	}
	if r.to.Secure {
		d["tls"] = "yes"
	}
	if n := len(r.all) - r.set; n > 0 {
		d["letters"] = strconv.Itoa(n)
	}
	if text, err := json.Marshal(r.about); err == nil {
		d["subjects"] = string(text)
	}
}

// done ends what is with its destination.
func (s *Service) done(ctx context.Context, r *run, h store.Handover) error {
	h.State, h.Detail.Reason = store.HandoverDone, ""
	crash.Point("handover.done")
	return s.end(ctx, h, func(tx *store.Tx) error {
		e := entry(actor, "study.hand-over", h)
		e.Detail["instances"], e.Detail["warnings"] = strconv.FormatInt(h.Total, 10), strconv.Itoa(r.count(Warned))
		r.disclosed(e)
		if err := audit.Write(tx, e); err != nil {
			return err
		}
		return r.j.Finish(tx)
	})
}

// fail ends what nobody tries again unless the operator says so: the work is buried, for him to see.
func (s *Service) fail(ctx context.Context, j *queue.Job, h store.Handover, why string, more ...func(audit.Entry)) error {
	h.State, h.Detail.Reason = store.HandoverFailed, why
	err := s.end(ctx, h, func(tx *store.Tx) error {
		e := entry(actor, "study.hand-over-fail", h)
		e.Detail["instances"], e.Detail["taken"], e.Detail["reason"] = strconv.FormatInt(h.Total, 10), strconv.FormatInt(h.Taken, 10), why
		for _, add := range more {
			add(e)
		}
		if err := audit.Write(tx, e); err != nil {
			return err
		}
		return j.Bury(tx, why)
	})
	if err == nil {
		s.o.Log.Error("a study could not be handed over: carepost dicom out list", "handover", h.ID, "destination", h.Target, "reason", why)
	}
	return err
}

// leave ends what is not COMPLETE: it stays in the mail.
func (s *Service) leave(ctx context.Context, j *queue.Job, h store.Handover, v fileset.Verdict, reason string) error {
	h.State, h.Detail.Verdict = store.HandoverLeft, v.String()
	h.Detail.Reason = reason
	err := s.end(ctx, h, func(tx *store.Tx) error {
		e := entry(actor, "study.leave", h)
		e.Detail["verdict"], e.Detail["reason"] = h.Detail.Verdict, h.Detail.Reason
		if err := audit.Write(tx, e); err != nil {
			return err
		}
		return j.Finish(tx)
	})
	if err == nil {
		s.o.Log.Warn("study not handed over", "handover", h.ID, "destination", h.Target, "verdict", v.String())
	}
	return err
}

// end writes the last state of a row, with more in the same transaction.
func (s *Service) end(ctx context.Context, h store.Handover, more func(*store.Tx) error) error {
	err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.PutHandover(h); err != nil {
			return err
		}
		return more(tx)
	})
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	s.prune(ctx)
	return nil
}

// prune forgets now and then what ended long ago: the audit log keeps it.
func (s *Service) prune(ctx context.Context) {
	now, last := s.o.Clock().Unix(), s.pruned.Load()
	if now-last < int64(pruneEach/time.Second) || !s.pruned.CompareAndSwap(last, now) {
		return
	}
	if err := s.o.Store.Tx(ctx, func(tx *store.Tx) error { _, err := tx.PruneHandovers(s.o.Clock().Add(-kept)); return err }); err != nil {
		s.o.Log.Warn("studies that were handed over long ago are not forgotten", "error", err)
	}
}

// forget ends what is about nothing: the mail has no study, is not from a sender whose studies the destination gets, or is gone. Where it is
// gone with a study that was begun, the audit says so: nobody else would.
func (s *Service) forget(ctx context.Context, j *queue.Job, h store.Handover) error {
	err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		if h.Total > 0 {
			e := entry(actor, "study.leave", h)
			e.Detail["instances"], e.Detail["taken"] = strconv.FormatInt(h.Total, 10), strconv.FormatInt(h.Taken, 10)
			e.Detail["reason"] = "the mail is gone, or no longer for this destination"
			if err := audit.Write(tx, e); err != nil {
				return err
			}
		}
		if err := tx.RemoveHandover(h.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return j.Finish(tx)
	})
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	return nil
}
