package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors that callers branch on.
var (
	ErrNotFound  = errors.New("store: no such row")
	ErrDuplicate = errors.New("store: there already")
	ErrConflict  = errors.New("store: changed by somebody else") // the version is no longer the one given
	ErrLeaseLost = errors.New("store: lease lost")               // the work belongs to another worker, or to nobody
	ErrLocked    = errors.New("store: the data directory is in use by another process")
	ErrStale     = errors.New("store: the body was begun too long ago") // its file may be swept at any time

	ErrDamaged     = errors.New("store: the database is damaged")
	ErrUnsupported = errors.New("store: this engine does not do that")
)

// Duplicate is the error of an insert that found its like; errors.Is(err, ErrDuplicate).
type Duplicate struct {
	First string // id of the row that was first
}

func (d *Duplicate) Error() string        { return ErrDuplicate.Error() + ": " + d.First }
func (d *Duplicate) Is(target error) bool { return target == ErrDuplicate }

// Tx is one transaction. Its methods use the context given to Store.Tx or Store.View. It is for one goroutine and ends with fn.
type Tx struct {
	ctx   context.Context
	q     querier
	s     *Store
	now   time.Time
	write bool
	tick  int64 // the queue's time where it is an argument; 0 until asked for
	ord   int64 // of the last recipient inserted
	wake  bool  // something became due, nobody knows what
	due   []Due // this became due
	after []func()

	// failed is the first error of a statement: the transaction is lost then, and fn cannot save it. So it is in PostgreSQL; SQLite may go on
	// after having rolled back by itself, each statement for itself.
	failed error
}

// querier runs statements in one transaction.
type querier interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// NewID makes an id for a row. Those that one process makes sort in the order of their making.
func (tx *Tx) NewID() string { return tx.s.ids.Next(tx.now) }

// Now is the time at which the transaction began.
func (tx *Tx) Now() time.Time { return tx.now }

// AfterCommit has f called once the transaction is durable. f must be quick and must not use the store's transactions.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

func (tx *Tx) committed() {
	for _, f := range tx.after {
		f()
	}
	tx.wakeUp()
}

// exec runs a statement and tells how many rows it changed.
func (tx *Tx) exec(text string, args ...any) (int64, error) {
	text, args, err := tx.statement(text, args)
	if err != nil {
		return 0, err
	}
	r, err := tx.q.ExecContext(tx.ctx, text, args...)
	if err != nil {
		return 0, tx.fail(err)
	}
	n, err := r.RowsAffected()
	return n, tx.fail(err)
}

// statement puts the dialect into one of our texts, and the queue's time where the engine has no clock of its own.
func (tx *Tx) statement(text string, args []any) (string, []any, error) {
	if tx.failed != nil {
		return "", nil, tx.failed
	}
	text = tx.s.dialect.statement(text)
	if !strings.Contains(text, "{now}") {
		return text, args, nil
	}
	c := tx.s.ticks
	if tx.tick == 0 {
		tx.tick = c.now()
		if tx.write && c.stale(tx.tick) {
			if _, err := tx.exec(`UPDATE last_seen SET at = $1 WHERE id = 1 AND at < $1`, tx.tick); err != nil {
				return "", nil, err
			}
			tx.AfterCommit(func() { c.keep(tx.tick) })
		}
	}
	args = append(slices.Clip(args), tx.tick)
	return strings.ReplaceAll(text, "{now}", "$"+strconv.Itoa(len(args))), args, nil
}

// fail notes an error of the engine.
func (tx *Tx) fail(err error) error {
	err = full(err)
	if err != nil && tx.failed == nil {
		tx.failed = prefix(err)
	}
	return prefix(err)
}

// insert runs a statement that ends in ON CONFLICT DO NOTHING; if it did nothing, the error is a *Duplicate whose First the query
// finds.
func (tx *Tx) insert(text string, args []any, first string, key ...any) error {
	for try := 1; ; try++ {
		n, err := tx.exec(text, args...)
		if err != nil || n == 1 {
			return err
		}
		d := new(Duplicate)
		err = tx.one(first, key, &d.First)
		switch {
		case err == nil:
			return d
		case try == 3 || !errors.Is(err, ErrNotFound):
			return err
		}
		// What stood in the way is gone already (PostgreSQL, another node): once more.
	}
}

type scanner func(dest ...any) error

// all runs a query and reads every row.
func all[T any](tx *Tx, read func(scanner) (T, error), text string, args ...any) ([]T, error) {
	text, args, err := tx.statement(text, args)
	if err != nil {
		return nil, err
	}
	rows, err := tx.q.QueryContext(tx.ctx, text, args...)
	if err != nil {
		return nil, tx.fail(err)
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, prefix(err)
		}
		list = append(list, v)
	}
	return list, tx.fail(rows.Err())
}

// first is all for a query that gives one row or none. ErrNotFound.
func first[T any](tx *Tx, read func(scanner) (T, error), text string, args ...any) (T, error) {
	list, err := all(tx, read, text, args...)
	if err != nil || len(list) == 0 {
		var none T
		if err == nil {
			err = ErrNotFound
		}
		return none, err
	}
	return list[0], nil
}

// one reads the single row of a query into dest. ErrNotFound.
func (tx *Tx) one(text string, args []any, dest ...any) error {
	_, err := first(tx, func(scan scanner) (struct{}, error) { return struct{}{}, scan(dest...) }, text, args...)
	return err
}

func isNone(err error) bool { return errors.Is(err, ErrNotFound) }

// changed turns a count of changed rows into an error.
func changed(n int64, err, none error) error {
	if err == nil && n == 0 {
		return none
	}
	return err
}

// seal and open are for text columns: the empty text is NULL.
func (tx *Tx) seal(column, row, text string) []byte {
	if text == "" {
		return nil
	}
	return tx.s.box.Seal(column, row, []byte(text))
}

func (tx *Tx) open(column, row string, sealed []byte) (string, error) {
	b, err := tx.s.box.Open(column, row, sealed)
	if err != nil {
		return "", fmt.Errorf("%s of %s: %w", column, row, err)
	}
	return string(b), nil
}

// sealJSON and openJSON are for columns that hold several values.
func (tx *Tx) sealJSON(column, row string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", column, err)
	}
	return tx.s.box.Seal(column, row, b), nil
}

func (tx *Tx) openJSON(column, row string, sealed []byte, v any) error {
	text, err := tx.open(column, row, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("%s of %s: not what was written", column, row) // not err: it may quote the content
	}
	return nil
}

func (tx *Tx) hash(purpose, value string) []byte { return tx.s.box.Hash(purpose, value) }

// msec is t in the form of a column; nullable gives NULL for no time and text for no text.
func msec(t time.Time) int64 { return t.UnixMilli() }

func nullable(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// when reverses msec; 0 is no time.
func when(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
