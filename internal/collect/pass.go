package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/crash"
	"carepost/internal/flow"
	"carepost/internal/store"
)

// removing is how many mails are removed at once.
const removing = 500

// pass is one session: what is new is taken, what was taken and need not stay is removed. again says that a mail broke it off, and is refused
// now, or left for the next round.
func (s *Service) pass(ctx context.Context, x *source, r *round) (again bool, err error) {
	var peer netip.AddrPort
	b, err := s.open(ctx, x, &peer)
	if err != nil {
		return false, err
	}
	defer b.close()
	before, err := s.lying(ctx, x)
	if err != nil {
		return false, err
	}
	all, err := b.list()
	if err != nil {
		return false, err
	}
	if err := s.lost(ctx, x, before, all); err != nil {
		return false, err
	}
	var gone []item
	var rows []store.Collected
	for _, i := range x.order(all) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		row, err := s.known(ctx, x, i)
		if err != nil {
			return false, err
		}
		if row.ID == "" && !r.skip[i.name] {
			var broken bool
			row, broken, err = s.takeOne(ctx, x, b, i, peer, r.f)
			if w := (*withheld)(nil); errors.As(err, &w) {
				x.withhold(i, w, r)
				row, broken, err = store.Collected{}, w.lost, nil
			}
			if err != nil || broken {
				return broken, err
			}
			delete(x.last, i.name)
		}
		switch {
		case row.State == store.CollectTaken && x.Keep >= 0 && !s.o.Clock().Before(row.At.Add(x.Keep)):
			gone, rows = append(gone, i), append(rows, row)
		case row.State == store.CollectRemoved && s.o.Clock().Sub(row.At) > remembered/2: // flagged there, and nobody expunges it
			if err := s.o.Store.Tx(ctx, func(tx *store.Tx) error { return tx.TouchCollected(row.ID) }); err != nil {
				return false, err
			}
			if x.Keep >= 0 { // or it has come back: once more
				gone = append(gone, i)
			}
		}
	}
	stays := map[string]bool{}
	for at := 0; at < len(gone); at += removing {
		not, err := b.remove(gone[at:min(at+removing, len(gone))])
		if err != nil {
			return false, err
		}
		for name := range not {
			stays[string(s.item(x, item{name: name}))] = true
		}
	}
	if len(stays) > 0 { // they are ours: nothing waits for that
		s.o.Log.Warn("the provider does not remove mails", "collect", x.Name, "mails", len(stays))
	}
	rows = slices.DeleteFunc(rows, func(row store.Collected) bool { return stays[string(row.Item)] })
	if err := b.quit(); err != nil {
		return false, err
	}
	crash.Point("collect.removed")
	return false, s.removed(ctx, rows, r.f)
}

// lying are the rows of mails that lay there when they were seen last: ids by item.
func (s *Service) lying(ctx context.Context, x *source) (before map[string]string, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		before, err = tx.CollectedLying(x.id)
		return err
	})
	return before, err
}

// lost writes down what lay there before and does not any more: removed by somebody else, or by us when its answer did not come.
func (s *Service) lost(ctx context.Context, x *source, before map[string]string, all []item) error {
	for _, i := range all {
		delete(before, string(s.item(x, i)))
	}
	for some := range slices.Chunk(slices.Collect(maps.Values(before)), removing) {
		err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
			for _, id := range some {
				if err := tx.CollectedLost(id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
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
	from := witness{}
	if from.r, from.err = b.fetch(i); from.err != nil {
		return row, false, from.blame(ctx)
	}
	body, env, err := s.letter(x, b, &from, peer)
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
	case err != nil && from.err != nil:
		return row, false, from.blame(ctx)
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
	if errors.Is(err, store.ErrDuplicate) { // another node took it just now
		row, err = s.known(ctx, x, i)
	}
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
	if errors.Is(err, store.ErrDuplicate) { // another node has looked at it just now: what it found holds
		err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			row, err = tx.CollectedAs(x.id, row.Item)
			return err
		})
		return row, err
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
