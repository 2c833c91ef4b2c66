package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// engine is a store whose rows somebody changes behind its back.
type engine struct {
	*store.Store
	sql func(t *testing.T, text string) string
	hex string // how the engine writes bytes
}

// python is Debian's, whose module sqlite3 knows STRICT tables.
const python = "/usr/bin/python3"

func sqliteEngine(t *testing.T) engine {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: storetest.Keeper(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return engine{s, func(t *testing.T, text string) string {
		t.Helper()
		c := exec.Command(python, "-c", `import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
db.executescript("BEGIN;" + sys.stdin.read() + ";COMMIT;")`, filepath.Join(dir, "carepost.db"))
		c.Stdin = strings.NewReader(text)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("python3: %v\n%s", err, out)
		}
		return string(out)
	}, `x'%x'`}
}

func postgresEngine(t *testing.T, server, schema string) engine {
	dsn := server + " search_path=" + schema
	storetest.Schema(t, dsn)
	s, err := store.Open(t.Context(), store.Options{DSN: dsn, KEK: storetest.Keeper(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return engine{s, func(t *testing.T, text string) string {
		t.Helper()
		return storetest.SQL(t, dsn, "BEGIN;SET CONSTRAINTS ALL DEFERRED;"+text+";COMMIT;")
	}, `'\x%x'`}
}

func verify(t testing.TB, s *store.Store, o VerifyOptions) Verified {
	t.Helper()
	v, err := newLog(t, s).Verify(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// attack changes the rows and tells what must be found.
type attack struct {
	name string
	sql  string
	want []Finding
}

// Whoever has the database, but not the key-encryption key, changes nothing that is not found.
func attacks(t *testing.T, e engine, ids []string) []attack {
	entry := func(seq int64) string { return ids[seq-1] }
	forged := forge(t, e, ids[6])
	return []attack{
		{"actor", `UPDATE audit SET actor = 'operator:0' WHERE seq = 7`, []Finding{{What: Altered, Seq: 7, Entry: entry(7)}}},
		{"time", `UPDATE audit SET at = at - 1 WHERE seq = 1`, []Finding{{What: Altered, Seq: 1, Entry: entry(1)}}},
		{"digest", `UPDATE audit SET digest = (SELECT digest FROM audit WHERE seq = 8) WHERE seq = 7`, []Finding{{What: Altered, Seq: 7, Entry: entry(7)}}},
		{"detail of another", `UPDATE audit SET detail = (SELECT detail FROM audit WHERE seq = 8) WHERE seq = 7`, []Finding{{What: Altered, Seq: 7, Entry: entry(7)}}},
		{"detail gone", `UPDATE audit SET detail = NULL WHERE seq = 7`, []Finding{{What: Stripped, Seq: 7, Entry: entry(7)}}},
		{"all that needs no key", forged, []Finding{{What: BadTree, Seq: 1}, {What: Altered, Seq: 7, Entry: entry(7)}, {What: Differs, Seq: 1, To: 300}}},
		{"with the detail gone", forged + `;UPDATE audit SET detail = NULL WHERE seq = 7`,
			[]Finding{{What: BadTree, Seq: 1}, {What: Stripped, Seq: 7, Entry: entry(7)}, {What: Differs, Seq: 1, To: 300}}},
		{"removed", `DELETE FROM audit WHERE seq BETWEEN 4 AND 5`, []Finding{{What: Removed, Seq: 4, To: 5}}},
		{"first removed", `DELETE FROM audit WHERE seq = 1`, []Finding{{What: Removed, Seq: 1, To: 1}}},
		{"end removed", `DELETE FROM audit WHERE seq > 290`, []Finding{{What: Removed, Seq: 291, To: 300}}},
		{"removed and closed up", `DELETE FROM audit WHERE seq = 299; UPDATE audit SET seq = 299 WHERE seq = 300`,
			[]Finding{{What: Displaced, Seq: 299, Entry: entry(300)}, {What: Removed, Seq: 300, To: 300}}},
		{"order", `UPDATE audit SET seq = 9999 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 9999`,
			[]Finding{{What: Displaced, Seq: 3, Entry: entry(4)}, {What: Displaced, Seq: 4, Entry: entry(3)}}},
		{"inserted behind", insertSQL("301"), []Finding{{What: Inserted, Seq: 301, Entry: "x"}}},
		{"inserted beside", insertSQL("-5"), []Finding{{What: Inserted, Seq: -5, Entry: "x"}}},
		{"inserted to be sealed", insertSQL("NULL"), []Finding{{What: Altered, Entry: "x"}}},
		{"two in one place", `DROP INDEX audit_seq;` + insertSQL("7"), nil},
		{"taken out to be sealed anew", `UPDATE audit SET seq = NULL WHERE seq = 300`, []Finding{{What: Removed, Seq: 300, To: 300}}},
		{"head", `UPDATE audit_head SET note = replace(note, 'at 2', 'at 3') WHERE size = 300`, []Finding{{What: BadHead, Seq: 300}}},
		{"no heads", `DELETE FROM audit_head`, []Finding{{What: BadHead}, {What: Inserted, Seq: 1, Entry: entry(1)}}},
		{"key", `UPDATE setting SET v = (SELECT wrapped FROM privkey LIMIT 1) WHERE k = 'audit.key'`, []Finding{{What: BadKey}}},
		{"tile", `UPDATE audit_tile SET hashes = (SELECT hashes FROM audit_tile WHERE level = 0 AND n = 1) WHERE level = 0 AND n = 0`, []Finding{{What: BadTree, Seq: 1}}},
		{"right edge", `UPDATE audit_tile SET hashes = (SELECT hashes FROM audit_tile WHERE level = 1) WHERE level = 0 AND n = 1`, []Finding{{What: BadTree, Seq: 1}}},
	}
}

func insertSQL(seq string) string {
	return `INSERT INTO audit (id, at, node, actor, action, obj, detail, detail_sum, digest, seq)
		SELECT 'x', at, node, actor, action, obj, detail, detail_sum, digest, ` + seq + ` FROM audit WHERE seq = 7`
}

// forge gives the entry in place 7 another actor, and makes everything anew that needs no key: digest and hashes.
func forge(t *testing.T, e engine, id string) string {
	var text string
	if err := e.View(t.Context(), func(tx *store.Tx) error {
		a, err := tx.AuditByID(id)
		if err != nil {
			return err
		}
		a.Actor = "operator:0"
		digest := sha256.Sum256(canonical(a))
		tile, err := tx.AuditTile(0, 0)
		if err != nil {
			return err
		}
		leaf := tlog.RecordHash(digest[:])
		copy(tile[6*tlog.HashSize:], leaf[:])
		root := tileRoot(tile)
		text = fmt.Sprintf(`UPDATE audit SET actor = 'operator:0', digest = `+e.hex+` WHERE seq = 7; UPDATE audit_tile SET hashes = `+e.hex+` WHERE level = 0 AND n = 0;
			UPDATE audit_tile SET hashes = `+e.hex+` WHERE level = 1`, digest, tile, root[:])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text
}

// ATT-33, DIR-30, DIR-44: the database is changed behind the gateway's back.
func TestSQLite(t *testing.T) {
	t.Run("Attacks", func(t *testing.T) { t.Parallel(); verifyAttacks(t, sqliteEngine(t)) })
	t.Run("Rollback", func(t *testing.T) { t.Parallel(); verifyRollback(t, sqliteEngine(t)) })
	t.Run("Together", func(t *testing.T) { t.Parallel(); sealTogether(t, sqliteEngine(t)) })
}

// ATT-33, on the other engine.
func TestPostgres(t *testing.T) {
	server := storetest.Postgres(t)
	t.Run("Attacks", func(t *testing.T) { t.Parallel(); verifyAttacks(t, postgresEngine(t, server, "attacks")) })
	t.Run("Rollback", func(t *testing.T) { t.Parallel(); verifyRollback(t, postgresEngine(t, server, "rollback")) })
	t.Run("Together", func(t *testing.T) { t.Parallel(); sealTogether(t, postgresEngine(t, server, "together")) })
}

var copied = []string{"audit", "audit_tile", "audit_head", "setting"}

func verifyAttacks(t *testing.T, e engine) {
	l := newLog(t, e.Store)
	for _, n := range []int{10, 290} { // more than one tile
		write(t, e.Store, n)
		seal(t, l)
	}
	var ids []string
	for _, r := range after(t, e.Store, 0) {
		ids = append(ids, r.ID)
	}
	if v := verify(t, e.Store, VerifyOptions{}); len(v.Findings) != 0 || v.Entries != 300 || v.Heads == 0 || v.Waiting != 0 || v.Erased != 0 {
		t.Fatalf("before: %+v", v)
	}
	var undo strings.Builder
	for _, table := range copied {
		e.sql(t, fmt.Sprintf("CREATE TABLE copy_%s AS SELECT * FROM %[1]s", table))
		fmt.Fprintf(&undo, "DELETE FROM %s; INSERT INTO %[1]s SELECT * FROM copy_%[1]s;", table)
	}
	undone := ""
	for _, a := range attacks(t, e, ids) {
		e.sql(t, undone+a.sql)
		v := verify(t, e.Store, VerifyOptions{})
		if len(v.Findings) == 0 || a.want != nil && !reflect.DeepEqual(v.Findings, a.want) { // of two in one place either may be the one
			t.Errorf("%s: found %+v, want %+v", a.name, v.Findings, a.want)
		}
		undone = undo.String()
		if strings.HasPrefix(a.sql, "DROP INDEX") {
			undone += "CREATE UNIQUE INDEX audit_seq ON audit (seq) WHERE seq IS NOT NULL;"
		}
	}
	e.sql(t, undone)
	if v := verify(t, e.Store, VerifyOptions{}); len(v.Findings) != 0 {
		t.Fatalf("after: %+v", v)
	}
}

// ATT-33: a sealer does not lengthen what is not what it sealed.
func TestSealRefuses(t *testing.T) {
	t.Parallel()
	e := sqliteEngine(t)
	l := newLog(t, e.Store)
	write(t, e.Store, 3)
	seal(t, l)
	for _, bad := range []string{
		`UPDATE audit_tile SET hashes = zeroblob(96)`, `DELETE FROM audit_tile`, `DELETE FROM audit_head WHERE size > 0`, `DELETE FROM audit_head`,
		`UPDATE audit_head SET note = replace(note, 'at 2', 'at 3') WHERE size > 0`,
	} {
		e.sql(t, `CREATE TABLE IF NOT EXISTS keep_tile AS SELECT * FROM audit_tile; CREATE TABLE IF NOT EXISTS keep_head AS SELECT * FROM audit_head`)
		e.sql(t, bad)
		write(t, e.Store, 1)
		if n, err := l.Seal(t.Context()); err == nil {
			t.Errorf("%s: sealed %d", bad, n)
		}
		e.sql(t, `DELETE FROM audit_tile; INSERT INTO audit_tile SELECT * FROM keep_tile; DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM keep_head`)
	}
	seal(t, l)
	if v := verify(t, e.Store, VerifyOptions{}); len(v.Findings) != 0 || v.Entries != 8 {
		t.Errorf("at last: %+v", v)
	}
}

// A head that was kept elsewhere tells of a database that was put back, also when it has gone on since.
func verifyRollback(t *testing.T, e engine) {
	l := newLog(t, e.Store)
	write(t, e.Store, 5)
	seal(t, l)
	early := lastHead(t, e.Store).Note
	for _, table := range copied {
		e.sql(t, fmt.Sprintf("CREATE TABLE copy_%s AS SELECT * FROM %[1]s", table))
	}
	write(t, e.Store, 5)
	seal(t, l)
	late := lastHead(t, e.Store).Note
	key := verify(t, e.Store, VerifyOptions{Heads: []string{early, late}}).Key
	if v := verify(t, e.Store, VerifyOptions{Heads: []string{late, early}, Key: key}); v.Kept != 2 || len(v.Findings) != 0 {
		t.Fatalf("before: %+v", v)
	}
	for _, table := range copied {
		e.sql(t, fmt.Sprintf("DELETE FROM %s; INSERT INTO %[1]s SELECT * FROM copy_%[1]s", table))
	}
	if v := verify(t, e.Store, VerifyOptions{}); len(v.Findings) != 0 { // the database alone cannot tell
		t.Errorf("alone: %+v", v.Findings)
	}
	check := func(want ...Finding) {
		t.Helper()
		v := verify(t, e.Store, VerifyOptions{Heads: []string{early, late}, Key: key})
		if !reflect.DeepEqual(v.Findings, want) || v.Kept != 1 {
			t.Errorf("found %+v, want %+v", v, want)
		}
	}
	check(Finding{What: Shorter, Seq: 6, To: 10, Kept: true})
	write(t, e.Store, 20)
	seal(t, l)
	check(Finding{What: Differs, Seq: 6, To: 10, Kept: true})

	other := newLog(t, storetest.SQLite(t))
	write(t, other.o.Store, 1)
	seal(t, other)
	foreign := verify(t, other.o.Store, VerifyOptions{}).Key
	v := verify(t, e.Store, VerifyOptions{Key: foreign, Heads: []string{lastHead(t, other.o.Store).Note, "", "x\n1\n", early + "x"}})
	if want := []Finding{{What: BadKey, Kept: true}, {What: BadHead, Kept: true}, {What: BadHead, Kept: true}, {What: BadHead, Kept: true}, {What: BadHead, Kept: true}}; !reflect.DeepEqual(v.Findings, want) {
		t.Errorf("of others: %+v", v.Findings)
	}
}

// What is erased verifies, and an erasure without its entry is found.
func TestErase(t *testing.T) {
	t.Parallel()
	e := sqliteEngine(t)
	l := newLog(t, e.Store)
	write(t, e.Store, 3)
	seal(t, l)
	id := after(t, e.Store, 0)[1].ID
	if err := e.Tx(t.Context(), func(tx *store.Tx) error { return Erase(tx, "operator:0", id) }); err != nil {
		t.Fatal(err)
	}
	if err := e.Tx(t.Context(), func(tx *store.Tx) error { return Erase(tx, "operator:0", "none") }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	seal(t, l)
	list := after(t, e.Store, 0)
	if r := list[1]; r.State != Erased || r.Detail != nil || r.Actor != "flow" || list[3].Action != "audit.erase" || list[3].Object != "entry:"+id {
		t.Errorf("erased: %+v", list)
	}
	if v := verify(t, e.Store, VerifyOptions{}); v.Erased != 1 || len(v.Findings) != 0 || v.Entries != 4 {
		t.Errorf("found %+v", v)
	}
	e.sql(t, `UPDATE audit SET actor = 'x' WHERE seq = 2`) // what stays in clear is proven still
	if v := verify(t, e.Store, VerifyOptions{}); !reflect.DeepEqual(v.Findings, []Finding{{What: Altered, Seq: 2, Entry: id}}) {
		t.Errorf("found %+v", v)
	}
}

// A log that has not begun is empty; one of an earlier program is sealed as it stands.
func TestVerifyBeginning(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	if v := verify(t, s, VerifyOptions{}); len(v.Findings) != 0 || v.Entries != 0 {
		t.Errorf("empty: %+v", v)
	}
	if v := verify(t, s, VerifyOptions{Heads: []string{"x"}}); len(v.Findings) != 1 {
		t.Errorf("begun anew: %+v", v)
	}
	if err := s.Tx(t.Context(), func(tx *store.Tx) error {
		a := store.Audit{ID: tx.NewID(), At: storetest.Time("2026-11-21T10:00:00Z"), Actor: "flow", Action: "a", Object: "o", Detail: []byte(`{"salt":"AA==","detail":{"a":"b"}}`)}
		sum := sha256.Sum256(canonical(a))
		a.Digest = sum[:]
		return tx.InsertAudit(a)
	}); err != nil {
		t.Fatal(err)
	}
	if v := verify(t, s, VerifyOptions{}); v.Waiting != 1 || v.Since.IsZero() || len(v.Findings) != 0 {
		t.Errorf("waiting: %+v", v)
	}
	seal(t, newLog(t, s))
	if v := verify(t, s, VerifyOptions{}); v.Entries != 1 || len(v.Findings) != 0 {
		t.Errorf("of the first form: %+v", v)
	}
	if r := after(t, s, 0)[0]; r.State != Whole || r.Detail["a"] != "b" {
		t.Errorf("of the first form: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newLog(t, s).Verify(ctx, VerifyOptions{}); err == nil {
		t.Error("verified without time")
	}
}

// Nodes that seal together make one log.
func sealTogether(t *testing.T, e engine) {
	done := make(chan error)
	logs := []*Log{newLog(t, e.Store), newLog(t, e.Store), newLog(t, e.Store)}
	for _, l := range logs {
		l.o.Keys = keyring.New(e.Store)
		go func() {
			var err error
			for range 15 {
				write(t, e.Store, 3)
				_, bad := l.Seal(context.Background())
				err = errors.Join(err, bad)
			}
			done <- err
		}()
	}
	for range logs {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	seal(t, logs[0])
	if v := verify(t, e.Store, VerifyOptions{}); v.Entries != 135 || len(v.Findings) != 0 || v.Waiting != 0 {
		t.Errorf("found %+v", v)
	}
}
