package mailbox

import (
	"errors"
	"slices"

	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
)

// KindHandOver is the kind of work that gives the study in a mail to a PACS; package handover does it. Its Ref is the id of a store.Handover.
const KindHandOver = "handover"

// Out is a destination outside for the studies of some accounts.
type Out struct {
	Name string
	For  rule.Who // accounts

	// Quietly says that the notice of the final delivery, where a sender asks for it, does not wait for the study to be handed over.
	Quietly bool
}

// handOver puts m on its way to each destination that its account's studies go to, in the transaction that shows m. Whether there is a
// study in it is seen later.
func (s *Service) handOver(tx *store.Tx, a store.Account, m store.Mail) error {
	for _, o := range s.Outs {
		if !o.For.Has(a.Address) {
			continue
		}
		h := store.Handover{Account: a.ID, Mailbox: m.Mailbox, UID: m.UID, Message: m.Message, Target: o.Name}
		if err := tx.InsertHandover(&h); err != nil {
			return err
		}
		if err := InsertHandOver(tx, h, m.Size); err != nil {
			return err
		}
	}
	return nil
}

// InsertHandOver puts the work of a row on the queue, for a mail of size bytes. *store.Duplicate where it is there.
func InsertHandOver(tx *store.Tx, h store.Handover, size int64) error {
	return tx.InsertWork(&store.Work{Kind: KindHandOver, Ref: h.ID, Lane: queue.Lane(size), Dest: h.Target, Unique: KindHandOver + ":" + h.ID})
}

// handed says how far the study of a mail is on its way to those destinations that the sender's notice waits for.
func (s *Service) handed(tx *store.Tx, m store.Mail) (Laying, error) {
	rows, err := tx.HandoversOf(m.Mailbox, m.UID)
	all := Laid
	for _, h := range rows {
		i := slices.IndexFunc(s.Outs, func(o Out) bool { return o.Name == h.Target })
		switch {
		case i >= 0 && s.Outs[i].Quietly:
		case h.State == store.HandoverFailed:
			return NeverLaid, nil
		case h.State == store.HandoverWaiting:
			works, err := tx.WorkOf(h.ID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return NotLaid, err
			}
			if len(works) == 0 { // the operator took it off the queue
				return NeverLaid, nil
			}
			all = NotLaid
		}
	}
	return all, err
}
