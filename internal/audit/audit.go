// Package audit writes who did what to which thing, in the transaction that does it: what cannot be written does not happen.
//
// Every entry has one canonical form, and its row carries the SHA-256 of it beside the sealed detail. A Merkle log can be laid over
// the digests later (RFC 9162 leaves), and stays provable when the key of a detail has been destroyed: the canonical form holds a
// random salt, so that a digest shown to others confirms no guess.
package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
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

// sealed is what the detail column holds.
type sealed struct {
	Salt   []byte            `json:"salt"`
	Detail map[string]string `json:"detail,omitempty"`
}

// Write adds e in tx. An entry without actor, action or object, or with an address in one of them, is an error.
func Write(tx *store.Tx, e Entry) error {
	for _, s := range []string{string(e.Actor), e.Action, e.Object} {
		if s == "" || strings.ContainsAny(s, "@\n") {
			return errors.New("audit: an entry needs actor, action and object, none of them an address")
		}
	}
	detail := sealed{Salt: make([]byte, 16), Detail: e.Detail}
	rand.Read(detail.Salt)
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	row := store.Audit{ID: tx.NewID(), At: tx.Now().Truncate(time.Millisecond), Actor: string(e.Actor), Action: e.Action, Object: e.Object, Detail: text}
	sum := sha256.Sum256(canonical(row))
	row.Digest = sum[:]
	if err := tx.InsertAudit(row); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// canonical is the form that the digest covers: a JSON array of the version, the columns in this order, time in milliseconds, and the
// text of the detail as it was sealed (its map is written in the order of its keys).
func canonical(a store.Audit) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode([]any{1, a.ID, a.At.UnixMilli(), a.Node, a.Actor, a.Action, a.Object, string(a.Detail)}); err != nil {
		panic(err) // texts and numbers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// List reads records, oldest first. ErrDigest if one is not what was written.
func List(tx *store.Tx, f Filter) ([]Record, error) {
	rows, err := tx.Audits(store.AuditFilter{Actor: string(f.Actor), Action: f.Action, Object: f.Object,
		Since: f.Since, Until: f.Until, After: f.After, Limit: f.Limit})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	list := make([]Record, 0, len(rows))
	for _, row := range rows {
		var detail sealed
		sum := sha256.Sum256(canonical(row))
		if !bytes.Equal(sum[:], row.Digest) || json.Unmarshal(row.Detail, &detail) != nil {
			return nil, fmt.Errorf("%w: %s", ErrDigest, row.ID)
		}
		list = append(list, Record{
			Entry: Entry{Actor: Actor(row.Actor), Action: row.Action, Object: row.Object, Detail: detail.Detail},
			ID:    row.ID, At: row.At, Node: row.Node, Digest: row.Digest,
		})
	}
	return list, nil
}
