package store

import (
	"time"

	"carepost/addr"
)

// Pin is a certificate that an owner believes for exactly one address (Direct 4.2.3), because somebody has vouched for it.
type Pin struct {
	ID      string // made by PutPin when empty
	Owner   Owner
	Address addr.Address // of the partner
	DER     []byte       // sealed: it names its owner
	Source  string       // where the certificate came from, for people
	Vouched string       // who has compared the fingerprint, and how; in words
	By      string       // the operator who wrote it down
	Added   time.Time
}

// pinDetail is the sealed part.
type pinDetail struct {
	Address addr.Address `json:"address"`
	DER     []byte       `json:"der"`
	Source  string       `json:"source,omitempty"`
	Vouched string       `json:"vouched,omitempty"`
	By      string       `json:"by,omitempty"`
}

func (tx *Tx) pinned(o Owner, a addr.Address) []byte {
	of := o.Domain.String()
	if !o.Address.IsZero() {
		of = o.Address.Key()
	}
	return tx.hash("pin", of+"\n"+a.Key())
}

// PutPin adds p, in the place of the one that the owner had for that address.
func (tx *Tx) PutPin(p *Pin) error {
	if p.ID == "" {
		p.ID = tx.NewID()
	}
	if p.Added.IsZero() {
		p.Added = tx.now
	}
	detail, err := tx.sealJSON("pin.detail", p.ID, pinDetail{p.Address, p.DER, p.Source, p.Vouched, p.By})
	if err != nil {
		return err
	}
	whose := tx.pinned(p.Owner, p.Address)
	if _, err := tx.exec(`DELETE FROM pin WHERE whose_hash = $1`, whose); err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO pin (id, owner_hash, owner, whose_hash, detail, added_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		p.ID, tx.ownerHash(p.Owner), tx.seal("pin.owner", p.ID, p.Owner.name()), whose, detail, msec(p.Added))
	return err
}

func (tx *Tx) readPin(scan scanner) (p Pin, err error) {
	var owner, sealed []byte
	var added int64
	if err := scan(&p.ID, &owner, &sealed, &added); err != nil {
		return p, err
	}
	p.Added = when(added)
	if p.Owner, err = tx.openOwner("pin.owner", p.ID, owner); err != nil {
		return p, err
	}
	var d pinDetail
	err = tx.openJSON("pin.detail", p.ID, sealed, &d)
	p.Address, p.DER, p.Source, p.Vouched, p.By = d.Address, d.DER, d.Source, d.Vouched, d.By
	return p, err
}

const pinColumns = `id, owner, detail, added_at`

// Pins lists those of exactly this owner.
func (tx *Tx) Pins(o Owner) ([]Pin, error) {
	return all(tx, tx.readPin, `SELECT `+pinColumns+` FROM pin WHERE owner_hash = $1 ORDER BY id`, tx.ownerHash(o))
}

// AllPins lists those of all owners.
func (tx *Tx) AllPins() ([]Pin, error) {
	return all(tx, tx.readPin, `SELECT `+pinColumns+` FROM pin ORDER BY id`)
}

// RemovePin takes one away. ErrNotFound.
func (tx *Tx) RemovePin(id string) error {
	n, err := tx.exec(`DELETE FROM pin WHERE id = $1`, id)
	return changed(n, err, ErrNotFound)
}
