package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// holds says how many entries the head in a file stands for.
func holds(t *testing.T, l *Log, file string) int64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	k, err := l.signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := OpenHead(string(text), k.public)
	if err != nil {
		t.Fatal(err)
	}
	return h.Size
}

// ATT-33: who has the database alone puts an older log, or another, in its place. The keeper sees it, and keeps the head that proves it.
func TestKeeper(t *testing.T) {
	t.Parallel()
	e := sqliteEngine(t)
	l := newLog(t, e.Store)
	file := filepath.Join(t.TempDir(), "north.head")
	k := l.NewKeeper(file)
	keep := func() {
		t.Helper()
		if err := k.Keep(t.Context()); err != nil || k.Err() != nil {
			t.Fatal(err)
		}
	}
	keep()
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a head of a log that has not begun: %v", err)
	}
	for _, n := range []int{3, 1, 300} {
		write(t, e.Store, n)
		seal(t, l)
		keep()
		keep()
	}
	if n := holds(t, l, file); n != 304 {
		t.Fatalf("head of %d", n)
	}
	// Another node, whose head is ahead of what this one wrote.
	write(t, e.Store, 1)
	seal(t, l)
	if err := l.NewKeeper(file).Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	keep()
	for _, table := range copied {
		e.sql(t, fmt.Sprintf("CREATE TABLE copy_%s AS SELECT * FROM %[1]s", table))
	}
	write(t, e.Store, 2)
	seal(t, l)
	keep()
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, l *Log) {
		t.Helper()
		k := l.NewKeeper(file) // of a gateway that was started again
		if err := k.Keep(t.Context()); !errors.Is(err, ErrKept) || !errors.Is(k.Err(), ErrKept) {
			t.Errorf("%s: %v", what, err)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(was) {
			t.Errorf("%s: the file is %q, %v", what, now, err)
		}
	}
	for _, table := range copied {
		e.sql(t, fmt.Sprintf("DELETE FROM %s; INSERT INTO %[1]s SELECT * FROM copy_%[1]s", table))
	}
	refused("rolled back", l)
	if err := k.Keep(t.Context()); !errors.Is(err, ErrKept) {
		t.Errorf("rolled back while it runs: %v", err)
	}
	write(t, e.Store, 5)
	seal(t, l)
	refused("rolled back, and gone on", l)

	// All that tells of the log is taken out of the database with one entry: a gateway that starts then begins another log, in which nothing is wrong.
	e.sql(t, `DELETE FROM audit WHERE seq = 7; UPDATE audit SET seq = NULL; DELETE FROM audit_head; DELETE FROM audit_tile; DELETE FROM setting WHERE k = 'audit.key'`)
	refused("begun anew, and not sealed", newLog(t, e.Store))
	l = newLog(t, e.Store)
	seal(t, l)
	if v := verify(t, e.Store, VerifyOptions{}); len(v.Findings) != 0 || v.Entries != 309 { // the database alone cannot tell
		t.Errorf("begun anew: %+v", v)
	}
	if v := verify(t, e.Store, VerifyOptions{Heads: []string{string(was)}}); len(v.Findings) != 1 {
		t.Errorf("begun anew, against the head: %+v", v.Findings)
	}
	refused("begun anew", l)

	if err := os.WriteFile(file, nil, 0o600); err != nil { // as it is made beforehand
		t.Fatal(err)
	}
	if err := l.NewKeeper(file).Keep(t.Context()); err != nil || holds(t, l, file) != 309 {
		t.Errorf("an empty file: %v", err)
	}
	was = []byte("the letters of somebody")
	if err := os.WriteFile(file, was, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("another file", l)
	if err := l.NewKeeper(filepath.Join(t.TempDir(), "no", "file")).Keep(t.Context()); err == nil || errors.Is(err, ErrKept) {
		t.Errorf("no folder: %v", err)
	}
}

// A tree that is changed so that it makes the kept head and the last one proves nothing.
func TestKeeperBadTree(t *testing.T) {
	t.Parallel()
	e := sqliteEngine(t)
	l := newLog(t, e.Store)
	k := l.NewKeeper(filepath.Join(t.TempDir(), "head"))
	write(t, e.Store, 10)
	seal(t, l)
	if err := k.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, e.Store, 300)
	seal(t, l)
	e.sql(t, `UPDATE audit_tile SET hashes = zeroblob(8192) WHERE level = 0 AND n = 0`) // beneath the right edge, which alone the sealer reads
	if err := k.Keep(t.Context()); err == nil {
		t.Error("kept")
	}
	if n := holds(t, l, k.file); n != 10 {
		t.Errorf("head of %d", n)
	}
}
