package store_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/vault"
)

func TestPostgresServer(t *testing.T) {
	dsn := storetest.Postgres(t)
	t.Run("CommitThatIsCancelled", func(t *testing.T) { commitThatIsCancelled(t, dsn+" search_path=cancelled") })
	t.Run("Settings", func(t *testing.T) { settings(t, dsn+" search_path=settings") })
}

// An operator cancels a commit that waits for a standby: the server says COMMIT with a warning, and the store must not call it done.
func commitThatIsCancelled(t *testing.T, dsn string) {
	storetest.Schema(t, dsn)
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

// A server that loses commits is refused; one whose standbys are not waited for is told of.
func settings(t *testing.T, dsn string) {
	storetest.Schema(t, dsn)
	kek := storetest.Keeper(t)
	s := open(t, store.Options{DSN: dsn, KEK: kek})
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
	if err := s.Snapshot(t.Context(), filepath.Join(t.TempDir(), "x")); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("snapshot: %v", err)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_receivewal")
	if err != nil || len(found) == 0 {
		t.Fatal("no pg_receivewal: install the package postgresql-client")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(dsn, "host="), " ")
	ctx, stop := context.WithCancel(t.Context())
	standby := exec.CommandContext(ctx, found[0], "-h", host, "-U", "carepost", "-D", t.TempDir())
	must(t, standby.Start())
	defer func() { stop(); standby.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); storetest.SQL(t, dsn, "SELECT COUNT(*) FROM pg_stat_replication") != "1"; {
		if time.Now().After(deadline) {
			t.Fatal("nobody takes the log")
		}
	}
	if w := open(t, store.Options{DSN: dsn, KEK: kek}).Warnings(); len(w) != 1 || !strings.Contains(w[0], "synchronous_standby_names") {
		t.Errorf("warnings: %v", w)
	}
	set := func(text, name, value string) {
		t.Helper()
		storetest.SQL(t, dsn, text+";\nSELECT pg_reload_conf();")
		for deadline := time.Now().Add(30 * time.Second); storetest.SQL(t, dsn, "SHOW "+name) != value; {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not become %s", name, value)
			}
		}
	}
	set("ALTER SYSTEM SET synchronous_commit = off", "synchronous_commit", "off")
	open(t, store.Options{DSN: dsn, KEK: kek}) // what the server's default is does not count: we ask for more
	for _, name := range []string{"fsync", "full_page_writes"} {
		set("ALTER SYSTEM SET "+name+" = off", name, "off")
		if _, err := store.Open(t.Context(), store.Options{DSN: dsn, KEK: kek}); err == nil || !strings.Contains(err.Error(), name+" is off") {
			t.Errorf("%s is off: %v", name, err)
		}
		open(t, store.Options{DSN: dsn, KEK: kek, Unsafe: true})
		set("ALTER SYSTEM RESET "+name, name, "on")
	}
}

// Two nodes: one makes a new store key, the other reads what is sealed with it at once, and seals with it soon. The old one is not deleted while
// a node may still use it.
func rotationBetweenNodes(t *testing.T, dsn string) {
	kek := storetest.Keeper(t)
	a, b := open(t, store.Options{DSN: dsn, KEK: kek}), open(t, store.Options{DSN: dsn, KEK: kek})
	set := func(s *store.Store, key, value string) {
		t.Helper()
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetSetting(key, []byte(value), 0) }))
	}
	get := func(s *store.Store, key, want string) {
		t.Helper()
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			v, _, err := tx.Setting(key)
			if err == nil && string(v) != want {
				t.Errorf("%s is %q, want %q", key, v, want)
			}
			return err
		}))
	}
	set(b, "one", "of b")
	get(a, "one", "of b")
	old := b.Box().KID()
	kid, err := a.RotateSealing(t.Context(), kek, nil)
	must(t, err)
	set(b, "two", "of b, by the old key")
	if b.Box().KID() != old {
		t.Fatal("b knows the new key before it has looked") // or the test shows nothing
	}
	set(a, "three", "of a, by the new key")
	get(b, "three", "of a, by the new key")
	if b.Box().KID() != kid {
		t.Error("b has met the new key and does not seal with it")
	}
	must(t, a.Reseal(t.Context(), nil))
	if keys, err := a.SealingKeys(t.Context()); err != nil || len(keys) != 3 {
		t.Errorf("a key was deleted that others may use: %v, %v", keys, err)
	}
	for _, s := range []*store.Store{a, b} {
		get(s, "one", "of b")
		get(s, "two", "of b, by the old key")
	}
	storetest.SQL(t, dsn, "UPDATE sealkey SET created_at = created_at - 7200000")
	must(t, b.Reseal(t.Context(), nil))
	if keys, err := b.SealingKeys(t.Context()); err != nil || len(keys) != 2 {
		t.Errorf("keys %v, %v", keys, err)
	}

	// A node whose KEK does not open the newest key does not write with what it has.
	next, err := vault.OpenKEK(filepath.Join(t.TempDir(), "kek"))
	must(t, err)
	must(t, a.RewrapKeys(t.Context(), next, nil))
	_, err = a.RotateSealing(t.Context(), next, nil)
	must(t, err)
	set(a, "four", "of a")
	if err := b.View(t.Context(), func(tx *store.Tx) error { _, _, err := tx.Setting("four"); return err }); !errors.Is(err, vault.ErrKEK) {
		t.Errorf("read by b: %v", err)
	}
	if err := b.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetSetting("five", nil, 0) }); !errors.Is(err, vault.ErrKEK) {
		t.Errorf("written by b: %v", err)
	}
}

// Many retry dead work whose duty others take up: one lives in the end.
func retryRace(t *testing.T, dsn string) {
	s := open(t, store.Options{DSN: dsn, KEK: storetest.Keeper(t)})
	claim := func(n int) (got []store.Work) {
		t.Helper()
		must(t, s.Tx(t.Context(), func(tx *store.Tx) (err error) {
			got, err = tx.ClaimWork(store.Claim{Kind: "k", Lane: store.Small, Owner: "me", TTL: time.Hour, Limit: n, Backoff: func(int64) time.Duration { return 0 }})
			return err
		}))
		return got
	}
	var dead []string
	for range 6 {
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertWork(&store.Work{Kind: "k", Unique: "duty"}) }))
		w := claim(1)[0]
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.BuryWork(w.ID, w.Epoch, "") }))
		dead = append(dead, w.ID)
	}
	var wg sync.WaitGroup
	for _, id := range dead {
		wg.Go(func() {
			err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.RetryWorkNow(id) })
			if err != nil && !errors.Is(err, store.ErrDuplicate) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := claim(10); len(got) != 1 {
		t.Errorf("%d live", len(got))
	}
}
