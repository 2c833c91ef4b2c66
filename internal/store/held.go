package store

import "time"

// HeldState says what has become of mail that waits for a person.
type HeldState string

const (
	Waiting  HeldState = "held"
	Released HeldState = "released"
	Ended    HeldState = "ended" // refused, or nobody came in time
)

// Waiter is a recipient whose mail a person is to release.
type Waiter struct {
	Recipient, Message string // ids
	Work               string // id of what ends the waiting
	Blob               string // id of what is shown when it is released; inbound only
	State              HeldState
	At                 time.Time
}

const heldColumns = `recipient, message, work, COALESCE(blob, ''), state, at`

func (tx *Tx) readWaiter(scan scanner) (h Waiter, err error) {
	var at int64
	err = scan(&h.Recipient, &h.Message, &h.Work, &h.Blob, &h.State, &at)
	h.At = when(at)
	return h, err
}

// InsertWaiter has a recipient's mail wait. *Duplicate if it has waited already, whatever became of it.
func (tx *Tx) InsertWaiter(h Waiter) error {
	return tx.insert(`INSERT INTO held (recipient, message, work, blob, state, at) VALUES ($1, $2, $3, $4, 'held', $5) ON CONFLICT (recipient) DO NOTHING`,
		[]any{h.Recipient, h.Message, h.Work, nullText(h.Blob), msec(tx.now)}, `SELECT work FROM held WHERE recipient = $1`, h.Recipient)
}

// Waiter reads that of a recipient. ErrNotFound.
func (tx *Tx) Waiter(recipient string) (Waiter, error) {
	return first(tx, tx.readWaiter, `SELECT `+heldColumns+` FROM held WHERE recipient = $1`, recipient)
}

// WaitersOf lists those of a message, whatever has become of them.
func (tx *Tx) WaitersOf(message string) ([]Waiter, error) {
	return all(tx, tx.readWaiter, `SELECT `+heldColumns+` FROM held WHERE message = $1 ORDER BY recipient`, message)
}

// Waiters lists those that wait, longest first.
func (tx *Tx) Waiters(limit int) ([]Waiter, error) {
	return all(tx, tx.readWaiter, `SELECT `+heldColumns+` FROM held WHERE state = 'held' ORDER BY at, recipient LIMIT $1`, int64(limit))
}

// EndWaiting says what has become of one that waits. ErrConflict if it does not wait any more.
func (tx *Tx) EndWaiting(recipient string, to HeldState) error {
	n, err := tx.exec(`UPDATE held SET state = $2 WHERE recipient = $1 AND state = 'held'`, recipient, string(to))
	return changed(n, err, ErrConflict)
}

// NoteRecipient notes an event of a recipient that changes no state.
func (tx *Tx) NoteRecipient(r Recipient, cause, detail string) error {
	return tx.note(r.Message, r.ID, string(r.State), string(r.State), cause, detail)
}

// Prolong gives a message until then, if that is later than it has.
func (tx *Tx) Prolong(message string, until time.Time) error {
	_, err := tx.exec(`UPDATE message SET expires_at = $2 WHERE id = $1 AND expires_at < $2`, message, msec(until))
	return err
}
