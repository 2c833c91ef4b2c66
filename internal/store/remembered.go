package store

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"carepost/addr"
)

// maxRemembered certificates of one address are kept: those that signed last.
const maxRemembered = 4

// Remembered is a certificate that signed mail brought to one of our domains, and that was trusted when it came.
type Remembered struct {
	DER    []byte    `json:"der"`
	Signed time.Time `json:"signed"`
}

// remembered finds the row of a partner's address; id is empty where there is none.
func (tx *Tx) remembered(d addr.Domain, partner addr.Address) (id string, list []Remembered, err error) {
	var sealed []byte
	err = tx.one(`SELECT id, detail FROM remembered WHERE whose_hash = $1`, []any{tx.knownBy(d, partner)}, &id, &sealed)
	if isNone(err) {
		return "", nil, nil
	}
	if err == nil {
		err = tx.openJSON("remembered.detail", id, sealed, &list)
	}
	return id, list, err
}

func (tx *Tx) knownBy(d addr.Domain, partner addr.Address) []byte {
	return tx.hash("remembered", d.String()+"\n"+partner.Key())
}

// Remember keeps a certificate of a partner's address for one of our domains; of four or more the one that signed least lately goes.
func (tx *Tx) Remember(d addr.Domain, partner addr.Address, r Remembered) error {
	whose, fresh := tx.knownBy(d, partner), tx.NewID()
	none, err := tx.sealJSON("remembered.detail", fresh, []Remembered{})
	if err != nil {
		return err
	}
	// The row is made and held first: of two messages at a time (PostgreSQL) the second adds to what the first has written.
	if _, err := tx.exec(`INSERT INTO remembered (id, whose_hash, detail) VALUES ($1, $2, $3) ON CONFLICT (whose_hash) DO NOTHING`, fresh, whose, none); err != nil {
		return err
	}
	if _, err := tx.exec(`UPDATE remembered SET whose_hash = whose_hash WHERE whose_hash = $1`, whose); err != nil {
		return err
	}
	id, list, err := tx.remembered(d, partner)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(x Remembered) bool { return bytes.Equal(x.DER, r.DER) })
	switch {
	case i >= 0 && !list[i].Signed.Before(r.Signed):
		return nil
	case i >= 0:
		list[i] = r
	default:
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b Remembered) int { return cmp.Compare(b.Signed.UnixMilli(), a.Signed.UnixMilli()) })
	detail, err := tx.sealJSON("remembered.detail", id, list[:min(len(list), maxRemembered)])
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE remembered SET detail = $1 WHERE id = $2`, detail, id)
	return err
}

// Remembered lists the certificates kept of a partner's address, the one that signed last first.
func (tx *Tx) Remembered(d addr.Domain, partner addr.Address) ([]Remembered, error) {
	_, list, err := tx.remembered(d, partner)
	return list, err
}
