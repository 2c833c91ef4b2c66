package store

import (
	"cmp"
	"strconv"
	"time"
)

// Audit is the row of one audit entry; package audit makes and reads them.
type Audit struct {
	ID     string
	At     time.Time
	Node   string
	Actor  string
	Action string
	Object string
	Detail []byte // sealed in the row
	Digest []byte // SHA-256 of the entry's canonical form: what the Merkle log will hold
}

// AuditFilter chooses entries; zero fields choose all.
type AuditFilter struct {
	Actor, Action, Object string
	Since, Until          time.Time // [Since, Until)
	After                 string    // id: entries after it
	Limit                 int       // default 100
}

// InsertAudit adds a row.
func (tx *Tx) InsertAudit(a Audit) error {
	_, err := tx.exec(`INSERT INTO audit (id, at, node, actor, action, obj, detail, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.ID, msec(a.At), a.Node, a.Actor, a.Action, a.Object, tx.s.box.Seal("audit.detail", a.ID, a.Detail), a.Digest)
	return err
}

// Audits lists rows, oldest first.
func (tx *Tx) Audits(f AuditFilter) ([]Audit, error) {
	text := `SELECT id, at, node, actor, action, obj, detail, digest FROM audit WHERE id > $1`
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
	return all(tx, func(scan scanner) (a Audit, err error) {
		var at int64
		var detail []byte
		if err := scan(&a.ID, &at, &a.Node, &a.Actor, &a.Action, &a.Object, &detail, &a.Digest); err != nil {
			return a, err
		}
		a.At = when(at)
		a.Detail, err = tx.s.box.Open("audit.detail", a.ID, detail)
		return a, err
	}, text+" ORDER BY id LIMIT $"+strconv.Itoa(len(args)), args...)
}
