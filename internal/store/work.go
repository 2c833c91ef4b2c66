package store

import (
	"database/sql"
	"errors"
	"slices"
	"time"
)

// Lane separates work by size, so that bodies of gigabytes do not starve letters.
type Lane string

const (
	Small Lane = "small"
	Huge  Lane = "huge"
)

// WorkState of a row in the queue. Finished work has no row.
type WorkState string

const (
	Ready  WorkState = "ready"
	Leased WorkState = "leased" // NextAt is the end of the lease
	Held   WorkState = "held"   // by the operator
	Dead   WorkState = "dead"   // buried: nobody will try again
)

// Work is one row of the queue.
type Work struct {
	ID     string        // made by InsertWork when empty
	Kind   string        // which handler
	Ref    string        // id of what it is about
	Lane   Lane          // default Small
	Dest   string        // destination domain, if any
	Unique string        // at most one ready, leased or held row has it; empty = any number
	After  time.Duration // on insertion: not before now plus this, by the engine's clock

	State   WorkState
	NextAt  time.Time
	Owner   string
	Epoch   int64  // counts leases; the fence
	Attempt int64  // counts claims, this one included
	Error   string // last one; sealed
	Created time.Time
}

// InsertWork puts w on the queue. *Duplicate if live work with the same Unique exists.
func (tx *Tx) InsertWork(w *Work) error {
	if w.ID == "" {
		w.ID = tx.NewID()
	}
	if w.Lane == "" {
		w.Lane = Small
	}
	tx.wakes(w.Kind, w.Lane)
	return tx.insert(`INSERT INTO work (id, kind, ref, lane, dest, state, next_at, retry_at, owner, epoch, attempt, uniq, created_at)
		VALUES ($1, $2, $3, $4, $5, 'ready', {now} + $6, 0, '', 0, 0, $7, $8)
		ON CONFLICT (uniq) WHERE state IN ('ready', 'leased', 'held') DO NOTHING`,
		[]any{w.ID, w.Kind, w.Ref, string(w.Lane), w.Dest, w.After.Milliseconds(), nullText(w.Unique), msec(tx.now)},
		`SELECT id FROM work WHERE uniq = $1 AND state IN ('ready', 'leased', 'held')`, w.Unique)
}

const workColumns = `id, kind, ref, lane, dest, COALESCE(uniq, ''), state, next_at, owner, epoch, attempt, last_error, created_at`

func (tx *Tx) readWork(scan scanner) (w Work, err error) {
	var next, created int64
	var last []byte
	if err := scan(&w.ID, &w.Kind, &w.Ref, &w.Lane, &w.Dest, &w.Unique, &w.State, &next, &w.Owner, &w.Epoch, &w.Attempt, &last, &created); err != nil {
		return w, err
	}
	w.NextAt, w.Created = when(next), when(created)
	w.Error, err = tx.open("work.last_error", w.ID, last)
	return w, err
}

// Work reads one row. ErrNotFound.
func (tx *Tx) Work(id string) (Work, error) {
	return first(tx, tx.readWork, `SELECT `+workColumns+` FROM work WHERE id = $1`, id)
}

// Works lists rows in some state (any when empty), soonest first, at most limit.
func (tx *Tx) Works(state WorkState, limit int) ([]Work, error) {
	return all(tx, tx.readWork, `SELECT `+workColumns+` FROM work WHERE $1 = '' OR state = $1 ORDER BY next_at, id LIMIT $2`,
		string(state), int64(limit))
}

// WorkOf lists the rows about ref.
func (tx *Tx) WorkOf(ref string) ([]Work, error) {
	return all(tx, tx.readWork, `SELECT `+workColumns+` FROM work WHERE ref = $1 ORDER BY id`, ref)
}

// Claim is what ClaimWork leases.
type Claim struct {
	Kind    string
	Lane    Lane
	Owner   string
	TTL     time.Duration
	Limit   int
	PerDest int                               // leave out work for a destination that has that many leases of this kind and lane; 0 = no limit
	Backoff func(attempt int64) time.Duration // written with the claim: when to try again if this attempt says no more
}

// open leaves out destinations that have all the leases they may have: $1 kind, $2 lane, $3 leases ($3 = 0: no limit).
const open = `AND ($3 = 0 OR dest = '' OR dest NOT IN (SELECT dest FROM work WHERE kind = $1 AND lane = $2 AND state = 'leased' AND next_at > {now}
	GROUP BY dest HAVING COUNT(*) >= $3))`

// ClaimWork leases due work: ready rows, and leased ones whose lease is over. The engine's clock decides.
func (tx *Tx) ClaimWork(c Claim) ([]Work, error) {
	due, err := all(tx, tx.readWork, `SELECT `+workColumns+` FROM work
		WHERE kind = $1 AND lane = $2 AND state IN ('ready', 'leased') AND next_at <= {now} `+open+` ORDER BY next_at, id LIMIT CAST($4 AS BIGINT) {skip}`,
		c.Kind, string(c.Lane), int64(c.PerDest), int64(c.Limit))
	if err != nil {
		return nil, err
	}
	if due, err = tx.fair(c, due); err != nil {
		return nil, err
	}
	for i := range due {
		w := &due[i]
		var next int64
		if err := tx.one(`UPDATE work SET state = 'leased', owner = $2, epoch = epoch + 1, attempt = attempt + 1,
			next_at = {now} + $3, retry_at = {now} + $4 WHERE id = $1 RETURNING next_at, epoch, attempt`,
			[]any{w.ID, c.Owner, c.TTL.Milliseconds(), c.Backoff(w.Attempt + 1).Milliseconds()}, &next, &w.Epoch, &w.Attempt); err != nil {
			return nil, err
		}
		w.State, w.Owner, w.NextAt = Leased, c.Owner, when(next)
	}
	return due, nil
}

// fair takes out of due what would give a destination more leases than c allows. Nodes that claim such work do so one after the other,
// so that they count one another's leases.
func (tx *Tx) fair(c Claim, due []Work) ([]Work, error) {
	if c.PerDest == 0 || !slices.ContainsFunc(due, func(w Work) bool { return w.Dest != "" }) {
		return due, nil
	}
	if lock := tx.s.dialect.lock; lock != "" {
		if _, err := tx.exec(lock, c.Kind+"/"+string(c.Lane)); err != nil {
			return nil, err
		}
	}
	leases := make(map[string]int)
	_, err := all(tx, func(scan scanner) (struct{}, error) {
		var dest string
		var n int
		err := scan(&dest, &n)
		leases[dest] = n
		return struct{}{}, err
	}, `SELECT dest, COUNT(*) FROM work WHERE kind = $1 AND lane = $2 AND state = 'leased' AND next_at > {now} GROUP BY dest`, c.Kind, string(c.Lane))
	return slices.DeleteFunc(due, func(w Work) bool {
		leases[w.Dest]++
		return w.Dest != "" && leases[w.Dest] > c.PerDest
	}), err
}

// NextWork tells how long it is, by the engine's clock, until work of c's kind and lane is due, but for destinations that have all the
// leases they may have; ok is false if there is none.
func (tx *Tx) NextWork(c Claim) (in time.Duration, ok bool, err error) {
	var ms sql.NullInt64
	err = tx.one(`SELECT MIN(next_at) - {now} FROM work WHERE kind = $1 AND lane = $2 AND state IN ('ready', 'leased') `+open,
		[]any{c.Kind, string(c.Lane), int64(c.PerDest)}, &ms)
	return max(time.Duration(ms.Int64)*time.Millisecond, 0), ms.Valid, err
}

// ExtendWork renews a lease for ttl from now. ErrLeaseLost.
func (tx *Tx) ExtendWork(id string, epoch int64, ttl time.Duration) error {
	n, err := tx.exec(`UPDATE work SET next_at = {now} + $3 WHERE id = $1 AND epoch = $2 AND state = 'leased'`, id, epoch, ttl.Milliseconds())
	return changed(n, err, ErrLeaseLost)
}

// FinishWork removes leased work. ErrLeaseLost.
func (tx *Tx) FinishWork(id string, epoch int64) error {
	return tx.end(`DELETE FROM work WHERE id = $1 AND epoch = $2 AND state = 'leased' RETURNING dest, kind, lane`, id, epoch)
}

// end runs a statement that ends a lease for good. Where the work has a destination, other work may have waited for that.
func (tx *Tx) end(text string, args ...any) error {
	var dest, kind string
	var lane Lane
	err := tx.one(text, args, &dest, &kind, &lane)
	if errors.Is(err, ErrNotFound) {
		return ErrLeaseLost
	}
	if dest != "" {
		tx.wakes(kind, lane)
	}
	return err
}

// RetryWork gives a lease back: due after the given time, or at the back-off written at the claim when that is negative. ErrLeaseLost.
func (tx *Tx) RetryWork(id string, epoch int64, after time.Duration, reason string) error {
	ms := after.Milliseconds()
	if after < 0 {
		ms = -1
	}
	tx.wake = true
	n, err := tx.exec(`UPDATE work SET state = 'ready', owner = '', last_error = $4,
		next_at = CASE WHEN CAST($3 AS BIGINT) < 0 THEN retry_at ELSE {now} + CAST($3 AS BIGINT) END
		WHERE id = $1 AND epoch = $2 AND state = 'leased'`, id, epoch, ms, tx.seal("work.last_error", id, reason))
	return changed(n, err, ErrLeaseLost)
}

// BuryWork ends leased work for good but keeps the row for the operator. ErrLeaseLost.
func (tx *Tx) BuryWork(id string, epoch int64, reason string) error {
	return tx.end(`UPDATE work SET state = 'dead', owner = '', last_error = $3 WHERE id = $1 AND epoch = $2 AND state = 'leased' RETURNING dest, kind, lane`,
		id, epoch, tx.seal("work.last_error", id, reason))
}

// ReleaseWork ends the leases of all other owners and tells how many. Their work is due at once, or after its back-off when it has been
// tried more than twice: it may be what ended its owner. For a process that owns the store alone.
func (tx *Tx) ReleaseWork(owner string) (int64, error) {
	tx.wake = true
	return tx.exec(`UPDATE work SET state = 'ready', owner = '', next_at = CASE WHEN attempt <= 2 THEN {now} ELSE retry_at END
		WHERE state = 'leased' AND owner <> $1`, owner)
}
