package store

import "time"

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
func (tx *Tx) InsertAudit(a Audit) error { panic("unimplemented") }

// Audits lists rows, oldest first.
func (tx *Tx) Audits(f AuditFilter) ([]Audit, error) { panic("unimplemented") }
