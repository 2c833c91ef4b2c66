package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// flushed are the kinds of work that wait for the network.
var flushed = [...]string{kindOutbound, kindDeliver, kindInbound, kindNotice, kindFailure, kindDelivery}

// mostFlushed is how many pieces of work are made due at once.
const mostFlushed = 10_000

// Flush makes due at once what waits for another try, because there is a connection now that there was not: it says how many pieces of work. What
// somebody holds stays held.
func (f *Flow) Flush(ctx context.Context, by audit.Actor) (n int, err error) {
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		n = 0
		all, err := tx.Works(store.Ready, mostFlushed)
		if err != nil {
			return err
		}
		for _, w := range all {
			if !slices.Contains(flushed[:], w.Kind) {
				continue
			}
			if err := tx.RetryWorkNow(w.ID); err != nil && !errors.Is(err, store.ErrConflict) { // somebody has it this moment
				return err
			}
			n++
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "work.flush", Object: "queue", Detail: map[string]string{"pieces": strconv.Itoa(n)}})
	})
	if err != nil {
		return 0, fmt.Errorf("flow: flush: %w", err)
	}
	return n, nil
}

// Busy says how many pieces of work about mail on its way are being done or are due, and how many wait for another try.
func (f *Flow) Busy(ctx context.Context) (due, waiting int, err error) {
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		due, waiting = 0, 0
		for _, state := range []store.WorkState{store.Leased, store.Ready} {
			all, err := tx.Works(state, mostFlushed)
			if err != nil {
				return err
			}
			for _, w := range all {
				switch {
				case !slices.Contains(flushed[:], w.Kind):
				case state == store.Leased || w.Attempt == 0 || !w.NextAt.After(f.Clock().Add(2*time.Second)):
					due++
				default:
					waiting++
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("flow: %w", err)
	}
	return due, waiting, nil
}

// Words of a deadline that waits for the post.
const (
	unheard  = "mail has not been fetched since the notice was due"
	settling = "mail has been fetched; a notice in it would be opened now"
)

const (
	postTime   = 5 * time.Minute // between two looks whether mail has been fetched
	settleMail = 2 * time.Minute // what was fetched is opened within that
)

// post is how much longer a notice is awaited because it may lie at a provider from whom we have not fetched since (Options.Heard): as long as a
// message is tried, at most. Once the post has come, what it brought is opened first.
func (f *Flow) post(ctx context.Context, w store.Work, r store.Recipient, m store.Message) (wait time.Duration, why string, err error) {
	if f.Heard == nil || f.Clock().After(r.Deadline.Add(f.Lifetime)) {
		return 0, "", nil
	}
	until, fetched, err := f.Heard(ctx, m.Envelope.From.Address.Domain)
	switch {
	case err != nil || !fetched:
		return 0, "", err
	case until.Before(r.Deadline):
		return postTime, unheard, nil
	case w.Error != settling:
		return settleMail, settling, nil
	}
	return 0, "", nil
}
