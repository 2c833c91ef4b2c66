package audit

import (
	"fmt"

	"carepost/internal/store"
)

// eraseAction is the action of the entry that says who erased the detail of another.
const eraseAction = "audit.erase"

// Erase takes the detail out of the entry with this id, for good, and writes who did it. What is in clear and the entry's place in the log stay,
// and verify. store.ErrNotFound; store.ErrConflict for an entry of the first form, which would not verify without its detail.
func Erase(tx *store.Tx, by Actor, id string) error {
	if err := tx.EraseAudit(id); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return Write(tx, Entry{Actor: by, Action: eraseAction, Object: "entry:" + id})
}

// asWritten says whether a record is what was written, or lacks its detail by an act in the log.
func asWritten(tx *store.Tx, r Record) (bool, error) {
	if r.State == Erased {
		return erasureTold(tx, r.ID)
	}
	return r.State == Whole, nil
}

// erasureTold says whether an entry tells of the erasure of another's detail.
func erasureTold(tx *store.Tx, id string) (bool, error) {
	rows, err := tx.Audits(store.AuditFilter{Action: eraseAction, Object: "entry:" + id, Limit: 1})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	return read(rows[0]).State != Broken, nil
}
