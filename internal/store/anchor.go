package store

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"carepost/internal/transit"
)

// Anchor is a certificate trusted by an owner, for mail of one direction.
type Anchor struct {
	ID         string // made by InsertAnchor when empty
	Owner      Owner
	Direction  transit.Direction // Inbound: whose signatures are believed. Outbound: who may be sent to
	DER        []byte
	Source     string // where it came from, for people
	Added      time.Time
	Evaluation *Evaluation // nil: nobody has said how its keeper issues certificates
	Bundle     string      // name of the bundle that it is of; empty: somebody added it by itself
}

// Evaluation is what somebody found who looked at how certificates are issued: how persons are identified, who holds the keys
// (Direct 6.1, DIR-59).
type Evaluation struct {
	Assured  string    `json:"assured"`            // in words
	Policies []string  `json:"policies,omitempty"` // their object identifiers
	By       string    `json:"by,omitempty"`       // a role, as given
	At       time.Time `json:"at"`
	Review   time.Time `json:"review,omitzero"`  // when it is to be looked at again; zero: never said
	Warned   int       `json:"warned,omitempty"` // the step of warning that was told last
}

func (tx *Tx) sealEvaluation(column, row string, e *Evaluation) (any, error) {
	if e == nil {
		return nil, nil
	}
	return tx.sealJSON(column, row, e)
}

// InsertAnchor adds a. *Duplicate if the owner trusts it already in that direction.
func (tx *Tx) InsertAnchor(a *Anchor) error {
	if a.ID == "" {
		a.ID = tx.NewID()
	}
	if a.Added.IsZero() {
		a.Added = tx.now
	}
	owner, fp := tx.ownerHash(a.Owner), sha256.Sum256(a.DER)
	evaluation, err := tx.sealEvaluation("anchor.evaluation", a.ID, a.Evaluation)
	if err != nil {
		return err
	}
	return tx.insert(`INSERT INTO anchor (id, owner_hash, owner, dir, fp, der, source, added_at, evaluation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (owner_hash, dir, fp) DO NOTHING`,
		[]any{a.ID, owner, tx.seal("anchor.owner", a.ID, a.Owner.name()), int64(a.Direction), fp[:], a.DER, a.Source, msec(a.Added), evaluation},
		`SELECT id FROM anchor WHERE owner_hash = $1 AND dir = $2 AND fp = $3`, owner, int64(a.Direction), fp[:])
}

const anchorColumns = `id, owner, dir, der, source, added_at, evaluation`

func (tx *Tx) readAnchor(scan scanner) (a Anchor, err error) {
	var owner, evaluation []byte
	var added int64
	if err := scan(&a.ID, &owner, &a.Direction, &a.DER, &a.Source, &added, &evaluation); err != nil {
		return a, err
	}
	a.Added = when(added)
	if evaluation != nil {
		a.Evaluation = new(Evaluation)
		if err := tx.openJSON("anchor.evaluation", a.ID, evaluation, a.Evaluation); err != nil {
			return a, err
		}
	}
	a.Owner, err = tx.openOwner("anchor.owner", a.ID, owner)
	return a, err
}

// Anchors lists what exactly this owner trusts: what was added by itself, then what its bundles bring.
func (tx *Tx) Anchors(o Owner, d transit.Direction) ([]Anchor, error) {
	own, err := all(tx, tx.readAnchor, `SELECT `+anchorColumns+` FROM anchor WHERE owner_hash = $1 AND dir = $2 ORDER BY id`, tx.ownerHash(o), int64(d))
	if err != nil {
		return nil, err
	}
	brought, err := all(tx, func(scan scanner) (a Anchor, err error) {
		var id string
		var fp []byte
		var added int64
		err = scan(&id, &a.Bundle, &fp, &a.DER, &added)
		a.ID, a.Owner, a.Direction, a.Source, a.Added = id+"-"+hex.EncodeToString(fp), o, d, "bundle "+a.Bundle, when(added)
		return a, err
	}, `SELECT b.id, b.name, a.fp, a.der, a.added_at FROM bundle b JOIN bundle_anchor a ON a.bundle = b.id
		WHERE b.owner_hash = $1 AND (b.dir = 0 OR b.dir = $2) ORDER BY b.id, a.fp`, tx.ownerHash(o), int64(d))
	return append(own, brought...), err
}

// EvaluatedAnchors lists the anchors of all owners that somebody has said something about.
func (tx *Tx) EvaluatedAnchors() ([]Anchor, error) {
	return all(tx, tx.readAnchor, `SELECT `+anchorColumns+` FROM anchor WHERE evaluation IS NOT NULL ORDER BY id`)
}

// EvaluateAnchor says e of an anchor, in the place of what was said before. ErrNotFound.
func (tx *Tx) EvaluateAnchor(id string, e *Evaluation) error {
	evaluation, err := tx.sealEvaluation("anchor.evaluation", id, e)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE anchor SET evaluation = $2 WHERE id = $1`, id, evaluation)
	return changed(n, err, ErrNotFound)
}

// RemoveAnchor takes trust away. ErrNotFound.
func (tx *Tx) RemoveAnchor(id string) error {
	n, err := tx.exec(`DELETE FROM anchor WHERE id = $1`, id)
	return changed(n, err, ErrNotFound)
}
