package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The whole exchange, as `carepost demo` plays it.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"packed", "found", "trusted", "sealed", "sent", "opened", "verified", "file-set", "COMPLETE", "answered", "notice", "compared", "Done in"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the timeline lacks %q:\n%s", want, out.String())
		}
	}
}

// A failed exchange says why, by the clause: on the sender's side, and on the recipient's, which answers nobody.
func TestFailureSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(context.Context, *world) error
		want    string
	}{
		"no certificate": {func(ctx context.Context, w *world) error { return errors.Join(w.meet(ctx), w.b.Revoke(ctx, actor)) }, "Direct 2.3: no certificate is published"},
		"sender not trusted": {func(ctx context.Context, w *world) error {
			return errors.Join(w.a.meet(ctx, w.b), w.b.AddAccount(ctx, actor, w.b.address))
		}, "the recipient's side set it aside: Direct 4.2"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			dir := t.TempDir()
			c := newConsole(&out, 0, time.Now(), func(error) {})
			plan, err := carried(t.Context(), c, filepath.Join(dir, "study"))
			if err != nil {
				t.Fatal(err)
			}
			w, err := open(t.Context(), dir, c)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			if err := tc.prepare(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			w.start(t.Context())
			err = w.exchange(t.Context(), plan, "")
			if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
}

// Stopped by its user, the demo says so, whichever part of it stops first.
func TestStoppedByUser(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &trigger{at: "sealed", do: cancel}
	err := Run(ctx, Options{Out: out})
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "%!") {
		t.Errorf("%v", err)
	}
}

// trigger calls do when a text is written.
type trigger struct {
	at string
	do func()
}

func (t *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(t.at)) {
		t.do()
	}
	return len(p), nil
}

// A world that is not opened leaves no port taken and no store locked.
func TestOpenLeavesNothing(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	c := newConsole(&bytes.Buffer{}, 0, time.Now(), func(error) {})
	before := sockets(t)
	if w, err := open(gone, dir, c); err == nil {
		w.close()
		t.Fatal("opened without time")
	}
	if after := sockets(t); after > before {
		t.Errorf("%d sockets are open, %d were before", after, before)
	}
	w, err := open(t.Context(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	w.close()
	if after := sockets(t); after > before {
		t.Errorf("after a close %d sockets are open, %d were before", after, before)
	}
}

// sockets counts those of this process.
func sockets(t *testing.T) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func TestSizeAndCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 1_340_000: "1.3 MB", 2_000_000_000: "2.0 GB", 5_000_000_000_000: "5.0 TB", 7e17: "700000.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := count(1, "study", "studies") + ", " + count(2, "study", "studies"); got != "1 study, 2 studies" {
		t.Error(got)
	}
}

// Every line of the timeline has a time, a word and its evidence; more evidence stands below.
func TestConsole(t *testing.T) {
	var out bytes.Buffer
	t0 := time.Now()
	c := newConsole(&out, 0, t0, func(error) {})
	c.say(t0.Add(1500*time.Millisecond), "sealed", "one\ntwo")
	c.progress("seal", 1, 2)
	if want := regexp.MustCompile(`^   1\.50 s  sealed     one\n {22}two\n$`); !want.MatchString(out.String()) {
		t.Errorf("%q", out.String())
	}
	if !c.moved() || c.moved() {
		t.Error("progress is noticed once")
	}
}
