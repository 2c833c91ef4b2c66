package mailbox

import (
	"sync"
	"testing"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// Two people who delete the last two mails of one body at the same time do not each leave it to the other: on PostgreSQL neither sees what
// the other has not committed.
func TestDeleteTogether(t *testing.T) {
	s := openWith(t, store.Options{DSN: storetest.Postgres(t)})
	const bodies = 25
	var shared []store.Mail
	for range bodies {
		about := accepted(t, s)
		m := body(t, s)
		m.Message = about.ID
		tx(t, s, func(tx *store.Tx) error { return tx.SetMessageState(about.ID, about.Version, store.Closed, "") })
		for _, folder := range []string{Inbox, "Archive"} {
			tx(t, s, func(tx *store.Tx) error { return s.Deliver(tx, desk, folder, m) })
		}
		shared = append(shared, m)
	}
	inbox, archive := list(t, s, desk, Inbox), list(t, s, desk, "Archive")
	for i := range bodies {
		var both sync.WaitGroup
		for _, m := range []store.Mail{inbox[i], archive[i]} {
			both.Go(func() {
				if err := s.Delete(t.Context(), by, m); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	left := 0
	for _, m := range shared {
		if live(t, s, m.Blob) {
			left++
		}
	}
	if left > 0 {
		t.Errorf("%d bodies live on without a mail", left)
	}
}
