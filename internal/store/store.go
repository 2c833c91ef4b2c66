// Package store keeps the rows: messages, recipients, work, mailboxes, accounts, certificates, anchors, audit entries. It is the
// only room with SQL in it.
//
// Two engines share one schema and one set of SQL texts. SQLite is a file in the data directory, owned by one process (a lock on
// the directory), written through one connection, in WAL with synchronous=FULL: a transaction that returned nil is on the disk.
// Transactions that come together share a commit, and each still stands or falls alone.
// PostgreSQL is the operator's own; any number of nodes may use it.
//
// Columns that tell who wrote to whom and about what are sealed by package vault before they reach the engine; where rows are
// found by such a value there is a keyed hash beside it. The domain of an address stays in clear: queues and operators need it.
//
// Times are milliseconds since 1970 in UTC, ids are ULIDs made here, and changes of state are conditional on a version counter.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"carepost/internal/transit"
	"carepost/internal/vault"
)

// Options say where the store is. Exactly one of Dir and DSN is set.
type Options struct {
	Dir string // data directory for SQLite: Dir/carepost.db; made if missing (0700)
	DSN string // PostgreSQL: a URL or keyword/value string

	KEK   vault.Keeper  // opens the store keys
	Clock transit.Clock // default time.Now; queue times come from the engine's clock, not from here

	// Unsafe loses what was promised when the power is cut: SQLite does not wait for the disk (synchronous=NORMAL), and PostgreSQL may run
	// without fsync. It is there to prove that tests of power cuts see such a loss; nothing else sets it.
	Unsafe bool
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	engine  engine
	dialect *dialect
	box     *vault.Box
	clock   transit.Clock
	ticks   *ticks // of the queue; nil: the engine has a clock of its own
	ids     vault.Sequence
	woken   chan struct{}
}

// engine runs transactions. There are two: SQLite and PostgreSQL.
type engine interface {
	write(ctx context.Context, fn func(querier) error) error
	read(ctx context.Context, fn func(querier) error) error
	passing(err error) bool // the transaction lost to another one and may be run again
	close() error
}

// Open opens or makes a store and brings its schema up to date. ErrLocked if another process owns the directory; an error that
// wraps vault.ErrKEK if the KEK is the wrong one.
func Open(ctx context.Context, o Options) (*Store, error) {
	if (o.Dir == "") == (o.DSN == "") || o.KEK == nil {
		return nil, errors.New("store: options: want a KEK and either Dir or DSN")
	}
	s := &Store{clock: o.Clock, woken: make(chan struct{}, 1)}
	if s.clock == nil {
		s.clock = time.Now
	}
	var err error
	if o.Dir != "" {
		s.dialect = sqliteDialect()
		var e *sqlite
		if e, err = openSQLite(ctx, o, s.dialect); err == nil {
			s.engine, s.ticks = e, e.ticks
		}
	} else {
		s.dialect = postgresDialect()
		s.engine, err = openPostgres(ctx, o.DSN, s.dialect)
	}
	if err != nil {
		return nil, prefix(err)
	}
	if err = s.openTicks(ctx); err == nil {
		s.box, err = s.openBox(ctx, o.KEK)
	}
	if err != nil {
		s.engine.close()
		return nil, err
	}
	return s, nil
}

// openBox reads the store keys; a new store gets its first ones. Of two nodes that are first together one makes the hashing key,
// and both keep theirs for sealing.
func (s *Store) openBox(ctx context.Context, kek vault.Keeper) (*vault.Box, error) {
	keys, err := s.storeKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		for _, p := range []vault.Purpose{vault.Hashing, vault.Sealing} {
			k, err := vault.NewStoreKey(ctx, kek, p)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		if err := s.Tx(ctx, func(tx *Tx) error { return tx.insertStoreKeys(keys) }); err != nil {
			return nil, err
		}
		if keys, err = s.storeKeys(ctx); err != nil {
			return nil, err
		}
	}
	return vault.NewBox(ctx, kek, keys)
}

func (s *Store) storeKeys(ctx context.Context) (keys []vault.StoreKey, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		keys, err = all(tx, func(scan scanner) (k vault.StoreKey, err error) {
			return k, scan(&k.KID, &k.Purpose, &k.Wrapped)
		}, `SELECT kid, purpose, wrapped FROM sealkey ORDER BY created_at, kid`)
		return err
	})
	return keys, err
}

func (tx *Tx) insertStoreKeys(keys []vault.StoreKey) error {
	for _, k := range keys {
		if _, err := tx.exec(`INSERT INTO sealkey (kid, purpose, wrapped, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			k.KID, string(k.Purpose), k.Wrapped, msec(tx.Now())); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for running transactions and closes the engine.
func (s *Store) Close() error { return prefix(s.engine.close()) }

// Box gives the store keys, for rooms that seal outside SQL.
func (s *Store) Box() *vault.Box { return s.box }

// Exclusive says that this process alone owns the store (SQLite).
func (s *Store) Exclusive() bool { _, ok := s.engine.(*sqlite); return ok }

// Woken is signalled after each commit that changed what is due. Signals are merged; there is one listener.
func (s *Store) Woken() <-chan struct{} { return s.woken }

// Tx runs fn in one transaction and commits if it returns nil: then everything in it is durable. On any error nothing of it is
// there, except that an error of the commit itself leaves it in doubt. fn does no I/O besides its Tx, for others wait, and begins no
// other Tx; after an error of the engine it cannot go on; it may be run again after a serialisation failure (PostgreSQL), so it must set, not add to, variables outside.
func (s *Store) Tx(ctx context.Context, fn func(*Tx) error) error {
	const tries = 5
	for try := 1; ; try++ {
		var tx *Tx
		err := s.engine.write(ctx, func(q querier) error {
			tx = &Tx{ctx: ctx, q: q, s: s, now: s.clock(), write: true}
			if err := fn(tx); err != nil {
				return err
			}
			return tx.failed
		})
		switch {
		case err == nil:
			tx.committed()
			return nil
		case try == tries || !s.engine.passing(err):
			return err
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(try) * int64(20*time.Millisecond)))):
		case <-ctx.Done():
			return err
		}
	}
}

// View runs fn on one snapshot that cannot be written to. fn begins no other View: there are few snapshots, and all could be waiting for
// one more.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return s.engine.read(ctx, func(q querier) error {
		return fn(&Tx{ctx: ctx, q: q, s: s, now: s.clock()})
	})
}

func prefix(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %w", err)
}
