package store

import "time"

// HandoverState says how far a file-set is on its way to a destination.
type HandoverState string

const (
	HandoverWaiting HandoverState = "waiting"
	HandoverDone    HandoverState = "done"
	HandoverFailed  HandoverState = "failed" // nobody tries again unless the operator says so
	HandoverLeft    HandoverState = "left"   // not COMPLETE: it is in the mail
)

// Handover is the file-set of one mail on its way to one destination. Its work has its id as Ref.
type Handover struct {
	ID           string // made by InsertHandover
	Account      string // id
	Mailbox      string // id; with UID: the mail
	UID          uint32
	Message      string // id; may be empty
	Target       string // name of the destination
	State        HandoverState
	Total, Taken int64 // instances
	Created      time.Time
	Changed      time.Time
	Detail       HandoverDetail
}

// HandoverDetail is sealed.
type HandoverDetail struct {
	Fates   string            `json:"fates,omitempty"`   // one letter for each instance, in the order of the DICOMDIR
	Letter  string            `json:"letter,omitempty"`  // and for each instance that the letter of the mail was made into
	Note    string            `json:"note,omitempty"`    // what became of the letter, where it does not travel though it should
	Refused []HandoverRefusal `json:"refused,omitempty"` // the first ones
	Reason  string            `json:"reason,omitempty"`  // why it failed, or was left
	Verdict string            `json:"verdict,omitempty"`
	Since   time.Time         `json:"since,omitzero"` // when the operator had it tried again
}

// HandoverRefusal is one instance that a destination does not take.
type HandoverRefusal struct {
	SOPClass    string `json:"class"`
	SOPInstance string `json:"instance"`
	Reason      string `json:"reason"`
}

// InsertHandover adds one that waits. *Duplicate if the mail is on its way to that destination, or was.
func (tx *Tx) InsertHandover(h *Handover) error {
	h.ID, h.State, h.Created, h.Changed = tx.NewID(), HandoverWaiting, tx.now, tx.now
	return tx.insert(`INSERT INTO handover (id, account, mailbox, uid, message, target, state, total, taken, created_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, 0, $7, $7) ON CONFLICT (mailbox, uid, target) DO NOTHING`,
		[]any{h.ID, h.Account, h.Mailbox, int64(h.UID), h.Message, h.Target, msec(tx.now)},
		`SELECT id FROM handover WHERE mailbox = $1 AND uid = $2 AND target = $3`, h.Mailbox, int64(h.UID), h.Target)
}

const handoverColumns = `id, account, mailbox, uid, message, target, state, total, taken, created_at, changed_at, detail`

func (tx *Tx) readHandover(scan scanner) (h Handover, err error) {
	var created, changed int64
	var detail []byte
	if err := scan(&h.ID, &h.Account, &h.Mailbox, &h.UID, &h.Message, &h.Target, &h.State, &h.Total, &h.Taken, &created, &changed, &detail); err != nil {
		return h, err
	}
	h.Created, h.Changed = when(created), when(changed)
	if detail != nil {
		err = tx.openJSON("handover.detail", h.ID, detail, &h.Detail)
	}
	return h, err
}

// Handover reads one. ErrNotFound.
func (tx *Tx) Handover(id string) (Handover, error) {
	return first(tx, tx.readHandover, `SELECT `+handoverColumns+` FROM handover WHERE id = $1`, id)
}

// HandoversOf lists those of a mail.
func (tx *Tx) HandoversOf(mailbox string, uid uint32) ([]Handover, error) {
	return all(tx, tx.readHandover, `SELECT `+handoverColumns+` FROM handover WHERE mailbox = $1 AND uid = $2 ORDER BY id`, mailbox, int64(uid))
}

// Handovers lists those in a state, newest first, at most limit.
func (tx *Tx) Handovers(state HandoverState, limit int) ([]Handover, error) {
	return all(tx, tx.readHandover, `SELECT `+handoverColumns+` FROM handover WHERE state = $1 ORDER BY id DESC LIMIT $2`, string(state), int64(limit))
}

// HandoversIn counts those in a state.
func (tx *Tx) HandoversIn(state HandoverState) (n int64, err error) {
	return n, tx.one(`SELECT COUNT(*) FROM handover WHERE state = $1`, []any{string(state)}, &n)
}

// PutHandover writes how far h is. Only what waits can be written: ErrConflict else, for somebody has ended it meanwhile.
func (tx *Tx) PutHandover(h Handover) error {
	detail, err := tx.sealJSON("handover.detail", h.ID, h.Detail)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE handover SET state = $2, total = $3, taken = $4, changed_at = $5, detail = $6 WHERE id = $1 AND state = 'waiting'`,
		h.ID, string(h.State), h.Total, h.Taken, msec(tx.now), detail)
	return changed(n, err, ErrConflict)
}

// ReopenHandover has one that failed wait again, with what is known of it. ErrConflict if it did not fail.
func (tx *Tx) ReopenHandover(id string) error {
	n, err := tx.exec(`UPDATE handover SET state = 'waiting', changed_at = $2 WHERE id = $1 AND state = 'failed'`, id, msec(tx.now))
	return changed(n, err, ErrConflict)
}

// RemoveHandover forgets one, whatever its state. ErrNotFound.
func (tx *Tx) RemoveHandover(id string) error {
	n, err := tx.exec(`DELETE FROM handover WHERE id = $1`, id)
	return changed(n, err, ErrNotFound)
}

// PruneHandovers forgets those that ended, and were last changed, before that time, but for failed ones.
func (tx *Tx) PruneHandovers(before time.Time) (int64, error) {
	return tx.exec(`DELETE FROM handover WHERE state IN ('done', 'left') AND changed_at < $1`, msec(before))
}
