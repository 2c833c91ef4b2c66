package store_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// An operator cancels a commit that waits for a standby: the server says COMMIT with a warning, and the store must not call it done.
func TestCommitThatIsCancelled(t *testing.T) {
	dsn := storetest.Postgres(t)
	psql := func(text string) string { t.Helper(); return storetest.SQL(t, dsn, text) }
	s := open(t, store.Options{DSN: dsn, KEK: storetest.Keeper(t)})
	insert := func() error {
		after := false
		err := s.Tx(context.WithoutCancel(t.Context()), func(tx *store.Tx) error {
			tx.AfterCommit(func() { after = true })
			return tx.InsertWork(&store.Work{Kind: "k"})
		})
		if after != (err == nil) {
			t.Errorf("AfterCommit called: %v, though %v", after, err)
		}
		return err
	}
	if err := insert(); err != nil {
		t.Fatal(err)
	}
	psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody';\nSELECT pg_reload_conf();")
	const waiting = "FROM pg_stat_activity WHERE application_name = 'carepost' AND wait_event = 'SyncRep'"
	promised, result := 1, make(chan error, 1)
	go func() { result <- insert() }()
	for deadline := time.Now().Add(30 * time.Second); psql("SELECT COUNT(*) "+waiting) != "1"; {
		select {
		case err := <-result: // the server does not heed the setting yet
			if err != nil {
				t.Fatal(err)
			}
			promised++
			go func() { result <- insert() }()
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the commit does not wait")
		}
	}
	psql("SET synchronous_commit = local;\nSELECT pg_cancel_backend(pid) " + waiting)
	if err := <-result; err == nil {
		t.Error("promised what is on the primary alone")
	} else if !strings.Contains(err.Error(), "in doubt") {
		t.Errorf("error %v", err)
	}
	psql("ALTER SYSTEM RESET synchronous_standby_names;\nSELECT pg_reload_conf();")
	for deadline := time.Now().Add(30 * time.Second); psql("SHOW synchronous_standby_names") != ""; {
		if time.Now().After(deadline) {
			t.Fatal("the setting stays")
		}
	}
	if err := insert(); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if n := psql("SELECT COUNT(*) FROM work"); n != strconv.Itoa(promised+2) {
		t.Errorf("%s rows, %d promised before the one in doubt and the next", n, promised)
	}
}
