package store

// KeptBlob is Blob for a body that may be dead already, whose bytes are there until it is swept. ErrNotFound once it is gone.
func (tx *Tx) KeptBlob(id string) (Blob, error) {
	return first(tx, tx.readBlob, `SELECT `+blobColumns+`, i.data FROM blob b LEFT JOIN blob_inline i ON i.id = b.id
		WHERE b.id = $1 AND b.state <> 'gone'`, id)
}
