// Package audit writes who did what to which thing, in the transaction that does it: what cannot be written does not happen.
//
// Every entry has one canonical form and carries its SHA-256, so that a Merkle log can be laid over the entries later, and verified
// even after details have been erased.
package audit

import (
	"time"

	"carepost/internal/store"
)

// Actor is who acts: a room ("flow", "smtpd") or a kind and an id ("account:01J…"). Never an address.
type Actor string

// Entry is one thing done.
type Entry struct {
	Actor  Actor
	Action string            // verb of ours: "message.accept", "recipient.refuse"
	Object string            // kind and id: "message:01J…". Never an address
	Detail map[string]string // sealed
}

// Record is an entry as it was written.
type Record struct {
	Entry
	ID     string
	At     time.Time
	Node   string
	Digest []byte // SHA-256 of the canonical form
}

// Filter chooses records; zero fields choose all.
type Filter struct {
	Actor          Actor
	Action, Object string
	Since, Until   time.Time // [Since, Until)
	After          string    // id: records after it
	Limit          int       // default 100
}

// Write adds e in tx.
func Write(tx *store.Tx, e Entry) error { panic("unimplemented") }

// List reads records, oldest first. A record whose digest does not fit is an error.
func List(tx *store.Tx, f Filter) ([]Record, error) { panic("unimplemented") }
