package store

// maxEvents is how many events a message's history takes before remarks are left out of it.
const maxEvents = 10_000

// Remark adds an event to the history of a message that moves nobody: r's state before and after it is the same. What comes after
// maxEvents is left out.
func (tx *Tx) Remark(r Recipient, cause, detail string) error {
	var seq int64
	err := tx.one(`UPDATE message SET events = events + 1 WHERE id = $1 AND events < $2 RETURNING events`, []any{r.Message, maxEvents}, &seq)
	if isNone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.event(r.Message, seq, r.ID, string(r.State), string(r.State), cause, detail)
}
