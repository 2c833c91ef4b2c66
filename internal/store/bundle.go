package store

import (
	"crypto/sha256"
	"time"

	"carepost/internal/transit"
)

// Bundle is a set of anchors of one owner that comes from elsewhere.
type Bundle struct {
	ID        string // made by InsertBundle when empty
	Name      string // *Duplicate where there is one of that name
	Owner     Owner
	Direction transit.Direction // 0: both
	Created   time.Time
	Detail    BundleDetail // sealed
}

// BundleDetail is where a bundle comes from, and what came last.
type BundleDetail struct {
	URL        string        `json:"url"`
	Every      time.Duration `json:"every,omitempty"`   // 0: by hand alone
	Signers    [][]byte      `json:"signers,omitempty"` // DER: one of them must have signed it; none: it need not be signed
	Shrink     int           `json:"shrink,omitempty"`  // percent of its anchors that may go at once
	Evaluation *Evaluation   `json:"evaluation,omitempty"`

	Sum      []byte    `json:"sum,omitempty"`   // SHA-256 of the body that was taken last
	Signed   time.Time `json:"signed,omitzero"` // when, as its signer says, where it has to be signed
	Metadata string    `json:"metadata,omitempty"`
	Taken    time.Time `json:"taken,omitzero"` // when its anchors were replaced last
	Seen     time.Time `json:"seen,omitzero"`  // when it was last found to be good
	Tried    time.Time `json:"tried,omitzero"`
	Next     time.Time `json:"next,omitzero"`   // due
	Alarm    string    `json:"alarm,omitempty"` // why what came last was not taken; empty: it was
	Failures int       `json:"failures,omitempty"`
}

// InsertBundle adds b, without anchors. *Duplicate.
func (tx *Tx) InsertBundle(b *Bundle) error {
	if b.ID == "" {
		b.ID = tx.NewID()
	}
	if b.Created.IsZero() {
		b.Created = tx.now
	}
	detail, err := tx.sealJSON("bundle.detail", b.ID, b.Detail)
	if err != nil {
		return err
	}
	return tx.insert(`INSERT INTO bundle (id, name, owner_hash, owner, dir, detail, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (name) DO NOTHING`,
		[]any{b.ID, b.Name, tx.ownerHash(b.Owner), tx.seal("bundle.owner", b.ID, b.Owner.name()), int64(b.Direction), detail, msec(b.Created)},
		`SELECT id FROM bundle WHERE name = $1`, b.Name)
}

const bundleColumns = `id, name, owner, dir, detail, created_at`

func (tx *Tx) readBundle(scan scanner) (b Bundle, err error) {
	var owner, detail []byte
	var created int64
	if err := scan(&b.ID, &b.Name, &owner, &b.Direction, &detail, &created); err != nil {
		return b, err
	}
	b.Created = when(created)
	if b.Owner, err = tx.openOwner("bundle.owner", b.ID, owner); err != nil {
		return b, err
	}
	return b, tx.openJSON("bundle.detail", b.ID, detail, &b.Detail)
}

// Bundles lists all of them, by name.
func (tx *Tx) Bundles() ([]Bundle, error) {
	return all(tx, tx.readBundle, `SELECT `+bundleColumns+` FROM bundle ORDER BY name`)
}

// Bundle reads one by its name. ErrNotFound.
func (tx *Tx) Bundle(name string) (Bundle, error) {
	return first(tx, tx.readBundle, `SELECT `+bundleColumns+` FROM bundle WHERE name = $1`, name)
}

// SetBundle changes the detail of a bundle. ErrNotFound.
func (tx *Tx) SetBundle(id string, d BundleDetail) error {
	detail, err := tx.sealJSON("bundle.detail", id, d)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE bundle SET detail = $2 WHERE id = $1`, id, detail)
	return changed(n, err, ErrNotFound)
}

// BundleAnchors are the certificates of a bundle, DER.
func (tx *Tx) BundleAnchors(id string) ([][]byte, error) {
	return all(tx, func(scan scanner) (der []byte, err error) { return der, scan(&der) },
		`SELECT der FROM bundle_anchor WHERE bundle = $1 ORDER BY fp`, id)
}

// AddBundleAnchor adds a certificate to a bundle; one that is there stays.
func (tx *Tx) AddBundleAnchor(id string, der []byte) error {
	fp := sha256.Sum256(der)
	_, err := tx.exec(`INSERT INTO bundle_anchor (bundle, fp, der, added_at) VALUES ($1, $2, $3, $4) ON CONFLICT (bundle, fp) DO NOTHING`,
		id, fp[:], der, msec(tx.now))
	return err
}

// DropBundleAnchor takes a certificate out of a bundle.
func (tx *Tx) DropBundleAnchor(id string, der []byte) error {
	fp := sha256.Sum256(der)
	_, err := tx.exec(`DELETE FROM bundle_anchor WHERE bundle = $1 AND fp = $2`, id, fp[:])
	return err
}

// RemoveBundle takes a bundle away, with its anchors. ErrNotFound.
func (tx *Tx) RemoveBundle(id string) error {
	if _, err := tx.exec(`DELETE FROM bundle_anchor WHERE bundle = $1`, id); err != nil {
		return err
	}
	n, err := tx.exec(`DELETE FROM bundle WHERE id = $1`, id)
	return changed(n, err, ErrNotFound)
}
