package store

import "time"

// RetireCert ends the use of a certificate of our own: its row is valid until just before at, so that nobody signs with it from then
// on and nobody publishes it. It stays, with its key, to decrypt (Direct 1.4). A row that ends earlier stays as it is. ErrNotFound.
func (tx *Tx) RetireCert(id string, at time.Time) error {
	n, err := tx.exec(`UPDATE cert SET not_after = CASE WHEN not_after < $2 THEN not_after ELSE $2 END WHERE id = $1`, id, msec(at)-1)
	return changed(n, err, ErrNotFound)
}
