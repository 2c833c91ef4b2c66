//go:build linux

package crashfs_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/crashfs"
	"carepost/internal/store"
	"carepost/internal/transit"
)

const sessions = 16

// few makes counts smaller where the race detector makes everything slow.
func few(n int) int {
	if testing.Short() {
		return (n + 3) / 4
	}
	return n
}

func snapshots() int { return few(8) }

// acks is how many messages are acknowledged between two snapshots, at most.
func acks() int {
	if os.Getenv("CAREPOST_FULL") != "" {
		return 800
	}
	return few(80)
}

// acked is a message that was promised to be kept.
type acked struct {
	id  string
	sum [sha256.Size]byte
}

// moment is a power cut: what is left, and what had been promised before it.
type moment struct {
	dir      string
	promised []acked
	begun    int64 // messages that anybody had begun to send, after it
}

// folder is where the installation lies in a file system.
const folder = "office"

func (m moment) office() string { return filepath.Join(m.dir, folder) }

// accepting has sessions send to o until there are enough snapshots of fs.
func accepting(t *testing.T, fs *crashfs.FS, o *office, size func(n int) int) (moments []moment) {
	t.Helper()
	var begun atomic.Int64
	told := make(chan acked, 1<<16)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := int(begun.Add(1))
				from := addr.Address{Endpoint: "lab", Domain: there}
				text := []byte(letter(from, desk, n, size(n)))
				id, err := o.Accept(t.Context(), transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{desk}}, bytes.NewReader(text))
				if err != nil {
					t.Error(err)
					return
				}
				told <- acked{id, sha256.Sum256(text)}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	var promised []acked
	for i := range snapshots() {
		for range 1 + rand.N(acks()) {
			select {
			case a := <-told:
				promised = append(promised, a)
			case <-time.After(30 * time.Second):
				t.Fatal("nobody sends")
			}
		}
		for len(told) > 0 { // those too were told before
			promised = append(promised, <-told)
		}
		m := moment{dir: filepath.Join(t.TempDir(), fmt.Sprint(i)), promised: promised[:len(promised):len(promised)]}
		o.must(fs.Snapshot(m.dir))
		m.begun = begun.Load()
		moments = append(moments, m)
	}
	return moments
}

// lost opens what is left after a cut and counts the promised messages that are not in it, whole. What is there beyond them was
// being sent, and is whole too.
func (w *world) lost(t *testing.T, m moment) (n int) {
	t.Helper()
	o, err := w.open(t, m.office(), false)
	if err != nil {
		t.Logf("what is left cannot be opened: %v", err)
		return len(m.promised)
	}
	whole := func(id string) (sum [sha256.Size]byte, err error) {
		var message store.Message
		if err := o.Store.View(t.Context(), func(tx *store.Tx) (err error) { message, err = tx.Message(id); return err }); err != nil {
			return sum, err
		}
		return o.read(message.Raw)
	}
	for _, a := range m.promised {
		if sum, err := whole(a.id); err != nil || sum != a.sum {
			n++
		}
	}
	there := o.works(store.Ready, "inbound")
	if int64(len(there)) > m.begun {
		t.Errorf("%d messages are there, %d were sent", len(there), m.begun)
	}
	if n == 0 {
		for _, x := range there {
			if _, err := whole(x.Ref); err != nil {
				t.Errorf("message %s, which nobody was told of, is there but not whole: %v", x.Ref, err)
			}
		}
	}
	o.close()
	return n
}

// some of the bodies are kept in rows, some in files.
func mixed(n int) int {
	if n%3 == 0 {
		return 33<<10 + n%40_000
	}
	return 500 + n%8000
}

func inFiles(n int) int { return 33<<10 + n%10_000 }

// Facts of storage §3.4, §7.1: whatever was acknowledged before a power cut is there after it, whole. The same run shows a loss
// where the engine does not wait for the disk, and where the names of bodies are not brought to it: it would see one.
func TestPowerCutWhileAccepting(t *testing.T) {
	for _, tc := range []struct {
		name   string
		unsafe bool // SQLite with synchronous=NORMAL
		drop   bool // fsync of directories does nothing
		kind   crashfs.Options
		size   func(int) int
		loses  bool
	}{
		{name: "durable", kind: crashfs.Options{Torn: true, Flush: 2 * time.Millisecond}, size: mixed},
		{name: "durable, nothing unsynced survives", kind: crashfs.Options{Flush: 2 * time.Millisecond}, size: mixed},
		{name: "synchronous=NORMAL", unsafe: true, kind: crashfs.Options{Torn: true, Flush: 2 * time.Millisecond}, size: mixed, loses: true},
		{name: "no fsync of directories", drop: true, kind: crashfs.Options{Torn: true, Flush: 2 * time.Millisecond}, size: inFiles, loses: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			fs := crashfs.New(t, tc.kind)
			dir := filepath.Join(fs.Dir(), folder)
			o := w.mustOpen(t, dir, false)
			w.found(o)
			o.close()
			o = w.mustOpen(t, dir, tc.unsafe)
			o.must(fs.Set(crashfs.Faults{IgnoreDirSync: tc.drop}))
			var promised, lost int
			for _, m := range accepting(t, fs, o, tc.size) {
				promised += len(m.promised)
				lost += w.lost(t, m)
			}
			t.Logf("%d promised (sum over %d cuts), %d lost", promised, snapshots(), lost)
			if (lost > 0) != tc.loses {
				t.Errorf("%d of %d messages are lost", lost, promised)
			}
			o.must(o.Store.Close())
		})
	}
}

func sum(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
