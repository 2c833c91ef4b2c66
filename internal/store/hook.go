package store

import "time"

// Hook is how far a webhook has followed the audit log.
type Hook struct {
	ID      string
	Seq     int64     // of the last entry that is done with
	Sent    time.Time // when one was taken last; zero: never
	Dropped int64     // entries that were given up
}

// Hook reads one. ErrNotFound.
func (tx *Tx) Hook(id string) (Hook, error) {
	return first(tx, func(scan scanner) (h Hook, err error) {
		var sent int64
		err = scan(&h.ID, &h.Seq, &sent, &h.Dropped)
		h.Sent = when(sent)
		return h, err
	}, `SELECT id, seq, COALESCE(sent_at, 0), dropped FROM hook WHERE id = $1`, id)
}

// PutHook writes one. It never goes back: who has gone further stays there.
func (tx *Tx) PutHook(h Hook) error {
	_, err := tx.exec(`INSERT INTO hook (id, seq, sent_at, dropped) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, sent_at = excluded.sent_at, dropped = excluded.dropped WHERE hook.seq <= excluded.seq`,
		h.ID, h.Seq, nullable(h.Sent), h.Dropped)
	return err
}

// AuditEnd is the last place that an audit entry has; 0 where none has one.
func (tx *Tx) AuditEnd() (seq int64, err error) {
	err = tx.one(`SELECT COALESCE(MAX(seq), 0) FROM audit`, nil, &seq)
	return seq, err
}
