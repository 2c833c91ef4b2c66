package store

import (
	"crypto/sha256"
	"time"
)

// Intermediate is a certificate given by hand for the way to an anchor (Direct 4.2.2), where its issuer's server has none. Nobody trusts it.
type Intermediate struct {
	DER    []byte
	Source string // where it came from, for people
	Added  time.Time
}

// PutIntermediate keeps i. One that is there already stays as it is, and added is false.
func (tx *Tx) PutIntermediate(i Intermediate) (added bool, err error) {
	fp := sha256.Sum256(i.DER)
	n, err := tx.exec(`INSERT INTO intermediate (fp, der, source, added_at) VALUES ($1, $2, $3, $4) ON CONFLICT (fp) DO NOTHING`,
		fp[:], i.DER, i.Source, msec(tx.now))
	return n > 0, err
}

// Intermediates lists all, oldest first.
func (tx *Tx) Intermediates() ([]Intermediate, error) {
	return all(tx, func(scan scanner) (i Intermediate, err error) {
		var added int64
		err = scan(&i.DER, &i.Source, &added)
		i.Added = when(added)
		return i, err
	}, `SELECT der, source, added_at FROM intermediate ORDER BY added_at, fp`)
}

// RemoveIntermediate forgets the one with that SHA-256. ErrNotFound.
func (tx *Tx) RemoveIntermediate(fp [32]byte) error {
	n, err := tx.exec(`DELETE FROM intermediate WHERE fp = $1`, fp[:])
	return changed(n, err, ErrNotFound)
}
