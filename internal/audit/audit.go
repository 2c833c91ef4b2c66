// Package audit writes who did what to which thing, in the transaction that does it: what cannot be written does not happen.
//
// Every entry has one canonical form, and its row carries the SHA-256 of it beside the sealed detail. The digests are the leaves of a Merkle
// tree (RFC 9162 §2.1, golang.org/x/mod/sumdb/tlog). A Log gives the entries their places in it, a moment after they were written: one order
// for all nodes, for a chain of hashes in the transactions themselves would have them wait for one another. It signs the head of the tree
// with a key of the installation (a checkpoint of c2sp.org/tlog-checkpoint). Whoever keeps a head elsewhere can tell later that the log still
// holds, unchanged and in that order, everything that it held then. The detail holds a random salt, so that a digest shown to others
// confirms no guess; it may be erased, and the entry verifies still.
//
// What a head does not cover is what was written in the last moment before. And a log cannot tell by itself that it was put in the place of
// another: who has the database alone puts an older one there, or takes out some entries together with the key's handle, the heads and the
// tiles, so that the rest is sealed anew; who has the key-encryption key too writes whatever he likes. A head kept elsewhere gives each of them
// away; a Keeper keeps it.
package audit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"carepost/internal/store"
)

// ErrDigest says that an entry is not what was written.
var ErrDigest = errors.New("audit: the entry does not fit its digest")

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
	Seq    int64 // place in the log, from 1; 0: none yet
	At     time.Time
	Node   string
	Digest []byte // SHA-256 of the canonical form: the leaf of the log
	Sum    []byte // of the detail; nil in entries of the first form
	State  State
}

// Filter chooses records; zero fields choose all.
type Filter struct {
	Actor          Actor
	Action, Object string
	Since, Until   time.Time // [Since, Until)
	After          string    // id: records after it
	Limit          int       // default 100
	Latest         bool      // of more than Limit, the last ones
}

// Write adds e in tx. An entry without actor, action or object, or with an address in one of them, is an error.
func Write(tx *store.Tx, e Entry) error {
	for _, s := range []string{string(e.Actor), e.Action, e.Object} {
		if s == "" || strings.ContainsAny(s, "@\n") {
			return errors.New("audit: an entry needs actor, action and object, none of them an address")
		}
	}
	row, err := e.row(store.Audit{ID: tx.NewID(), At: tx.Now().Truncate(time.Millisecond)})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := tx.InsertAudit(row); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// List is Find that believes nothing else: ErrDigest if a record is not what was written.
func List(tx *store.Tx, f Filter) ([]Record, error) {
	list, err := Find(tx, f)
	for _, r := range list {
		if r.State == Broken {
			return nil, fmt.Errorf("%w: %s", ErrDigest, r.ID)
		}
	}
	return list, err
}

// Find reads records in the order of their writing, also those that are Broken.
func Find(tx *store.Tx, f Filter) ([]Record, error) {
	rows, err := tx.Audits(store.AuditFilter{Actor: string(f.Actor), Action: f.Action, Object: f.Object,
		Since: f.Since, Until: f.Until, After: f.After, Limit: f.Limit, Latest: f.Latest})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	list := make([]Record, len(rows))
	for i, row := range rows {
		list[i] = read(row)
	}
	return list, nil
}

// After reads records in the order of the log, those behind place seq (0: from its beginning), at most limit; none when the log is no longer.
// It is for those who follow the log by a cursor of their own: an entry has its place within about a second, for ever, and no entry gets a place
// before one that has been read. A record that is not what was written comes as Broken, for a follower must get past it.
func After(tx *store.Tx, seq int64, limit int) ([]Record, error) {
	rows, err := tx.AuditsAfter(seq, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	list := make([]Record, len(rows))
	for i, row := range rows {
		list[i] = read(row)
	}
	return list, nil
}
