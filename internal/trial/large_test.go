package trial_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/dicom/dimse"
	"carepost/internal/admind"
)

// A mail program submits sets that are larger than their recipient takes, and they go in several mails; then, to the same recipient without Direct,
// sealed mails go in fragments. Each side dies at every point of that: every instance lies in one folder of studies, every transfer is whole, and no
// part or letter comes twice. DCM-16, DCM-18, DCM-22.
func TestLargeSetsThroughFalls(t *testing.T) {
	t.Parallel()
	l := newLarge(t)
	l.a.configure(t, fmt.Sprintf("\n[[rule]]\nwith = [%q]\ndirection = \"out\"\nsize = \"300 KB\"\n", l.b.domain))
	l.fall(t, l.a, "transfer.staged", 4)
	l.fall(t, l.b, "open.rows-durable:2", 4)
	if full() {
		for _, point := range []string{"accept.body-durable:2", "accept.rows-durable", "seal.rows-durable:2", "deliver.answered:2"} {
			l.fall(t, l.a, point, 4)
		}
	}
	parts := len(l.b.mails(l.b.desk))
	if parts < 2*l.sets {
		t.Errorf("%d sets came in %d mails", l.sets, parts)
	}
	l.wholeTransfers(t)

	l.stop(t)
	l.look.silent(t, l.a, l.b)
	l.look = nil // a certificate of its own tells the sender's address to everybody
	l.a.run(t, "", "cert", "issue", l.a.desk.String(), "--config", l.a.dir)
	rules := filepath.Join(l.a.dir, "carepost.toml")
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, []byte(strings.Replace(string(text), `size = "300 KB"`, "form = \"smime\"\nfragment = \"100 KB\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	l.b.configure(t, fmt.Sprintf("\n[[rule]]\nwith = [%q]\nform = \"smime\"\n", l.a.domain))
	whole := l.sets
	l.start(t)
	for _, x := range []struct {
		who   *practice
		point string
	}{{l.a, "fragment.taken:2"}, {l.a, "fragment.noted"}, {l.b, "rejoin.kept"}, {l.b, "rejoin.accepted"}} {
		l.fall(t, x.who, x.point, 2)
	}
	if n := len(l.b.mails(l.b.desk)); n != parts+l.sets-whole {
		t.Errorf("%d letters in fragments came as %d", l.sets-whole, n-parts)
	}
	l.stop(t)
}

// large are two installations between which large sets go.
type large struct {
	a, b    *practice
	folders string
	look    *lookout
	uids    []string // of all instances
	sets    int
}

func newLarge(t *testing.T) *large {
	t.Helper()
	l := &large{look: newLookout()}
	l.a, l.b = pair(t, binary(t, "crashpoints"))
	l.folders = filepath.Join(filepath.Dir(l.b.dir), "home", "studies")
	l.b.run(t, "", "account", "drop", l.b.desk.String(), "--studies", l.folders, "--config", l.b.dir)
	return l
}

func (l *large) start(t *testing.T) {
	t.Helper()
	for _, p := range []*practice{l.a, l.b} {
		if !p.serves() {
			p.start(t)
		}
	}
}

// serves says that a process of it runs.
func (p *practice) serves() bool {
	run := p.running()
	if run == nil {
		return false
	}
	select {
	case <-run.ended:
		return false
	default:
		return true
	}
}

func (l *large) stop(t *testing.T) {
	t.Helper()
	l.a.stop(t)
	l.b.stop(t)
}

// fall has a side die at a point while a set of n images of some 80 KB is on its way.
func (l *large) fall(t *testing.T, who *practice, point string, n int) {
	t.Helper()
	if who.serves() {
		who.stop(t)
	}
	run := who.launch(t, point)
	select {
	case <-run.ready:
	case <-run.ended:
		t.Fatalf("%s at its start\n%s", point, who.lastWords())
	case <-time.After(patience):
		t.Fatalf("%s: not ready\n%s", point, who.lastWords())
	}
	l.start(t)
	submitted := make(chan struct{})
	go func() {
		defer close(submitted)
		l.submit(t, n)
	}()
	select {
	case <-run.ended:
	case <-time.After(patience):
		t.Fatalf("%s was not passed\n%s", point, who.lastWords())
	}
	if !run.killed() {
		t.Fatalf("%s: it ended by itself: %v\n%s", point, run.err, who.lastWords())
	}
	if l.look != nil {
		l.look.silent(t, l.a, l.b)
	}
	who.start(t)
	<-submitted
	l.arrive(t, point)
}

// submit has a mail program submit a set, the same mail again until it is taken.
func (l *large) submit(t *testing.T, n int) {
	l.sets++
	dir := t.TempDir()
	for i := range n {
		x := object{study: fmt.Sprintf("2.25.78.%d", l.sets), number: i + 1, size: 80 << 10}
		l.uids = append(l.uids, x.uid())
		if err := os.WriteFile(filepath.Join(dir, x.uid()), x.file(), 0o600); err != nil {
			t.Error(err)
			return
		}
	}
	x := &tale{from: l.a, to: l.b, sender: l.a.desk, recipient: l.b.desk, messageID: fmt.Sprintf("<large.%d@%s>", l.sets, l.a.domain)}
	x.text = strings.Replace(x.study(pack(t, l.a.binary, dir)), x.subject(), "a large set", 1) // that one names the patient
	m := l.a.mailer(t, x.sender)
	defer m.close()
	x.post(t, m)
}

// laid counts how often each instance lies in the folders of studies.
func (l *large) laid(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := filepath.WalkDir(l.folders, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		f, err := os.Open(path)
		if err != nil {
			return ignoreGone(err)
		}
		defer f.Close()
		if i, _, err := dimse.OpenPart10(f); err == nil && strings.HasPrefix(i.SOPInstance, "2.25.78.") && !strings.Contains(path, "/.") { // not the directories
			out[i.SOPInstance]++
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

// ignoreGone drops what a folder says that is being renamed.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// arrive waits until all instances are laid, and nobody has anything left to do: each lies there once.
func (l *large) arrive(t *testing.T, point string) {
	t.Helper()
	until(t, func() bool {
		l.a.hurry()
		l.b.hurry()
		return len(l.laid(t)) == len(l.uids)
	}, func() string {
		return fmt.Sprintf("%d instances in folders after %s; there are %d\n%s\n%s", len(l.uids), point, len(l.laid(t)), l.a.lastWords(), l.b.lastWords())
	})
	rest(t, l.a, l.b)
	laid := l.laid(t)
	for _, uid := range l.uids {
		if laid[uid] != 1 {
			t.Errorf("%s: %s lies in %d folders of studies", point, uid, laid[uid])
		}
	}
}

// wholeTransfers wants one transfer for each set, on both sides, whose parts the recipient has, all of them once.
func (l *large) wholeTransfers(t *testing.T) {
	t.Helper()
	parts := map[*practice]int{}
	for p, outbound := range map[*practice]bool{l.a: true, l.b: false} {
		var all []admind.Transfer
		p.ask(func(ctx context.Context, c *admind.Client) (err error) {
			all, err = c.Transfers(ctx, p.desk, outbound)
			return err
		})
		if len(all) != l.sets {
			t.Errorf("%s has %d transfers, want %d", p.domain, len(all), l.sets)
		}
		for _, x := range all {
			parts[p] += x.Of
			if !x.Whole || !x.Proven || len(x.Missing) > 0 {
				t.Errorf("%s: %+v", p.domain, x)
			}
		}
	}
	if parts[l.a] != parts[l.b] || parts[l.b] != len(l.b.mails(l.b.desk)) {
		t.Errorf("%d parts went, %d came, in %d mails", parts[l.a], parts[l.b], len(l.b.mails(l.b.desk)))
	}
}
