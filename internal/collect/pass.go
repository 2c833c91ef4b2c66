package collect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/flow"
	"carepost/internal/store"
)

// removing is how many mails are removed at once.
const removing = 500

// pass is one session: what is new is taken, what was taken and need not stay is removed. again says that a mail broke it off, and is refused
// now.
func (s *Service) pass(ctx context.Context, x *source, f *Fetched) (again bool, err error) {
	var peer netip.AddrPort
	b, err := s.open(ctx, x, &peer)
	if err != nil {
		return false, err
	}
	defer b.close()
	all, err := b.list()
	if err != nil {
		return false, err
	}
	var gone []item
	var rows []store.Collected
	for _, i := range all {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		row, err := s.known(ctx, x, i)
		if err != nil {
			return false, err
		}
		if row.ID == "" {
			var broken bool
			if row, broken, err = s.takeOne(ctx, x, b, i, peer, f); err != nil || broken {
				return broken, err
			}
		}
		switch {
		case row.State == store.CollectTaken && x.Keep >= 0 && !s.o.Clock().Before(row.At.Add(x.Keep)):
			gone, rows = append(gone, i), append(rows, row)
		case row.State == store.CollectRemoved && s.o.Clock().Sub(row.At) > remembered/2: // flagged there, and nobody expunges it
			if err := s.o.Store.Tx(ctx, func(tx *store.Tx) error { return tx.TouchCollected(row.ID) }); err != nil {
				return false, err
			}
		}
	}
	for at := 0; at < len(gone); at += removing {
		if err := b.remove(gone[at:min(at+removing, len(gone))]); err != nil {
			return false, err
		}
	}
	if err := b.quit(); err != nil {
		return false, err
	}
	crash.Point("collect.removed")
	return false, s.removed(ctx, rows, f)
}

// removed writes down what is gone at the provider.
func (s *Service) removed(ctx context.Context, rows []store.Collected, f *Fetched) error {
	for at := 0; at < len(rows); at += removing {
		some := rows[at:min(at+removing, len(rows))]
		err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
			for _, r := range some {
				if err := tx.CollectedGone(r.ID); err != nil && !errors.Is(err, store.ErrNotFound) { // another node has written it
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		f.Removed += len(some)
	}
	return nil
}

// item names a mail of a source without naming it.
func (s *Service) item(x *source, i item) []byte {
	return s.o.Store.Box().Hash("collected", x.id+"\n"+i.name)
}

// known is what became of a mail; without an ID where it is new.
func (s *Service) known(ctx context.Context, x *source, i item) (row store.Collected, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.CollectedAs(x.id, s.item(x, i))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.Collected{}, nil
	}
	return row, err
}

// takeOne takes a mail that is new. broken says that the session cannot go on, and that the mail is refused.
func (s *Service) takeOne(ctx context.Context, x *source, b box, i item, peer netip.AddrPort, f *Fetched) (row store.Collected, broken bool, err error) {
	row = store.Collected{Source: x.id, Item: s.item(x, i), State: store.CollectTaken, Size: i.size}
	if i.size > x.Largest {
		row, err = s.refuse(ctx, x, row, tooLarge(x.Largest), f)
		return row, false, err
	}
	r, err := b.fetch(i)
	if err != nil {
		return row, false, err
	}
	body, env, err := s.letter(x, b, r, peer)
	if err == nil {
		row.Message, err = s.o.Flow.Collect(ctx, audit.Actor("collect:"+x.Name), env, body, func(tx *store.Tx, id string) error {
			row.Message = id
			return tx.InsertCollected(&row)
		})
	}
	refused, refusal := (*unfit)(nil), (*flow.Refusal)(nil)
	switch {
	case errors.As(err, &refused):
		row, err = s.refuse(ctx, x, row, refused.reason, f)
		return row, true, err
	case errors.As(err, &refusal):
		row, err = s.refuse(ctx, x, row, refusal.Clause+": "+refusal.Reason, f)
		return row, true, err
	case errors.Is(err, store.ErrDuplicate): // another node took it just now
		row, err = s.known(ctx, x, i)
		return row, false, err
	case err != nil:
		return row, false, err
	}
	crash.Point("collect.durable")
	f.Taken++
	if row.ID != "" {
		return row, false, nil
	}
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error { // flow knew it: the provider has given it another name
		again := row
		err := tx.InsertCollected(&again)
		if err == nil {
			row = again
		}
		return err
	})
	return row, false, err
}

// refuse writes down that a mail stays at the provider.
func (s *Service) refuse(ctx context.Context, x *source, row store.Collected, reason string, f *Fetched) (store.Collected, error) {
	err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		again := row
		again.ID, again.Message, again.State, again.Reason = "", "", store.CollectRefused, reason
		if err := tx.InsertCollected(&again); err != nil {
			return err
		}
		row = again
		return audit.Write(tx, audit.Entry{Actor: audit.Actor("collect:" + x.Name), Action: "collect.refuse", Object: "collect:" + x.Name,
			Detail: map[string]string{"reason": reason, "size": fmt.Sprint(row.Size)}})
	})
	if errors.Is(err, store.ErrDuplicate) {
		return row, nil
	}
	if err == nil {
		f.Refused++
	}
	return row, err
}

func tooLarge(most int64) string {
	return fmt.Sprintf("it is larger than is taken (%d MB)", most/1e6)
}

// stamp is a moment as a trace field has it.
func stamp(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") }
