package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"carepost/internal/store"
)

// Cursor is how far a follower of the log has come: kept with the log itself, so that the log is all that waits for the follower. It goes
// one way. A follower that is never told of stays where it began, at the beginning of the log, or where Begin has put it.
type Cursor struct {
	Store *store.Store
	Name  string // of the follower
}

// Told is the last entry that the follower is done with; 0: none.
func (c Cursor) Told(ctx context.Context) (seq int64, err error) {
	err = c.Store.View(ctx, func(tx *store.Tx) (err error) {
		seq, _, err = c.read(tx)
		return err
	})
	return seq, err
}

// After lists the records behind seq, in the order of the log.
func (c Cursor) After(ctx context.Context, seq int64, limit int) (rs []Record, err error) {
	err = c.Store.View(ctx, func(tx *store.Tx) (err error) {
		rs, err = After(tx, seq, limit)
		return err
	})
	return rs, err
}

// Tell says that the follower is done with all up to seq. Who is behind what was told before changes nothing.
func (c Cursor) Tell(ctx context.Context, seq int64) error {
	return c.Store.Tx(ctx, func(tx *store.Tx) error {
		told, version, err := c.read(tx)
		if err != nil || seq <= told {
			return err
		}
		return tx.SetSetting(c.setting(), binary.BigEndian.AppendUint64(nil, uint64(seq)), version)
	})
}

// Begin has a follower that has not begun begin behind the last entry that has its place now: it is told of what comes from here on.
func (c Cursor) Begin(ctx context.Context) error {
	err := c.Store.Tx(ctx, func(tx *store.Tx) error {
		_, version, err := c.read(tx)
		if err != nil || version != 0 {
			return err
		}
		end, err := tx.AuditEnd()
		if err != nil {
			return err
		}
		return tx.SetSetting(c.setting(), binary.BigEndian.AppendUint64(nil, uint64(end)), 0)
	})
	if errors.Is(err, store.ErrConflict) { // another node was quicker
		return nil
	}
	return err
}

func (c Cursor) setting() string { return "audit.cursor." + c.Name }

func (c Cursor) read(tx *store.Tx) (seq, version int64, err error) {
	value, version, err := tx.Setting(c.setting())
	if errors.Is(err, store.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("audit: %w", err)
	}
	if len(value) != 8 {
		return 0, 0, errors.New("audit: a follower's place in the log does not read")
	}
	return int64(binary.BigEndian.Uint64(value)), version, nil
}
