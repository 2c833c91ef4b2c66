package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// ErrUnknown is returned for a URL that is no webhook of this installation.
var ErrUnknown = errors.New("hook: no webhook has this URL")

// Status is how far a hook is.
type Status struct {
	URL     string
	Events  []string
	Sent    time.Time // when an event was taken last; zero: never
	Behind  int64     // entries of the audit log that are to be looked at yet
	Dropped int64     // events that were given up
	Error   string    // of the last try, while it is tried again
	Next    time.Time // when it is; by the engine's clock
}

// List tells how far all hooks are, in the order of the file.
func (s *Service) List(ctx context.Context) (out []Status, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		out = nil
		end, err := tx.AuditEnd()
		if err != nil {
			return err
		}
		for _, h := range s.o.Hooks {
			is := Status{URL: h.URL, Events: h.Events}
			if h.Events == nil {
				is.Events = Events()
			}
			at, err := tx.Hook(s.id(h))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err == nil {
				is.Sent, is.Behind, is.Dropped = at.Sent, max(end-at.Seq, 0), at.Dropped
			}
			works, err := tx.WorkOf(s.id(h))
			if err != nil {
				return err
			}
			for _, w := range works {
				if w.Kind == kind && w.Error != "" {
					is.Error, is.Next = w.Error, w.NextAt
				}
			}
			out = append(out, is)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	return out, nil
}

// trial is the type of an event that Test sends. Nothing has happened then.
const trial = "webhook.test"

// Test sends an event of its own to a hook once, and returns why it was not taken. What is owed to the hook waits for its own time.
func (s *Service) Test(ctx context.Context, by audit.Actor, url string) (refused, err error) {
	for _, h := range s.o.Hooks {
		if h.URL != url {
			continue
		}
		now := s.o.Clock()
		err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
			return audit.Write(tx, audit.Entry{Actor: by, Action: trial, Object: "hook:" + s.id(h)})
		})
		if err != nil {
			return nil, fmt.Errorf("hook: %w", err)
		}
		body, err := json.Marshal(event{Type: trial, Timestamp: now.UTC()})
		if err != nil {
			return nil, fmt.Errorf("hook: %w", err)
		}
		return s.post(ctx, h, "test-"+strconv.FormatInt(now.UnixNano(), 36), body, now), nil
	}
	return nil, ErrUnknown
}
