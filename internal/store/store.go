// Package store keeps the rows: messages, recipients, work, mailboxes, accounts, certificates, anchors, audit entries. It is the
// only room with SQL in it.
//
// Two engines share one schema and one set of SQL texts. SQLite is a file in the data directory, owned by one process (a lock on
// the directory), written through one connection, in WAL with synchronous=FULL: a transaction that returned nil is on the disk.
// PostgreSQL is the operator's own; any number of nodes may use it.
//
// Columns that tell who wrote to whom and about what are sealed by package vault before they reach the engine; where rows are
// found by such a value there is a keyed hash beside it. The domain of an address stays in clear: queues and operators need it.
//
// Times are milliseconds since 1970 in UTC, ids are ULIDs made here, and changes of state are conditional on a version counter.
package store

import (
	"context"

	"carepost/internal/transit"
	"carepost/internal/vault"
)

// Options say where the store is. Exactly one of Dir and DSN is set.
type Options struct {
	Dir string // data directory for SQLite: Dir/carepost.db; made if missing (0700)
	DSN string // PostgreSQL: a URL or keyword/value string

	KEK   vault.Keeper  // opens the store keys
	Clock transit.Clock // default time.Now; queue times come from the engine's clock, not from here
}

// Store is an open store. It is safe for concurrent use.
type Store struct{}

// Open opens or makes a store and brings its schema up to date. ErrLocked if another process owns the directory; an error that
// wraps vault.ErrKEK if the KEK is the wrong one.
func Open(ctx context.Context, o Options) (*Store, error) { panic("unimplemented") }

// Close waits for running transactions and closes the engine.
func (s *Store) Close() error { panic("unimplemented") }

// Box gives the store keys, for rooms that seal outside SQL.
func (s *Store) Box() *vault.Box { panic("unimplemented") }

// Exclusive says that this process alone owns the store (SQLite).
func (s *Store) Exclusive() bool { panic("unimplemented") }

// Woken is signalled after each commit that made work ready. Signals are merged; there is one listener.
func (s *Store) Woken() <-chan struct{} { panic("unimplemented") }

// Tx runs fn in one transaction and commits if it returns nil: then everything in it is durable. On any error nothing of it is
// there, except that an error of the commit itself leaves it in doubt. fn does no I/O besides its Tx, for others wait; it may be
// run again after a serialisation failure (PostgreSQL), so it must set, not add to, variables outside.
func (s *Store) Tx(ctx context.Context, fn func(*Tx) error) error { panic("unimplemented") }

// View runs fn on one snapshot that cannot be written to.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error { panic("unimplemented") }
