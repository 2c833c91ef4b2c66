package gateway

import (
	"context"
	"errors"
	"time"

	"carepost/internal/store"
	"carepost/trust"
)

const (
	statusRound  = time.Minute         // between two looks at what is soon too old
	statusMemory = 30 * 24 * time.Hour // for which a status is kept that nobody uses
	statusStart  = 7 * 24 * time.Hour  // used within this, it is taken from the store at the start
	statusTime   = 5 * time.Minute     // for one round
)

// shelf keeps what authorities say of certificates in the store.
type shelf struct{ store *store.Store }

// Load finds what was saved under a name.
func (s shelf) Load(ctx context.Context, name [32]byte) (trust.Stored, error) {
	var row store.Status
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Status(name[:])
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = trust.ErrAbsent
	}
	return stored(row), err
}

// Save keeps s under a name.
func (s shelf) Save(ctx context.Context, name [32]byte, v trust.Stored) error {
	return s.store.Tx(ctx, func(tx *store.Tx) error {
		return tx.SaveStatus(store.Status{Name: name[:], URL: v.URL, Issuer: v.Issuer, Subject: v.Subject, Body: v.Body,
			Fetched: v.Fetched, Next: v.Next, Used: v.Used})
	})
}

// Recent lists what was used since then.
func (s shelf) Recent(ctx context.Context, since time.Time, most int) ([]trust.Stored, error) {
	var out []trust.Stored
	err := s.store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.StatusesUsed(since, most)
		out = out[:0]
		for _, row := range rows {
			out = append(out, stored(row))
		}
		return err
	})
	return out, err
}

func stored(row store.Status) trust.Stored {
	return trust.Stored{URL: row.URL, Issuer: row.Issuer, Subject: row.Subject, Body: row.Body, Fetched: row.Fetched, Next: row.Next, Used: row.Used}
}

// statuses keeps the lists and OCSP answers in date that are in use, and forgets the others. What fails is tried again.
func (g *Gateway) statuses(ctx context.Context) error {
	g.restore(ctx)
	tick := time.NewTicker(statusRound)
	defer tick.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			swept = g.tendStatuses(ctx, swept)
		}
	}
}

// tendStatuses is one round. It returns when what nobody uses was last forgotten, which is done once in an hour.
func (g *Gateway) tendStatuses(ctx context.Context, swept time.Time) time.Time {
	now := g.opts.Clock()
	round, cancel := context.WithTimeout(ctx, statusTime)
	if replaced, failed := g.ways.now.Load().judge.Refresh(round, now); failed > 0 && ctx.Err() == nil {
		g.opts.Log.Warn("revocation lists or OCSP answers could not be fetched ahead of time", "failed", failed, "replaced", replaced)
	}
	cancel()
	if now.Sub(swept).Abs() < time.Hour {
		return swept
	}
	err := g.store.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.DropStatuses(now.Add(-statusMemory))
		return err
	})
	if err != nil && ctx.Err() == nil {
		g.opts.Log.Error("forgetting unused revocation lists", "error", err)
	}
	return now
}

// restore takes from the store what was in use lately.
func (g *Gateway) restore(ctx context.Context) {
	now := g.opts.Clock()
	if err := g.ways.now.Load().judge.Restore(ctx, now.Add(-statusStart), now); err != nil && ctx.Err() == nil {
		g.opts.Log.Error("reading the revocation lists that were kept", "error", err)
	}
}
