package store

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"carepost/addr"
)

// AuditHead is a signed head of the audit log.
type AuditHead struct {
	Size int64 // entries it stands for
	At   time.Time
	Note string
}

// LockAudit has transactions that lengthen the audit log go one after the other, on all nodes.
func (tx *Tx) LockAudit() error { return tx.lock("audit.log") }

// LockShown has transactions that show mail to the same person go one after the other, on all nodes: each sees what those before it have shown.
// Who needs several locks takes them in one order.
func (tx *Tx) LockShown(to addr.Address) error {
	return tx.lock("shown:" + hex.EncodeToString(tx.s.Box().Hash("shown", to.Key())))
}

// lock waits until no other transaction holds the lock of this name, where several write at once.
func (tx *Tx) lock(name string) error {
	if tx.s.dialect.lock == "" {
		return nil
	}
	_, err := tx.exec(tx.s.dialect.lock, name)
	return err
}

// AuditWaits says whether an entry waits for its place in the log.
func (tx *Tx) AuditWaits() (bool, error) {
	var id string
	err := tx.one(`SELECT id FROM audit WHERE seq IS NULL ORDER BY id LIMIT 1`, nil, &id)
	if isNone(err) {
		return false, nil
	}
	return err == nil, err
}

// WaitingAudits counts the entries without a place in the log and tells when the oldest was written.
func (tx *Tx) WaitingAudits() (n int64, oldest time.Time, err error) {
	var at int64
	err = tx.one(`SELECT COUNT(*), COALESCE(MIN(at), 0) FROM audit WHERE seq IS NULL`, nil, &n, &at)
	return n, when(at), err
}

// AuditsToPlace lists entries without a place in the log, in the order of their ids, those after the given one.
func (tx *Tx) AuditsToPlace(after string, limit int) ([]Audit, error) {
	return tx.audits(`SELECT `+auditColumns+` FROM audit WHERE seq IS NULL AND id > $1 ORDER BY id LIMIT $2`, after, int64(limit))
}

// AuditsAfter lists entries in the order of the log, those behind place seq.
func (tx *Tx) AuditsAfter(seq int64, limit int) ([]Audit, error) {
	return tx.audits(`SELECT `+auditColumns+` FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, int64(limit))
}

// AuditByID reads one entry. ErrNotFound.
func (tx *Tx) AuditByID(id string) (Audit, error) {
	list, err := tx.audits(`SELECT `+auditColumns+` FROM audit WHERE id = $1`, id)
	if err != nil || len(list) == 0 {
		return Audit{}, cmp.Or(err, ErrNotFound)
	}
	return list[0], nil
}

// PlaceAudits gives the entries their places in the log, from the given one on. ErrConflict if one of them has a place already.
func (tx *Tx) PlaceAudits(ids []string, from int64) error {
	const chunk = 50 // always as many: one text to prepare
	var text strings.Builder
	text.WriteString(`UPDATE audit SET seq = v.seq FROM (SELECT CAST($1 AS TEXT) AS id, CAST($2 AS BIGINT) AS seq`)
	for i := 1; i < chunk; i++ {
		fmt.Fprintf(&text, ` UNION ALL SELECT CAST($%d AS TEXT), CAST($%d AS BIGINT)`, 2*i+1, 2*i+2)
	}
	text.WriteString(`) v WHERE audit.id = v.id AND audit.seq IS NULL`)
	for len(ids) > 0 {
		some := ids[:min(chunk, len(ids))]
		ids = ids[len(some):]
		args := make([]any, 0, 2*chunk)
		for i := range chunk {
			id := "" // no entry's
			if i < len(some) {
				id = some[i]
			}
			args = append(args, id, from+int64(i))
		}
		n, err := tx.exec(text.String(), args...)
		if err != nil {
			return err
		}
		if n != int64(len(some)) {
			return ErrConflict
		}
		from += n
	}
	return nil
}

// EraseAudit takes the detail out of an entry; what is in clear, and its place in the log, stay. ErrConflict for an entry of the first form,
// which could not be verified without. ErrNotFound.
func (tx *Tx) EraseAudit(id string) error {
	a, err := tx.AuditByID(id)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE audit SET detail = NULL WHERE id = $1 AND detail_sum IS NOT NULL`, a.ID)
	return changed(n, err, ErrConflict)
}

// AuditTile reads a tile of the tree; none when there is none.
func (tx *Tx) AuditTile(level int, n int64) (hashes []byte, err error) {
	err = tx.one(`SELECT hashes FROM audit_tile WHERE level = $1 AND n = $2`, []any{int64(level), n}, &hashes)
	if isNone(err) {
		return nil, nil
	}
	return hashes, err
}

// PutAuditTile writes a tile over what was there.
func (tx *Tx) PutAuditTile(level int, n int64, hashes []byte) error {
	_, err := tx.exec(`INSERT INTO audit_tile (level, n, hashes) VALUES ($1, $2, $3) ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes`,
		int64(level), n, hashes)
	return err
}

// InsertAuditHead adds a head. ErrDuplicate if there is one of that size.
func (tx *Tx) InsertAuditHead(h AuditHead) error {
	n, err := tx.exec(`INSERT INTO audit_head (size, at, note) VALUES ($1, $2, $3) ON CONFLICT (size) DO NOTHING`, h.Size, msec(h.At), h.Note)
	return changed(n, err, ErrDuplicate)
}

// DeleteAuditHead removes a head that a later one has replaced.
func (tx *Tx) DeleteAuditHead(size int64) error {
	_, err := tx.exec(`DELETE FROM audit_head WHERE size = $1`, size)
	return err
}

func readHead(scan scanner) (h AuditHead, err error) {
	var at int64
	err = scan(&h.Size, &at, &h.Note)
	h.At = when(at)
	return h, err
}

// LastAuditHead reads the head of the longest log. ErrNotFound.
func (tx *Tx) LastAuditHead() (AuditHead, error) {
	return first(tx, readHead, `SELECT size, at, note FROM audit_head ORDER BY size DESC LIMIT 1`)
}

// AuditHeads lists heads, shortest log first, those after that size.
func (tx *Tx) AuditHeads(after int64, limit int) ([]AuditHead, error) {
	return all(tx, readHead, `SELECT size, at, note FROM audit_head WHERE size > $1 ORDER BY size LIMIT $2`, after, int64(limit))
}

// PlacedAudits counts the entries that have a place in the log, up to that one.
func (tx *Tx) PlacedAudits(upTo int64) (n int64, err error) {
	err = tx.one(`SELECT COUNT(*) FROM audit WHERE seq <= $1`, []any{upTo}, &n)
	return n, err
}
