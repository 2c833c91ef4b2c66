package gateway_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
)

// Stopped with work in every stage and opened again on the same directory, an installation delivers everything, once: DIR-29, DIR-49.
func TestRestartDeliversEverythingOnce(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	w.Trust()
	a, b := w.All[0], w.All[1]
	large := strings.Repeat("a body that is no longer kept in a row of the database\r\n", 1000)
	var ids []string
	submit := func(text string) { ids = append(ids, a.Submit(t, a.Letter("s", text, b.Address), b.Address)) }

	submit("not decided") // nobody runs yet
	submit(large)
	a.Reopen(t)
	b.Valve.Shut()
	a.Start(t)
	b.Start(t)
	for _, id := range ids {
		a.Await(t, id, b.Address, transit.Sealed)
	}
	a.Reopen(t) // sealed, and perhaps tried
	submit("not decided either")
	b.Valve.Open()
	a.Valve.Shut() // the notices cannot come back
	a.Start(t)
	for _, id := range ids {
		a.Await(t, id, b.Address, transit.Sent)
	}
	b.Inbox(t, len(ids))
	b.Reopen(t) // with notices on their way
	a.Reopen(t) // with deadlines
	a.Valve.Open()
	a.Start(t)
	b.Start(t)
	for _, id := range ids {
		a.Await(t, id, b.Address, transit.Processed)
	}
	a.Quiet(t)
	b.Quiet(t)
	if n := len(b.Inbox(t, len(ids))); n != len(ids) {
		t.Errorf("%d mails are shown, want %d", n, len(ids))
	}
	if n := actions(t, b, "notice.send"); n != len(ids) {
		t.Errorf("%d notices were made, want %d", n, len(ids))
	}
	for _, p := range w.All {
		if left, err := os.ReadDir(filepath.Join(p.Dir, "data", "drafts")); err != nil || len(left) != 0 {
			t.Errorf("drafts left: %v, %v", left, err)
		}
	}
	if n := len(a.Inbox(t, 0)); n != 0 {
		t.Errorf("%d reports in the sender's mailbox", n)
	}
}

// A deadline that was set before a restart passes after it: DIR-41.
func TestDeadlineSurvivesRestart(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	a, b := w.All[0], w.All[1]
	a.Admit(t, b) // but b does not trust a, and stays silent
	a.Flow().Patience = 4 * time.Second
	w.Run()
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Sent)
	a.Reopen(t) // with the usual patience, of an hour
	a.Start(t)
	a.Await(t, id, b.Address, transit.Failed)
	if n := len(a.Inbox(t, 1)); n != 1 {
		t.Errorf("%d reports", n)
	}
}

// What was stopped and closed has left no goroutine behind.
func TestStopLeavesNothingRunning(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	w.Trust()
	before := running()
	w.Run()
	a, b := w.All[0], w.All[1]
	id := a.Submit(t, a.Letter("s", "t", b.Address), b.Address)
	a.Await(t, id, b.Address, transit.Processed)
	a.Submit(t, a.Letter("s", "under way", b.Address), b.Address)
	a.Stop()
	b.Stop()
	var left string
	gatewaytest.Until(t, func() bool { left = running(); return strings.Count(left, "\n\n") <= strings.Count(before, "\n\n") },
		func() string { return "goroutines to end:\n" + left })
}

// running shows the goroutines that are in our own rooms, the test's own excepted.
func running() string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	var ours strings.Builder
	for g := range strings.SplitSeq(string(all), "\n\n") {
		if strings.Contains(g, "carepost/internal/") && !strings.Contains(g, "gatewaytest") && !strings.Contains(g, "gateway_test") {
			ours.WriteString(g + "\n\n")
		}
	}
	return ours.String()
}

// An installation that cannot be opened is not locked: the next try has it.
func TestFailedOpenLeavesNoLock(t *testing.T) {
	dir := t.TempDir()
	open := func() error {
		l, err := gateway.Loopback()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		g, err := gateway.Open(t.Context(), gateway.Options{Dir: dir, Domain: "north.example", Pilot: true, Listeners: l})
		if err != nil {
			return err
		}
		return g.Close()
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(dir, "data", "drafts") // a file where a folder is to be
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil {
		t.Fatal("opened")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
}
