package handover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/mailbox"
	"carepost/internal/store"
)

// What operators ask for and do. store.ErrNotFound where nothing has that id.

// ErrUnknown says that carepost.toml has no destination of that name.
var ErrUnknown = errors.New("handover: no such destination")

// maxListed bounds a list of each state.
const maxListed = 200

// Entry is a study on its way, or at its end.
type Entry struct {
	store.Handover
	To       addr.Address // account
	Fates    map[Fate]int
	Attempts int64     // of the work under way
	Next     time.Time // when it is tried again; by the engine's clock
	Error    string    // of the last try
	Idle     bool      // it waits, and nobody does anything: the operator took the work off the queue
}

// Names are the destinations in the order of the file.
func (s *Service) Names() (out []string) {
	for _, d := range s.o.Destinations {
		out = append(out, d.Name)
	}
	return out
}

// List tells of all that waits and all that failed, the newest first, and with ended of the latest others.
func (s *Service) List(ctx context.Context, ended bool) (out []Entry, err error) {
	states := []store.HandoverState{store.HandoverWaiting, store.HandoverFailed}
	if ended {
		states = append(states, store.HandoverLeft, store.HandoverDone)
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		out = nil
		for _, state := range states {
			rows, err := tx.Handovers(state, maxListed)
			if err != nil {
				return err
			}
			for _, h := range rows {
				e, err := explain(tx, h)
				if err != nil {
					return err
				}
				out = append(out, e)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("handover: list: %w", err)
	}
	return out, nil
}

// Failed counts what nobody tries any more.
func (s *Service) Failed(ctx context.Context) (n int64, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) { n, err = tx.HandoversIn(store.HandoverFailed); return err })
	return n, err
}

// Show tells of one, with the instances that were refused: their UIDs tell of a patient to those who have the archive.
func (s *Service) Show(ctx context.Context, by audit.Actor, id string) (e Entry, err error) {
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		h, err := tx.Handover(id)
		if err != nil {
			return err
		}
		if e, err = explain(tx, h); err != nil {
			return err
		}
		return audit.Write(tx, entry(by, "handover.show", h))
	})
	if err != nil {
		return e, fmt.Errorf("handover: show: %w", err)
	}
	return e, nil
}

func explain(tx *store.Tx, h store.Handover) (Entry, error) {
	e := Entry{Handover: h, Fates: map[Fate]int{}, Idle: h.State == store.HandoverWaiting}
	for _, f := range []byte(h.Detail.Fates + h.Detail.Letter) {
		e.Fates[Fate(f)]++
	}
	a, err := tx.AccountByID(h.Account)
	if err != nil {
		return e, err
	}
	e.To = a.Address
	works, err := tx.WorkOf(h.ID)
	for _, w := range works {
		if w.Kind == mailbox.KindHandOver && w.State != store.Dead {
			e.Attempts, e.Next, e.Error, e.Idle = w.Attempt, w.NextAt, w.Error, false
		}
	}
	return e, err
}

// Retry has one that waits tried now, or one that failed tried anew; what the destination has taken is not sent again.
func (s *Service) Retry(ctx context.Context, by audit.Actor, id string) error {
	err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		h, err := tx.Handover(id)
		if err != nil {
			return err
		}
		switch h.State {
		case store.HandoverFailed:
			if err := reopen(tx, &h); err != nil {
				return err
			}
		case store.HandoverWaiting:
		default:
			return store.ErrConflict
		}
		if err := again(tx, h); err != nil {
			return err
		}
		return audit.Write(tx, entry(by, "handover.retry", h))
	})
	if err != nil {
		return fmt.Errorf("handover: retry: %w", err)
	}
	return nil
}

// again has the work of a row done now: the work that is there, or else new work.
func again(tx *store.Tx, h store.Handover) error {
	works, err := tx.WorkOf(h.ID)
	if err != nil {
		return err
	}
	if len(works) > 0 {
		if err := tx.RetryWorkNow(works[0].ID); !errors.Is(err, store.ErrConflict) { // it is being done
			return err
		}
		return nil
	}
	m, err := tx.Mail(h.Mailbox, h.UID)
	if err != nil {
		return err
	}
	return mailbox.InsertHandOver(tx, h, m.Size)
}

// Drop ends one, whatever its state: what is not handed over yet never is. The mail stays.
func (s *Service) Drop(ctx context.Context, by audit.Actor, id string) error {
	err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		h, err := tx.Handover(id)
		if err != nil {
			return err
		}
		works, err := tx.WorkOf(id)
		if err != nil {
			return err
		}
		for _, w := range works {
			if err := tx.CancelWork(w.ID); err != nil {
				return err
			}
		}
		if err := tx.RemoveHandover(id); err != nil {
			return err
		}
		e := entry(by, "handover.drop", h)
		e.Detail["state"] = string(h.State)
		return audit.Write(tx, e)
	})
	if err != nil {
		return fmt.Errorf("handover: drop: %w", err)
	}
	return nil
}

// reaching is how long Test waits for an answer.
const reaching = 30 * time.Second

// Test asks whether a destination is there and speaks with us: refused says why not. ErrUnknown.
func (s *Service) Test(ctx context.Context, by audit.Actor, name string) (refused, err error) {
	d := s.destination(name)
	if d == nil {
		return nil, ErrUnknown
	}
	if err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "handover.test", Object: "destination:" + name})
	}); err != nil {
		return nil, fmt.Errorf("handover: test: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reaching)
	defer cancel()
	return d.To.Reach(ctx), nil
}
