package store

import "time"

// KeyRequest is a key of our own that waits for its certificate.
type KeyRequest struct {
	ID      string // made by InsertKeyRequest when empty
	Owner   Owner
	Key     string // handle in the keyring
	Uses    string // both, sign, encrypt
	Kind    string // of key, and where it lies
	Created time.Time
}

// InsertKeyRequest adds r. *Duplicate if the owner waits for such a certificate already.
func (tx *Tx) InsertKeyRequest(r *KeyRequest) error {
	if r.ID == "" {
		r.ID = tx.NewID()
	}
	if r.Created.IsZero() {
		r.Created = tx.now
	}
	owner := tx.ownerHash(r.Owner)
	return tx.insert(`INSERT INTO keyrequest (id, owner_hash, owner, privkey, uses, kind, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (owner_hash, uses, kind) DO NOTHING`,
		[]any{r.ID, owner, tx.seal("keyrequest.owner", r.ID, r.Owner.name()), r.Key, r.Uses, r.Kind, msec(r.Created)},
		`SELECT id FROM keyrequest WHERE owner_hash = $1 AND uses = $2 AND kind = $3`, owner, r.Uses, r.Kind)
}

const keyRequestColumns = `id, owner, privkey, uses, kind, created_at`

func (tx *Tx) readKeyRequest(scan scanner) (r KeyRequest, err error) {
	var owner []byte
	var created int64
	if err := scan(&r.ID, &owner, &r.Key, &r.Uses, &r.Kind, &created); err != nil {
		return r, err
	}
	r.Created = when(created)
	r.Owner, err = tx.openOwner("keyrequest.owner", r.ID, owner)
	return r, err
}

// KeyRequests lists what exactly this owner waits for, newest first.
func (tx *Tx) KeyRequests(o Owner) ([]KeyRequest, error) {
	return all(tx, tx.readKeyRequest, `SELECT `+keyRequestColumns+` FROM keyrequest WHERE owner_hash = $1 ORDER BY id DESC`, tx.ownerHash(o))
}

// AllKeyRequests lists what everybody here waits for, oldest first.
func (tx *Tx) AllKeyRequests() ([]KeyRequest, error) {
	return all(tx, tx.readKeyRequest, `SELECT `+keyRequestColumns+` FROM keyrequest ORDER BY id`)
}

// AnswerKeyRequests ends the waiting of whoever waits for a certificate of this key.
func (tx *Tx) AnswerKeyRequests(key string) error {
	_, err := tx.exec(`DELETE FROM keyrequest WHERE privkey = $1`, key)
	return err
}

// DropKeyRequest ends the waiting, and deletes the key if no certificate is for it. ErrNotFound.
func (tx *Tx) DropKeyRequest(id string) error {
	r, err := first(tx, tx.readKeyRequest, `SELECT `+keyRequestColumns+` FROM keyrequest WHERE id = $1`, id)
	if err != nil {
		return err
	}
	n, err := tx.exec(`DELETE FROM keyrequest WHERE id = $1`, id)
	if err := changed(n, err, ErrNotFound); err != nil {
		return err
	}
	_, err = tx.exec(`DELETE FROM privkey WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM cert WHERE privkey = $1)
		AND NOT EXISTS (SELECT 1 FROM keyrequest WHERE privkey = $1)`, r.Key)
	return err
}
