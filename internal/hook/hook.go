// Package hook tells other programs of the operator, by webhook, what becomes of messages: ids and states, nothing of persons. It follows the
// audit log by a cursor for each URL, so that nothing is lost by a crash; what is sent twice has the same id.
//
// Form and signature are those of Standard Webhooks 1.0: the header fields webhook-id, webhook-timestamp and webhook-signature, which is "v1,"
// and the base64 of the HMAC-SHA256 over id, timestamp and body with dots between, and a body of type, timestamp and data.
package hook

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/queue"
	"carepost/internal/store"
)

const (
	kind  = "webhook" // of work; about a hook
	actor = audit.Actor("hook")

	batch   = 100                // entries that are read at a time
	lasting = 3 * 24 * time.Hour // how long an entry is tried
	look    = time.Second        // how often the log is looked at
)

// Events are what can be told: acts as the audit log names them.
var events = [...]string{
	"message.accept", "message.close", "recipient.seal", "recipient.expose", "recipient.hand-over", "recipient.fail", "recipient.delay", "recipient.open",
	"recipient.refuse", "recipient.set-aside", "recipient.hold", "recipient.release", "recipient.turn-away", "notice.receive", "notice.send",
}

// Events lists what can be told.
func Events() []string { return events[:] }

// Hook is one URL that is told of events.
type Hook struct {
	URL    string
	Events []string // nil: all
	Secret []byte
}

// Poster is the way out: fetch.Client is one.
type Poster interface {
	Send(ctx context.Context, url string, header map[string]string, body []byte) (status int, err error)
}

// Options of a Service.
type Options struct {
	Store  *store.Store
	Hooks  []Hook
	Poster Poster
	Clock  func() time.Time
	Log    *slog.Logger
}

// Service follows the log. Run looks for news, the queue's handler sends them.
type Service struct{ o Options }

// New makes a Service; nothing runs yet.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

// Handlers are for queue.New.
func (s *Service) Handlers() []queue.Handler {
	return []queue.Handler{{Kind: kind, Workers: 1, Stalled: 8, Do: s.send}}
}

// Run puts work on the queue while there is something that a hook has not been told. It returns when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if len(s.o.Hooks) == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := s.lookAll(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("webhooks: the log cannot be looked at", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Service) lookAll(ctx context.Context) error {
	for _, h := range s.o.Hooks {
		id, behind := s.id(h), false
		err := s.o.Store.View(ctx, func(tx *store.Tx) error {
			end, err := tx.AuditEnd()
			if err != nil {
				return err
			}
			at, err := tx.Hook(id)
			behind = errors.Is(err, store.ErrNotFound) || at.Seq < end
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
		if !behind {
			continue
		}
		err = s.o.Store.Tx(ctx, func(tx *store.Tx) error { return s.wake(tx, id) })
		if err != nil && !errors.Is(err, store.ErrDuplicate) {
			return err
		}
	}
	return nil
}

// wake has a hook's work done, unless it is on the queue already. A new hook is told of what happens from now on.
func (s *Service) wake(tx *store.Tx, id string) error {
	if _, err := tx.Hook(id); errors.Is(err, store.ErrNotFound) {
		end, err := tx.AuditEnd()
		if err != nil {
			return err
		}
		return tx.PutHook(store.Hook{ID: id, Seq: end})
	} else if err != nil {
		return err
	}
	return tx.InsertWork(&store.Work{Kind: kind, Ref: id, Unique: kind + ":" + id})
}

// id stands for a URL, which may hold a password of its own, in the database.
func (s *Service) id(h Hook) string { return hex.EncodeToString(s.o.Store.Box().Hash("hook", h.URL)) }

// send tells one hook what is new, in the order of the log. What it does not take is tried again, and later entries wait, until the entry is too old.
func (s *Service) send(ctx context.Context, j *queue.Job) error {
	i := slices.IndexFunc(s.o.Hooks, func(h Hook) bool { return s.id(h) == j.Ref })
	if i < 0 {
		return nil // it is no longer in carepost.toml
	}
	h := s.o.Hooks[i]
	for {
		var at store.Hook
		var news []audit.Record
		err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			if at, err = tx.Hook(j.Ref); err != nil {
				return err
			}
			news, err = audit.After(tx, at.Seq, batch)
			return err
		})
		if err != nil || len(news) == 0 {
			return err
		}
		for _, r := range news {
			if err := s.tell(ctx, h, &at, r); err != nil {
				return err
			}
			if err := j.Progress(); err != nil {
				return err
			}
		}
		if err := s.o.Store.Tx(ctx, func(tx *store.Tx) error { return tx.PutHook(at) }); err != nil {
			return err
		}
	}
}

// tell is send for one entry; at is where the hook has got to.
func (s *Service) tell(ctx context.Context, h Hook, at *store.Hook, r audit.Record) error {
	if !h.wants(r.Action) {
		at.Seq = r.Seq
		return nil
	}
	body, err := s.body(ctx, r)
	if err != nil {
		return err
	}
	now := s.o.Clock()
	done := *at
	done.Seq, done.Sent = r.Seq, now
	failed := s.post(ctx, h, r.ID, body, now)
	if failed != nil {
		if ctx.Err() != nil || now.Sub(r.At) < lasting {
			return errors.Join(fmt.Errorf("hook: %w", failed), s.o.Store.Tx(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.PutHook(*at) }))
		}
		done.Sent, done.Dropped = at.Sent, at.Dropped+1
	}
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		if failed != nil {
			e := audit.Entry{Actor: actor, Action: "webhook.give-up", Object: "audit:" + r.ID, Detail: map[string]string{"error": failed.Error()}}
			if err := audit.Write(tx, e); err != nil {
				return err
			}
		}
		return tx.PutHook(done)
	})
	if err == nil {
		*at = done
	}
	return err
}

func (h Hook) wants(action string) bool {
	if h.Events == nil {
		return slices.Contains(events[:], action)
	}
	return slices.Contains(h.Events, action)
}

// post sends one event. Only a status of 2yz is a yes.
func (s *Service) post(ctx context.Context, h Hook, id string, body []byte, now time.Time) error {
	status, err := s.o.Poster.Send(ctx, h.URL, sign(h.Secret, id, now, body), body)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("status %d", status)
	}
	return err
}
