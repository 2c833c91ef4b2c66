package store

import (
	"time"

	"carepost/addr"
)

// Domain is a Health Domain that this installation serves.
type Domain struct {
	Name    addr.Domain
	Created time.Time
}

// InsertDomain adds one. *Duplicate.
func (tx *Tx) InsertDomain(name addr.Domain) error {
	return tx.insert(`INSERT INTO domain (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`,
		[]any{name.String(), msec(tx.now)}, `SELECT name FROM domain WHERE name = $1`, name.String())
}

func readDomain(scan scanner) (d Domain, err error) {
	var created int64
	err = scan(&d.Name, &created)
	d.Created = when(created)
	return d, err
}

// Domain reads one. ErrNotFound: it is not ours.
func (tx *Tx) Domain(name addr.Domain) (Domain, error) {
	return first(tx, readDomain, `SELECT name, created_at FROM domain WHERE name = $1`, name.String())
}

// Domains lists all, oldest first.
func (tx *Tx) Domains() ([]Domain, error) {
	return all(tx, readDomain, `SELECT name, created_at FROM domain ORDER BY created_at, name`)
}
