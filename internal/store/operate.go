package store

// What an operator does to the queue. None of it goes past a lease: the worker that has it finishes, gives back or loses it first.

// HoldWork stops ready work until RetryWorkNow. Held work stays held. ErrConflict while it is leased, and for dead work; ErrNotFound.
func (tx *Tx) HoldWork(id string) error {
	n, err := tx.exec(`UPDATE work SET state = 'held', owner = '' WHERE id = $1 AND (state IN ('ready', 'held') OR state = 'leased' AND next_at <= {now})`, id)
	return tx.unlessLeased(id, n, err)
}

// RetryWorkNow makes ready, held or dead work due now. The count of attempts stays. ErrConflict while it is leased; *Duplicate if it is
// dead and live work has taken its Unique since; ErrNotFound.
func (tx *Tx) RetryWorkNow(id string) error {
	const free = `(state IN ('ready', 'held', 'dead') OR state = 'leased' AND next_at <= {now})`
	twin, err := first(tx, func(scan scanner) (twin string, err error) {
		err = scan(&twin)
		return twin, err
	}, `SELECT o.id FROM work w JOIN work o ON o.uniq = w.uniq AND o.id <> w.id AND o.state IN ('ready', 'leased', 'held')
		WHERE w.id = $1 AND w.state = 'dead'`, id)
	if err == nil {
		return &Duplicate{First: twin}
	}
	if !isNone(err) {
		return err
	}
	tx.wake = true
	n, err := tx.exec(`UPDATE work SET state = 'ready', owner = '', next_at = {now} WHERE id = $1 AND `+free, id)
	return tx.unlessLeased(id, n, err)
}

// CancelWork removes work, whatever its state; a worker that has it loses its lease. ErrNotFound.
func (tx *Tx) CancelWork(id string) error {
	tx.wake = true // work for the same destination may have waited
	n, err := tx.exec(`DELETE FROM work WHERE id = $1`, id)
	return changed(n, err, ErrNotFound)
}

// unlessLeased gives the error of a change that found no row in a state it may change.
func (tx *Tx) unlessLeased(id string, n int64, err error) error {
	if err != nil || n > 0 {
		return err
	}
	if _, err := tx.Work(id); err != nil {
		return err
	}
	return ErrConflict
}
