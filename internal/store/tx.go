package store

import (
	"errors"
	"time"
)

// Errors that callers branch on.
var (
	ErrNotFound  = errors.New("store: no such row")
	ErrDuplicate = errors.New("store: there already")
	ErrConflict  = errors.New("store: changed by somebody else") // the version is no longer the one given
	ErrLeaseLost = errors.New("store: lease lost")               // the work belongs to another worker, or to nobody
	ErrLocked    = errors.New("store: the data directory is in use by another process")
)

// Duplicate is the error of an insert that found its like; errors.Is(err, ErrDuplicate).
type Duplicate struct {
	First string // id of the row that was first
}

func (d *Duplicate) Error() string        { return ErrDuplicate.Error() + ": " + d.First }
func (d *Duplicate) Is(target error) bool { return target == ErrDuplicate }

// Tx is one transaction. Its methods use the context given to Store.Tx or Store.View. It is for one goroutine and ends with fn.
type Tx struct{}

// NewID makes an id for a row.
func (tx *Tx) NewID() string { panic("unimplemented") }

// Now is the time at which the transaction began.
func (tx *Tx) Now() time.Time { panic("unimplemented") }

// AfterCommit has f called once the transaction is durable. f must be quick and must not use the store's transactions.
func (tx *Tx) AfterCommit(f func()) { panic("unimplemented") }
