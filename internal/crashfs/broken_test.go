//go:build linux

package crashfs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/crashfs"
	"carepost/internal/transit"
)

// A disk that cannot write: nothing is acknowledged while fsync or write fail, and when they work again all goes on without a
// restart. What was acknowledged survives a power cut afterwards, although Linux takes bytes whose fsync failed for clean.
func TestBrokenDisk(t *testing.T) {
	for name, broken := range map[string]crashfs.Faults{"fsync": {FailSync: true, FailDirSync: true}, "write": {FailWrite: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			fs := crashfs.New(t, crashfs.Options{Torn: true})
			o := w.mustOpen(t, filepath.Join(fs.Dir(), folder), false)
			w.found(o)
			stop := o.run()
			defer stop()
			x := o.begin(w, 4)
			x.more("mail", 10, 0)
			for range few(2) {
				o.must(fs.Set(broken))
				x.broken.Add(1)
				x.more("refusals", 0, few(40))
				x.broken.Add(1)
				o.must(fs.Set(crashfs.Faults{}))
				x.more("mail again", 10, 0)
			}
			x.end()
			if n := x.wrongly.Load(); n > 0 {
				t.Errorf("%d messages were taken by a broken disk", n)
			}
			x.settle()
			stop()
			x.checked()
			m := moment{dir: filepath.Join(t.TempDir(), "left")}
			o.must(fs.Snapshot(m.dir))
			taken, refused := x.counts()
			t.Logf("%d taken, %d refused", taken, refused)
			o.close()

			left := w.mustOpen(t, m.office(), false)
			shown := left.shown()
			for _, id := range x.taken {
				if len(shown[id]) != 1 {
					t.Errorf("after a cut message %s is shown %d times", id, len(shown[id]))
				}
			}
			left.close()
		})
	}
}

// The first bodies of an hour make its folders. When that fails, more than once, and the disk then recovers, the names of the
// folders are brought to it before a body in them is acknowledged.
func TestBrokenDiskAtNewFolders(t *testing.T) {
	w := newWorld(t)
	fs := crashfs.New(t, crashfs.Options{})
	o := w.mustOpen(t, filepath.Join(fs.Dir(), folder), false)
	w.found(o)
	accept := func(n int) (acked, error) {
		from := addr.Address{Endpoint: "lab", Domain: there}
		text := letter(from, desk, n, 50_000)
		id, err := o.Accept(t.Context(), transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{desk}}, strings.NewReader(text))
		return acked{id: id, sum: sum(text)}, err
	}
	o.must(fs.Set(crashfs.Faults{FailDirSync: true}))
	for n := range 4 {
		if _, err := accept(n); err == nil {
			t.Error("taken by a broken disk")
		}
	}
	o.must(fs.Set(crashfs.Faults{}))
	a, err := accept(9)
	o.must(err)
	m := moment{dir: filepath.Join(t.TempDir(), "left"), promised: []acked{a}, begun: 10}
	o.must(fs.Snapshot(m.dir))
	if w.lost(t, m) != 0 {
		t.Error("a body is lost")
	}
	o.close()
}
