package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// check has the independent checker judge an export.
func check(t *testing.T, export []byte, key string, heads ...string) (said string, good bool) {
	t.Helper()
	dir := t.TempDir()
	args := []string{filepath.Join("testdata", "check.py"), filepath.Join(dir, "export"), key}
	for i, h := range heads {
		name := filepath.Join(dir, fmt.Sprint("head", i))
		args = append(args, name)
		if err := os.WriteFile(name, []byte(h), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(args[1], export, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, args...).CombinedOutput()
	if strings.Contains(string(out), "Traceback") {
		t.Fatalf("the checker: %s", out)
	}
	return strings.TrimSpace(string(out)), err == nil
}

func exportOf(t *testing.T, l *Log, o ExportOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Export(t.Context(), &b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// exported makes a log of 300 entries, one of them erased, with heads of three hours, and keeps an early head.
func exported(t *testing.T) (l *Log, kept string, key string) {
	t.Helper()
	now := storetest.Time("2026-11-21T10:00:00Z")
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), KEK: storetest.Keeper(t), Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if l, err = NewLog(LogOptions{Store: s, Keys: keyring.New(s)}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{7, 57, 235} {
		write(t, s, n)
		seal(t, l)
		if kept == "" {
			kept = lastHead(t, s).Note
		}
		now = now.Add(time.Hour)
	}
	id := after(t, s, 20)[0].ID
	if err := s.Tx(t.Context(), func(tx *store.Tx) error {
		return Write(tx, Entry{Actor: "flow", Action: "odd", Object: "o:<&>ü\u2028", Detail: map[string]string{"text": "<ü>\u2028\"\\"}})
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { return Erase(tx, "operator:0", id) }); err != nil {
		t.Fatal(err)
	}
	seal(t, l)
	last, err := l.Last(t.Context())
	if err != nil || last.Head.Size != 301 {
		t.Fatalf("%+v, %v", last, err)
	}
	return l, kept, last.Key
}

// ATT-33: an export proves itself to a checker that knows the standards alone.
func TestExport(t *testing.T) {
	t.Parallel()
	l, kept, key := exported(t)
	whole := exportOf(t, l, ExportOptions{})
	if said, ok := check(t, whole, key, kept); !ok || said != "301 entries, 3 heads" {
		t.Errorf("whole: %s", said)
	}
	clear := exportOf(t, l, ExportOptions{Clear: true})
	if said, ok := check(t, clear, key, kept); !ok || said != "301 entries, 3 heads" || bytes.Contains(clear, []byte(`"salt`)) {
		t.Errorf("in clear: %s", said)
	}
	for want, o := range map[string]ExportOptions{
		"11 entries, 3 heads": {From: 250, To: 260}, "1 entries, 3 heads": {From: 301}, "3 entries, 3 heads": {Object: "message:3"}, "0 entries, 3 heads": {Object: "none"},
		"300 entries, 3 heads": {To: 300},
	} {
		if said, ok := check(t, exportOf(t, l, o), key); !ok || said != want {
			t.Errorf("%+v: %s", o, said)
		}
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	other := func(i int, from, to string) []byte { return bytes.Replace(lines[i], []byte(from), []byte(to), 1) }
	with := func(i int, line []byte) []byte {
		return bytes.Join([][]byte{bytes.Join(lines[:i], nil), line, bytes.Join(lines[i+1:], nil)}, nil)
	}
	for name, bad := range map[string][]byte{
		"actor":       with(5, other(5, `"actor":"flow"`, `"actor":"operator:0"`)),
		"detail":      with(5, other(5, `{\"n\":\"4\"}`, `{\"n\":\"5\"}`)),
		"removed":     with(5, nil),
		"order":       with(5, append(bytes.Clone(lines[6]), lines[5]...)),
		"cut":         bytes.Join(lines[:200], nil),
		"end":         with(301, nil),
		"head":        with(0, other(0, `\n301\n`, `\n300\n`)),
		"former head": with(302, other(302, `\n7\n`, `\n8\n`)),
		"proof":       with(303, other(303, `"proof":["`, `"proof":["`+strings.Repeat("A", 43)+`=","`)),
	} {
		if said, ok := check(t, bad, key); ok {
			t.Errorf("%s: %s", name, said)
		}
	}
	foreign, _, otherKey := exported(t)
	if said, ok := check(t, whole, otherKey); ok {
		t.Errorf("under another key: %s", said)
	}
	if said, ok := check(t, exportOf(t, foreign, ExportOptions{}), otherKey, kept); ok {
		t.Errorf("beside another's head: %s", said)
	}
	var line entryLine
	if err := json.Unmarshal(lines[21], &line); err != nil || line.State != "erased" || line.Detail != "" || line.Sum == "" {
		t.Errorf("erased: %+v, %v", line, err)
	}
}

// A log that has not begun has nothing to show, and a head from elsewhere is read within its bounds.
func TestExportRefuses(t *testing.T) {
	t.Parallel()
	l := newLog(t, storetest.SQLite(t))
	if err := l.Export(t.Context(), &bytes.Buffer{}, ExportOptions{}); err == nil {
		t.Error("exported")
	}
	if _, err := l.Last(t.Context()); err == nil {
		t.Error("a head of nothing")
	}
}

// Heads come from files: whatever is in them, one is read only if the key has signed exactly that.
func FuzzOpenHead(f *testing.F) {
	s := storetest.SQLite(f)
	l := newLog(f, s)
	write(f, s, 1)
	seal(f, l)
	k, err := l.signer(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	good := lastHead(f, s).Note
	f.Add(good)
	f.Add("x\n-1\n\n")
	f.Add(good + good)
	f.Add(k.name + "\n99999999999999999999\nAAAA\nat x\n\n— " + k.name + " AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := OpenHead(text, k.public); err == nil && text != good {
			t.Errorf("read: %q", text)
		}
		if h, err := parseHead(text); err == nil && (h.Size < 0 || h.Origin == "") {
			t.Errorf("parsed: %+v", h)
		}
	})
}
