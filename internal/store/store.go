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
	"slices"
	"sync/atomic"
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
	due     due // what woken stands for

	warnings []string

	kek       atomic.Pointer[vault.Keeper]
	opened    time.Time
	refreshed atomic.Int64 // when the store keys were read last, as time since opened; 0: to be read before the next transaction
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
	s := &Store{clock: o.Clock, woken: make(chan struct{}, 1), opened: time.Now()}
	s.kek.Store(&o.KEK)
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
		var e *postgres
		if e, err = openPostgres(ctx, o, s.dialect); err == nil {
			s.engine, s.warnings = e, e.warnings
		}
	}
	if err != nil {
		return nil, prefix(full(err))
	}
	if err = s.openTicks(ctx); err == nil {
		err = s.openBox(ctx)
	}
	if err != nil {
		s.engine.close()
		return nil, err
	}
	return s, nil
}

// Close waits for running transactions and closes the engine.
func (s *Store) Close() error { return prefix(s.engine.close()) }

// Box gives the store keys, for rooms that seal outside SQL. What is to become part of a row is sealed within the transaction that writes the
// row, for a store key that nothing uses is deleted after a rotation; the data keys of bodies alone may be older (InsertBlob).
func (s *Store) Box() *vault.Box { return s.box }

// Warnings tells what an operator should know about the engine's settings, as they were when the store was opened.
func (s *Store) Warnings() []string { return slices.Clone(s.warnings) }

// Exclusive says that this process alone owns the store (SQLite).
func (s *Store) Exclusive() bool { _, ok := s.engine.(*sqlite); return ok }

// Tx runs fn in one transaction and commits if it returns nil: then everything in it is durable. On any error nothing of it is
// there, except that an error of the commit itself leaves it in doubt. fn does no I/O besides its Tx, for others wait, and begins no
// other Tx; after an error of the engine it cannot go on; it may be run again after a serialisation failure (PostgreSQL), so it must set, not add to, variables outside.
func (s *Store) Tx(ctx context.Context, fn func(*Tx) error) error {
	const tries = 5
	for try := 1; ; try++ {
		var tx *Tx
		err := s.engine.write(ctx, func(q querier) error {
			tx = s.tx(ctx, q)
			tx.write = true
			if err := tx.refresh(); err != nil {
				return err
			}
			if err := fn(tx); err != nil {
				return err
			}
			return tx.failed
		})
		switch {
		case err == nil:
			tx.committed()
			return nil
		case try == tries || !s.engine.passing(err) && !s.unknownKey(err):
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
// one more. It may be run again where another node has made a new store key (PostgreSQL), as in Tx.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	for again := false; ; again = true {
		err := s.engine.read(ctx, func(q querier) error {
			tx := s.tx(ctx, q)
			if err := tx.refresh(); err != nil {
				return err
			}
			return fn(tx)
		})
		if err == nil || again || !s.unknownKey(err) {
			return err
		}
	}
}

func (s *Store) tx(ctx context.Context, q querier) *Tx {
	return &Tx{ctx: ctx, q: q, s: s, now: s.clock()}
}

func prefix(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %w", err)
}
