package store

import "fmt"

// Blob is the row of one body. It has the fields of blob.Ref, so that one converts to the other: store.Blob(ref), blob.Ref(row).
type Blob struct {
	ID         string
	Key        string // name in the body store; empty when Inline
	Size       int64  // of the plaintext, bytes
	SHA256     []byte // of the plaintext; sealed in the row
	KID        string // store key that wraps the data key
	WrappedDEK []byte
	Inline     []byte // small bodies: the sealed bytes themselves
}

// InsertBlob adds a live body. Call it in the transaction that first refers to it, after blob.Draft.Commit. ErrStale if its file was begun too
// long ago. Its data key is wrapped anew where the store keys were rotated meanwhile.
func (tx *Tx) InsertBlob(b Blob) error {
	where := "file"
	if b.Key == "" {
		where = "inline"
	} else if at, err := minted(b.Key); err != nil {
		return err
	} else if tx.now.Sub(at) > maxAge {
		return ErrStale
	}
	if b.KID != tx.s.box.KID() {
		key, err := tx.s.box.UnwrapKey(b.ID, b.WrappedDEK)
		if err != nil {
			return fmt.Errorf("store: body %s: %w", b.ID, err)
		}
		b.KID, b.WrappedDEK = tx.s.box.WrapKey(b.ID, key)
		clear(key)
	}
	if _, err := tx.exec(`INSERT INTO blob (id, store, key, size, sha256, kid, dek, state, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'live', $8)`,
		b.ID, where, b.Key, b.Size, tx.s.box.Seal("blob.sha256", b.ID, b.SHA256), b.KID, b.WrappedDEK, msec(tx.now)); err != nil {
		return err
	}
	if where == "file" {
		return nil
	}
	_, err := tx.exec(`INSERT INTO blob_inline (id, data) VALUES ($1, $2)`, b.ID, b.Inline)
	return err
}

const blobColumns = `b.id, b.key, b.size, b.sha256, b.kid, b.dek`

func (tx *Tx) readBlob(scan scanner) (b Blob, err error) {
	var sum []byte
	if err := scan(&b.ID, &b.Key, &b.Size, &sum, &b.KID, &b.WrappedDEK, &b.Inline); err != nil {
		return b, err
	}
	b.SHA256, err = tx.s.box.Open("blob.sha256", b.ID, sum)
	return b, err
}

// Blob reads a live body's row. ErrNotFound.
func (tx *Tx) Blob(id string) (Blob, error) {
	return first(tx, tx.readBlob, `SELECT `+blobColumns+`, i.data FROM blob b LEFT JOIN blob_inline i ON i.id = b.id
		WHERE b.id = $1 AND b.state = 'live'`, id)
}

// KillBlob marks a body dead; its bytes go later. Killing twice is harmless.
func (tx *Tx) KillBlob(id string) error {
	_, err := tx.exec(`UPDATE blob SET state = 'dead', dead_at = $2 WHERE id = $1 AND state = 'live'`, id, msec(tx.now))
	return err
}
