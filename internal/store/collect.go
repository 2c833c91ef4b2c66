package store

import "time"

// Collect is how the fetching of a mailbox goes.
type Collect struct {
	ID     string
	Heard  time.Time // everything that lay there then has been fetched; zero: never
	Detail CollectDetail
}

// CollectDetail is sealed.
type CollectDetail struct {
	Tried  time.Time `json:"tried,omitzero"`
	Since  time.Time `json:"since,omitzero"` // nothing has been fetched because of Error since then
	Error  string    `json:"error,omitempty"`
	Failed int       `json:"failed,omitempty"` // times in a row
}

// Collect reads one. ErrNotFound.
func (tx *Tx) Collect(id string) (Collect, error) {
	return first(tx, func(scan scanner) (c Collect, err error) {
		var heard int64
		var detail []byte
		if err := scan(&c.ID, &heard, &detail); err != nil {
			return c, err
		}
		c.Heard = when(heard)
		return c, tx.openJSON("collect.detail", c.ID, detail, &c.Detail)
	}, `SELECT id, heard, detail FROM collect WHERE id = $1`, id)
}

// PutCollect writes one. Heard never goes back.
func (tx *Tx) PutCollect(c Collect) error {
	detail, err := tx.sealJSON("collect.detail", c.ID, c.Detail)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO collect (id, heard, detail) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET detail = excluded.detail, heard = CASE WHEN excluded.heard > collect.heard THEN excluded.heard ELSE collect.heard END`,
		c.ID, msec(c.Heard), detail)
	return err
}

// CollectedState says what became of a mail at a provider.
type CollectedState string

const (
	CollectTaken   CollectedState = "taken"   // ours; it may still lie there
	CollectRefused CollectedState = "refused" // it lies there, and nobody tries again unless the operator says so
	CollectRemoved CollectedState = "removed" // ours, and gone there
)

// Collected is a mail at a provider that has been looked at.
type Collected struct {
	ID      string // made by InsertCollected
	Source  string // id of a Collect
	Item    []byte // hash of the provider's name for it
	State   CollectedState
	Message string // id
	Size    int64
	Reason  string // why it is refused; sealed
	At      time.Time
}

type collectedDetail struct {
	Reason string `json:"reason,omitempty"`
}

// InsertCollected adds one. *Duplicate if the mail has been looked at before.
func (tx *Tx) InsertCollected(c *Collected) error {
	c.ID, c.At = tx.NewID(), tx.now
	detail, err := tx.sealJSON("collected.detail", c.ID, collectedDetail{c.Reason})
	if err != nil {
		return err
	}
	return tx.insert(`INSERT INTO collected (id, source, item_hash, state, message, size, detail, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (source, item_hash) DO NOTHING`,
		[]any{c.ID, c.Source, c.Item, string(c.State), c.Message, c.Size, detail, msec(c.At)},
		`SELECT id FROM collected WHERE source = $1 AND item_hash = $2`, c.Source, c.Item)
}

const collectedColumns = `id, source, item_hash, state, message, size, detail, at`

func (tx *Tx) readCollected(scan scanner) (c Collected, err error) {
	var at int64
	var sealed []byte
	if err := scan(&c.ID, &c.Source, &c.Item, &c.State, &c.Message, &c.Size, &sealed, &at); err != nil {
		return c, err
	}
	var detail collectedDetail
	err = tx.openJSON("collected.detail", c.ID, sealed, &detail)
	c.At, c.Reason = when(at), detail.Reason
	return c, err
}

// CollectedAs reads what became of a mail. ErrNotFound.
func (tx *Tx) CollectedAs(source string, item []byte) (Collected, error) {
	return first(tx, tx.readCollected, `SELECT `+collectedColumns+` FROM collected WHERE source = $1 AND item_hash = $2`, source, item)
}

// CollectedIn lists those of a source in a state, the oldest first, at most limit.
func (tx *Tx) CollectedIn(source string, state CollectedState, limit int) ([]Collected, error) {
	return all(tx, tx.readCollected, `SELECT `+collectedColumns+` FROM collected WHERE source = $1 AND state = $2 ORDER BY at, id LIMIT $3`,
		source, string(state), int64(limit))
}

// CountCollected counts them.
func (tx *Tx) CountCollected(source string, state CollectedState) (n int64, err error) {
	return n, tx.one(`SELECT COUNT(*) FROM collected WHERE source = $1 AND state = $2`, []any{source, string(state)}, &n)
}

// CollectedGone writes that a mail that was taken is gone at the provider. ErrNotFound.
func (tx *Tx) CollectedGone(id string) error {
	n, err := tx.exec(`UPDATE collected SET state = 'removed', at = $2 WHERE id = $1 AND state = 'taken'`, id, msec(tx.now))
	return changed(n, err, ErrNotFound)
}

// CollectedLying tells of which mails it is not known that they are gone at the provider: ids by Item.
func (tx *Tx) CollectedLying(source string) (map[string]string, error) {
	out := map[string]string{}
	_, err := all(tx, func(scan scanner) (struct{}, error) {
		var id string
		var item []byte
		err := scan(&id, &item)
		out[string(item)] = id
		return struct{}{}, err
	}, `SELECT id, item_hash FROM collected WHERE source = $1 AND state <> 'removed'`, source)
	return out, err
}

// CollectedLost writes that a mail lies at the provider no more: one that was taken is removed, one that was refused forgotten.
func (tx *Tx) CollectedLost(id string) error {
	if _, err := tx.exec(`DELETE FROM collected WHERE id = $1 AND state = 'refused'`, id); err != nil {
		return err
	}
	_, err := tx.exec(`UPDATE collected SET state = 'removed', at = $2 WHERE id = $1 AND state = 'taken'`, id, msec(tx.now))
	return err
}

// RetryCollected has those that were refused looked at again, and tells how many.
func (tx *Tx) RetryCollected(source string) (int64, error) {
	return tx.exec(`DELETE FROM collected WHERE source = $1 AND state = 'refused'`, source)
}

// PruneCollected forgets those that were removed before that time, and tells how many.
func (tx *Tx) PruneCollected(source string, before time.Time) (int64, error) {
	return tx.exec(`DELETE FROM collected WHERE source = $1 AND state = 'removed' AND at < $2`, source, msec(before))
}

// TouchCollected puts off the end of those that were removed but still lie there, by what the provider says.
func (tx *Tx) TouchCollected(id string) error {
	n, err := tx.exec(`UPDATE collected SET at = $2 WHERE id = $1`, id, msec(tx.now))
	return changed(n, err, ErrNotFound)
}
