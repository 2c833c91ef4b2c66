package store

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"carepost/internal/vault"
)

// The life of a body: live (InsertBlob), dead (KillBlob: nobody reads it, its bytes are there), gone (SweepBlob: its bytes and its data key
// are erased; the row stays, for messages refer to it).

// maxAge is how long after its name was made a body in a file may get its row. A file without a row is removed when it is twice as old,
// so that nothing can get a row whose file is being removed.
const maxAge = 12 * time.Hour

// minted tells when the name of a body in a file was made: its last part is a ULID.
func minted(key string) (time.Time, error) {
	at, ok := vault.IDTime(path.Base(key))
	if !ok {
		return at, errors.New("store: the name of a body does not tell its time")
	}
	return at, nil
}

// DeadBlobs lists bodies that were killed before that time, longest dead first, without their bytes.
func (tx *Tx) DeadBlobs(before time.Time, limit int) ([]Blob, error) {
	return all(tx, tx.readBlob, `SELECT `+blobColumns+`, NULL FROM blob b WHERE state = 'dead' AND dead_at < $1 ORDER BY dead_at, id LIMIT $2`,
		msec(before), int64(limit))
}

// SweepBlob erases a dead body for good: its data key, its digest, and its bytes where they are in the row. A file is the caller's to remove,
// before or after. Sweeping twice is harmless. ErrConflict if it is live; ErrNotFound.
func (tx *Tx) SweepBlob(id string) error {
	n, err := tx.exec(`UPDATE blob SET state = 'gone', kid = '', dek = $2, sha256 = $2 WHERE id = $1 AND state <> 'live'`, id, []byte{})
	if err != nil {
		return err
	}
	if n == 0 {
		var there string
		if err := tx.one(`SELECT id FROM blob WHERE id = $1`, []any{id}, &there); err != nil {
			return err
		}
		return ErrConflict
	}
	_, err = tx.exec(`DELETE FROM blob_inline WHERE id = $1`, id)
	return err
}

// KnownKeys tells which of these names belong to a body that is not gone.
func (tx *Tx) KnownKeys(keys []string) (map[string]bool, error) {
	known := make(map[string]bool)
	const chunk = 50
	for len(keys) > 0 {
		some := keys[:min(chunk, len(keys))]
		keys = keys[len(some):]
		args := make([]any, chunk) // always as many: one text to prepare
		var list strings.Builder
		for i := range args {
			args[i] = some[min(i, len(some)-1)]
			fmt.Fprintf(&list, ", $%d", i+1)
		}
		found, err := all(tx, func(scan scanner) (key string, err error) {
			err = scan(&key)
			return key, err
		}, `SELECT key FROM blob WHERE key IN (`+list.String()[2:]+`) AND key <> '' AND state <> 'gone'`, args...)
		if err != nil {
			return nil, err
		}
		for _, key := range found {
			known[key] = true
		}
	}
	return known, nil
}

// LiveBlobs lists live bodies in the order of their ids, those after the given one, at most limit. Small ones come with their bytes.
func (tx *Tx) LiveBlobs(after string, limit int) ([]Blob, error) {
	return all(tx, tx.readBlob, `SELECT `+blobColumns+`, i.data FROM blob b LEFT JOIN blob_inline i ON i.id = b.id
		WHERE b.id > $1 AND b.state = 'live' ORDER BY b.id LIMIT $2`, after, int64(limit))
}

// UnreferredBlobs lists live bodies, made before that time, that no message, delivery, mail or object of an intake refers to. Such a body comes of a mistake of
// ours only: bodies get their row in the transaction that refers to them.
func (tx *Tx) UnreferredBlobs(before time.Time, limit int) ([]string, error) {
	return all(tx, func(scan scanner) (id string, err error) {
		err = scan(&id)
		return id, err
	}, `SELECT b.id FROM blob b WHERE b.state = 'live' AND b.created_at < $1 AND `+unreferred+` ORDER BY b.id LIMIT $2`, msec(before), int64(limit))
}

const unreferred = `NOT EXISTS (SELECT 1 FROM mail WHERE blob = b.id) AND NOT EXISTS (SELECT 1 FROM message WHERE blob_work = b.id)
	AND NOT EXISTS (SELECT 1 FROM delivery WHERE blob = b.id) AND NOT EXISTS (SELECT 1 FROM message WHERE blob_raw = b.id)
	AND NOT EXISTS (SELECT 1 FROM intake_object WHERE blob = b.id)`

// KillUnreferred is KillBlob for a body that nothing refers to now; else it does nothing, and done is false.
func (tx *Tx) KillUnreferred(id string) (done bool, err error) {
	n, err := tx.exec(`UPDATE blob AS b SET state = 'dead', dead_at = $2 WHERE b.id = $1 AND b.state = 'live' AND `+unreferred, id, msec(tx.now))
	return n > 0, err
}

// BlobMails counts the mails that have this body: those in mailboxes, and those that wait to be released into one.
func (tx *Tx) BlobMails(id string) (n int64, err error) {
	err = tx.one(`SELECT (SELECT COUNT(*) FROM mail WHERE blob = $1) + (SELECT COUNT(*) FROM held WHERE blob = $1 AND state = 'held')`, []any{id}, &n)
	return n, err
}

// RemoveMail takes one out of its mailbox and returns what it was. Its body is left to the caller. ErrNotFound.
func (tx *Tx) RemoveMail(mailbox string, uid uint32) (Mail, error) {
	m, err := tx.Mail(mailbox, uid)
	if err != nil {
		return m, err
	}
	n, err := tx.exec(`DELETE FROM mail WHERE mailbox = $1 AND uid = $2`, mailbox, int64(uid))
	if err := changed(n, err, ErrNotFound); err != nil {
		return m, err
	}
	_, err = tx.exec(`UPDATE mailbox SET modseq = modseq + 1 WHERE id = $1`, mailbox)
	return m, err
}
