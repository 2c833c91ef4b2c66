package store

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"carepost/internal/vault"
)

// Audit is the row of one audit entry; package audit makes and reads them.
type Audit struct {
	ID     string
	At     time.Time
	Node   string
	Actor  string
	Action string
	Object string
	Detail []byte // sealed in the row; nil: erased
	Sum    []byte // SHA-256 of Detail, which stays when that is erased; nil in entries of the first form
	Digest []byte // SHA-256 of the entry's canonical form: what the log holds
	Seq    int64  // place in the log, from 1; 0: none yet
	Closed bool   // Detail was changed, and does not open; nor does it when its key was destroyed, but then it counts as erased
}

// AuditFilter chooses entries; zero fields choose all.
type AuditFilter struct {
	Actor, Action, Object string
	Since, Until          time.Time // [Since, Until)
	After                 string    // id: entries after it
	Limit                 int       // default 100
	Latest                bool      // of more than Limit, the last ones
}

// InsertAudit adds a row.
func (tx *Tx) InsertAudit(a Audit) error {
	_, err := tx.exec(`INSERT INTO audit (id, at, node, actor, action, obj, detail, detail_sum, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		a.ID, msec(a.At), a.Node, a.Actor, a.Action, a.Object, tx.s.box.Seal("audit.detail", a.ID, a.Detail), a.Sum, a.Digest)
	return err
}

const auditColumns = `id, at, node, actor, action, obj, detail, detail_sum, digest, COALESCE(seq, 0)`

// audits runs a query for entries. A detail that does not open is no error: it is for the log's reader to say so.
func (tx *Tx) audits(text string, args ...any) ([]Audit, error) {
	list, err := all(tx, func(scan scanner) (a Audit, err error) {
		var at int64
		err = scan(&a.ID, &at, &a.Node, &a.Actor, &a.Action, &a.Object, &a.Detail, &a.Sum, &a.Digest, &a.Seq)
		a.At = when(at)
		return a, err
	}, text, args...)
	if err != nil {
		return nil, err
	}
	for i := range list {
		a := &list[i]
		detail, err := tx.s.box.Open("audit.detail", a.ID, a.Detail)
		if err != nil && tx.s.unknownKey(err) { // or of a key that was destroyed: the keys are read once more to know
			if err := tx.refresh(); err != nil {
				return nil, err
			}
			detail, err = tx.s.box.Open("audit.detail", a.ID, a.Detail)
		}
		a.Detail, a.Closed = detail, err != nil && !errors.Is(err, vault.ErrNoKey)
	}
	return list, nil
}

// Audits lists rows, oldest first.
func (tx *Tx) Audits(f AuditFilter) ([]Audit, error) {
	text := `SELECT ` + auditColumns + ` FROM audit WHERE id > $1`
	args := []any{f.After}
	add := func(condition string, arg any) {
		args = append(args, arg)
		text += " AND " + condition + " $" + strconv.Itoa(len(args))
	}
	if f.Actor != "" {
		add("actor =", f.Actor)
	}
	if f.Action != "" {
		add("action =", f.Action)
	}
	if f.Object != "" {
		add("obj =", f.Object)
	}
	if !f.Since.IsZero() {
		add("at >=", msec(f.Since))
	}
	if !f.Until.IsZero() {
		add("at <", msec(f.Until))
	}
	args = append(args, int64(cmp.Or(f.Limit, 100)))
	if !f.Latest {
		return tx.audits(text+" ORDER BY id LIMIT $"+strconv.Itoa(len(args)), args...)
	}
	list, err := tx.audits(text+" ORDER BY id DESC LIMIT $"+strconv.Itoa(len(args)), args...)
	slices.Reverse(list)
	return list, err
}
