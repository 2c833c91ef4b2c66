package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/vault"
)

// sealerDir has this test's binary be a sealer that writes and seals in that folder until it is killed.
const sealerDir = "CAREPOST_TEST_SEALER"

func openAt(t *testing.T, dir string) *store.Store {
	t.Helper()
	kek, err := vault.OpenKEK(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: kek})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A sealer that dies at any moment loses no entry and gives no place twice: every head that anybody saw fits what stands afterwards.
func TestSealerKilled(t *testing.T) {
	if dir := os.Getenv(sealerDir); dir != "" {
		sealUntilKilled(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	var seen []string
	for i, heads := range []int{1, 4, 9} { // of each life: when so many were seen
		some := killedSealer(t, dir, heads)
		if seen = append(seen, some...); len(some) < heads {
			t.Fatalf("life %d: %d heads", i, len(some))
		}
		s := openAt(t, dir)
		before := verify(t, s, VerifyOptions{Heads: seen})
		seal(t, newLog(t, s))
		v := verify(t, s, VerifyOptions{Heads: seen})
		rs := after(t, s, 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if len(before.Findings) > 0 || len(v.Findings) > 0 || v.Kept != len(seen) || v.Waiting != 0 || int(v.Entries) != len(rs) {
			t.Errorf("life %d: %+v, then %+v with %d entries", i, before, v, len(rs))
		}
		ids := make(map[string]bool)
		for n, r := range rs {
			if r.Seq != int64(n)+1 || ids[r.ID] || r.State != Whole {
				t.Errorf("life %d: place %d: %+v", i, n+1, r)
			}
			ids[r.ID] = true
		}
	}
}

// sealUntilKilled tells each head as soon as it is durable.
func sealUntilKilled(t *testing.T, dir string) {
	s := openAt(t, dir)
	l := newLog(t, s)
	go func() {
		for {
			write(t, s, 7)
		}
	}()
	for size := int64(-1); ; {
		seal(t, l)
		h, err := l.Last(t.Context())
		if err == nil && h.Head.Size > size {
			size = h.Head.Size
			fmt.Printf("head %q\n", h.Note)
		}
	}
}

// killedSealer runs a sealer until it has told of so many heads, and some work beyond; it gives what was told.
func killedSealer(t *testing.T, dir string, heads int) (seen []string) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestSealerKilled$", "-test.timeout=2m")
	c.Env = append(os.Environ(), sealerDir+"="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint bytes.Buffer
	c.Stderr = &complaint
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var note string
		if n, _ := fmt.Sscanf(lines.Text(), "head %q", &note); n == 1 {
			if seen = append(seen, note); len(seen) == heads {
				_ = c.Process.Kill() // what it told until then is read on
			}
		}
	}
	_ = c.Wait()
	if s := c.ProcessState.String(); !strings.Contains(s, "killed") {
		t.Fatalf("the sealer: %s: %s", s, &complaint)
	}
	return seen
}

// An entry that loses its detail by an act before it has its place is no alarm; one that somebody stripped is.
func TestSealErased(t *testing.T) {
	t.Parallel()
	e := sqliteEngine(t)
	var said bytes.Buffer
	l, err := NewLog(LogOptions{Store: e.Store, Keys: keyring.New(e.Store), Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	write(t, e.Store, 2)
	var ids []string
	if err := e.Tx(t.Context(), func(tx *store.Tx) error {
		rs, err := Find(tx, Filter{})
		for _, r := range rs {
			ids = append(ids, r.ID)
		}
		if err != nil {
			return err
		}
		return Erase(tx, "operator:0", ids[0])
	}); err != nil {
		t.Fatal(err)
	}
	seal(t, l)
	if said.Len() > 0 {
		t.Errorf("said: %s", &said)
	}
	write(t, e.Store, 1)
	e.sql(t, `UPDATE audit SET detail = NULL WHERE seq IS NULL`)
	seal(t, l)
	if !strings.Contains(said.String(), "not what was written") {
		t.Errorf("of a stripped entry: %q", &said)
	}
}
