package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/internal/vault"
)

// KeyInfo tells of a store key, without the key.
type KeyInfo struct {
	KID     string
	Purpose vault.Purpose
	Created time.Time
	Current bool // it seals
}

// errKeysChanged: somebody else has changed the store keys since they were read.
var errKeysChanged = errors.New("store: the store keys were changed by somebody else")

// keyRow is a row of sealkey.
type keyRow struct {
	vault.StoreKey
	created int64
}

// keyRows reads the store keys, oldest first.
func (tx *Tx) keyRows() ([]keyRow, error) {
	return all(tx, func(scan scanner) (k keyRow, err error) {
		return k, scan(&k.KID, &k.Purpose, &k.Wrapped, &k.created)
	}, `SELECT kid, purpose, wrapped, created_at FROM sealkey ORDER BY created_at, kid`)
}

func (s *Store) keyRows(ctx context.Context) (rows []keyRow, err error) {
	err = s.engine.read(ctx, func(q querier) error { rows, err = s.tx(ctx, q).keyRows(); return err })
	return rows, err
}

func storeKeys(rows []keyRow) (keys []vault.StoreKey) {
	for _, r := range rows {
		keys = append(keys, r.StoreKey)
	}
	return keys
}

// sameKeys begins a change of the store keys: others wait until it is over, and rows must be what is there.
func (tx *Tx) sameKeys(rows []keyRow) error {
	if lock := tx.s.dialect.lock; lock != "" {
		if _, err := tx.exec(lock, "sealkey"); err != nil {
			return err
		}
	}
	now, err := tx.keyRows()
	if err != nil {
		return err
	}
	if !slices.EqualFunc(rows, now, func(a, b keyRow) bool {
		return a.KID == b.KID && a.Purpose == b.Purpose && string(a.Wrapped) == string(b.Wrapped) && a.created == b.created
	}) {
		return errKeysChanged
	}
	return nil
}

// insertStoreKey adds k as the newest: younger than the last by the engine's clock, and by a millisecond where that was set back.
func (tx *Tx) insertStoreKey(k vault.StoreKey, last int64) error {
	_, err := tx.exec(`INSERT INTO sealkey (kid, purpose, wrapped, created_at)
		VALUES ($1, $2, $3, CASE WHEN {now} > CAST($4 AS BIGINT) THEN {now} ELSE CAST($4 AS BIGINT) + 1 END) ON CONFLICT DO NOTHING`,
		k.KID, string(k.Purpose), k.Wrapped, last)
	return err
}

// openBox reads the store keys; a new store gets its first ones. Of two nodes that are first together one makes the hashing key,
// and both keep theirs for sealing.
func (s *Store) openBox(ctx context.Context) error {
	rows, err := s.keyRows(ctx)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		if err := s.firstKeys(ctx); err != nil {
			return err
		}
		if rows, err = s.keyRows(ctx); err != nil {
			return err
		}
	}
	s.box, err = vault.NewBox(ctx, s.keeper(), storeKeys(rows))
	return err
}

func (s *Store) firstKeys(ctx context.Context) error {
	var keys []vault.StoreKey
	for _, p := range []vault.Purpose{vault.Hashing, vault.Sealing} {
		k, err := vault.NewStoreKey(ctx, s.keeper(), p)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	return s.Tx(ctx, func(tx *Tx) error {
		for _, k := range keys {
			if err := tx.insertStoreKey(k, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// SealingKeys lists the store keys, oldest first: those that seal and the one for look-up hashes.
func (s *Store) SealingKeys(ctx context.Context) ([]KeyInfo, error) {
	rows, err := s.keyRows(ctx)
	if err != nil {
		return nil, err
	}
	var list []KeyInfo
	current := -1
	for i, r := range rows {
		if r.Purpose == vault.Sealing {
			current = i
		}
		list = append(list, KeyInfo{KID: r.KID, Purpose: r.Purpose, Created: when(r.created)})
	}
	if current >= 0 {
		list[current].Current = true
	}
	return list, nil
}

// changeKeys reads the store keys, has make prepare a change of them, which may take its time, and makes it in one transaction; once more
// if somebody else was quicker.
func (s *Store) changeKeys(ctx context.Context, prepare func([]keyRow) (func(*Tx) error, error)) error {
	for try := 1; ; try++ {
		rows, err := s.keyRows(ctx)
		if err != nil {
			return err
		}
		change, err := prepare(rows)
		if err != nil {
			return err
		}
		err = s.Tx(ctx, func(tx *Tx) error {
			if err := tx.sameKeys(rows); err != nil {
				return err
			}
			return change(tx)
		})
		if try == 5 || !errors.Is(err, errKeysChanged) {
			return err
		}
	}
}

// RotateSealing makes a new store key, wrapped by kek, and names it. It seals from now on: in this process at once, in other nodes before
// they write again more than refreshEvery later. What is sealed already stays as it is until Reseal. The error wraps vault.ErrKEK if kek is
// not what the other keys are wrapped by. with (may be nil) is run in the transaction that makes the key.
func (s *Store) RotateSealing(ctx context.Context, kek vault.Keeper, with func(tx *Tx, kid string) error) (kid string, err error) {
	err = s.changeKeys(ctx, func(rows []keyRow) (func(*Tx) error, error) {
		if _, err := vault.NewBox(ctx, kek, storeKeys(rows)); err != nil { // a key under a KEK that is out of use would be lost
			return nil, fmt.Errorf("store: %w", err)
		}
		k, err := vault.NewStoreKey(ctx, kek, vault.Sealing)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		kid = k.KID
		return func(tx *Tx) error {
			if err := tx.insertStoreKey(k, rows[len(rows)-1].created); err != nil || with == nil {
				return err
			}
			return with(tx, k.KID)
		}, nil
	})
	if err != nil {
		return "", err
	}
	return kid, s.learnKeys(ctx, kek)
}

// RewrapKeys wraps all store keys by another key-encryption key, in one transaction; what they sealed stays as it is. Doing it twice is
// harmless. vault.RotateKEK tells when to call it. with (may be nil) is run in that transaction.
func (s *Store) RewrapKeys(ctx context.Context, to vault.Keeper, with func(*Tx) error) error {
	from := vault.Either(to, s.keeper()) // to: it was done already
	err := s.changeKeys(ctx, func(rows []keyRow) (func(*Tx) error, error) {
		keys := storeKeys(rows)
		for i := range keys {
			var err error
			if keys[i], err = vault.Rewrap(ctx, from, to, keys[i]); err != nil {
				return nil, fmt.Errorf("store: %w", err)
			}
		}
		return func(tx *Tx) error {
			for _, k := range keys {
				n, err := tx.exec(`UPDATE sealkey SET wrapped = $2 WHERE kid = $1`, k.KID, k.Wrapped)
				if err := changed(n, err, errKeysChanged); err != nil {
					return err
				}
			}
			if with == nil {
				return nil
			}
			return with(tx)
		}, nil
	})
	if err == nil {
		k := vault.Either(to, s.keeper())
		s.kek.Store(&k)
	}
	return err
}

// KEK wraps and opens as the keeper does that the store was opened with, or that RewrapKeys got last.
func (s *Store) KEK() vault.Keeper { return s.keeper() }

func (s *Store) keeper() vault.Keeper { return *s.kek.Load() }

// learnKeys has the box learn what keys there are.
func (s *Store) learnKeys(ctx context.Context, kek vault.Keeper) error {
	rows, err := s.keyRows(ctx)
	if err == nil {
		err = s.box.Update(ctx, kek, storeKeys(rows))
	}
	return err
}

// refreshEvery is how long a node that shares its store with others may go on without looking whether there is a new store key.
const refreshEvery = 10 * time.Second

// refresh looks for new store keys before a transaction, every now and then, where other nodes may make some. A node whose KEK does not open
// them must not write: the keys that it has may be deleted.
func (tx *Tx) refresh() error {
	s := tx.s
	if s.box == nil || s.Exclusive() {
		return nil
	}
	now := int64(time.Since(s.opened))
	if last := s.refreshed.Load(); last != 0 && now-last < int64(refreshEvery) {
		return nil
	}
	rows, err := tx.keyRows()
	if err == nil {
		err = s.box.Update(tx.ctx, s.keeper(), storeKeys(rows))
	}
	if err == nil {
		s.refreshed.Store(now)
	}
	return err
}

// unknownKey says that a transaction met a value sealed with a store key that another node has just made; it may be run again.
func (s *Store) unknownKey(err error) bool {
	if !errors.Is(err, vault.ErrNoKey) || s.Exclusive() {
		return false
	}
	s.refreshed.Store(0)
	return true
}
