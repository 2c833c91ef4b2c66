package mailbox

import (
	"errors"
	"strconv"
	"strings"

	"carepost/internal/queue"
	"carepost/internal/store"
)

// KindDrop is the kind of work that lays a mail into a folder outside the installation; package drop does it.
const KindDrop = "drop"

// Folders outside the installation that an account may have.
const (
	Maildir = "maildir"
	Studies = "studies"
)

// Drop is one thing to lay down: the Ref of work of KindDrop.
type Drop struct {
	Account, Mailbox string
	UID              uint32
	Into             string // Maildir or Studies
}

func (d Drop) String() string {
	return d.Account + "/" + d.Mailbox + "/" + strconv.FormatUint(uint64(d.UID), 10) + "/" + d.Into
}

// ParseDrop reads what String writes.
func ParseDrop(ref string) (d Drop, err error) {
	parts := strings.Split(ref, "/")
	if len(parts) == 4 {
		var uid uint64
		uid, err = strconv.ParseUint(parts[2], 10, 32)
		d = Drop{Account: parts[0], Mailbox: parts[1], UID: uint32(uid), Into: parts[3]}
	}
	if err != nil || d.Into != Maildir && d.Into != Studies || d.Account == "" || d.Mailbox == "" {
		return Drop{}, errors.New("mailbox: work that names no mail")
	}
	return d, nil
}

// drop puts work on the queue for each folder that the account's holder wants m in, in the transaction that shows m.
func drop(tx *store.Tx, a store.Account, m store.Mail) error {
	for into, dir := range map[string]string{Maildir: a.Drops.Maildir, Studies: a.Drops.Studies} {
		if dir == "" {
			continue
		}
		ref := Drop{Account: a.ID, Mailbox: m.Mailbox, UID: m.UID, Into: into}.String()
		if err := tx.InsertWork(&store.Work{Kind: KindDrop, Ref: ref, Lane: queue.Lane(m.Size), Unique: KindDrop + ":" + ref}); err != nil {
			return err
		}
	}
	return nil
}
