//go:build linux

package crashfs_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/crashfs"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// traffic is senders that go on whatever they are told.
type traffic struct {
	*office
	w       *world
	senders sync.WaitGroup
	ended   chan struct{}

	mu      sync.Mutex
	taken   map[addr.Address]string // ids by sender
	refused []error
	broken  atomic.Int64 // odd while nothing may be taken
	wrongly atomic.Int64 // taken all the same
}

// begin has n senders send sealed mail until end.
func (o *office) begin(w *world, n int) *traffic {
	x := &traffic{office: o, w: w, ended: make(chan struct{}), taken: map[addr.Address]string{}}
	for s := range n {
		x.senders.Go(func() { x.send(s) })
	}
	return x
}

func (x *traffic) send(session int) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for n := session * 1_000_000; ; n++ {
		select {
		case <-x.ended:
			return
		case <-tick.C:
		}
		from, text := x.w.sealed(x.t, n, 500+n%2*45_000)
		before := x.broken.Load()
		id, err := x.Accept(x.t.Context(), transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{desk}}, bytes.NewReader(text))
		x.mu.Lock()
		if err == nil {
			x.taken[from] = id
			if before%2 == 1 && before == x.broken.Load() {
				x.wrongly.Add(1)
			}
		} else {
			x.refused = append(x.refused, err)
		}
		x.mu.Unlock()
	}
}

func (x *traffic) end() { close(x.ended); x.senders.Wait() }

// counts says how many messages were taken and refused by now.
func (x *traffic) counts() (taken, refused int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.taken), len(x.refused)
}

// more waits until so many more were taken, and refused.
func (x *traffic) more(what string, taken, refused int) {
	x.t.Helper()
	t0, r0 := x.counts()
	x.until(what, func() bool { t, r := x.counts(); return t >= t0+taken && r >= r0+refused })
}

// settle waits until all work is done but what waits for a deadline; what waits for its back-off is called.
func (x *traffic) settle() {
	x.t.Helper()
	x.until("the queue to be worked off", func() bool {
		left := 0
		for _, s := range []store.WorkState{store.Ready, store.Leased} {
			for _, w := range x.works(s, "") {
				switch w.Kind {
				case "inbound", "outbound", "deliver", "notice":
					left++
					if s == store.Ready {
						_ = x.Store.Tx(x.t.Context(), func(tx *store.Tx) error { return tx.RetryWorkNow(w.ID) }) // a worker was quicker
					}
				}
			}
		}
		return left == 0
	})
}

// checked says what became of everything that was taken: shown once, and answered. It tells how many answers were sent again.
func (x *traffic) checked() (again int) {
	x.t.Helper()
	shown := x.shown()
	answered := map[addr.Address]int{}
	for _, p := range x.w.seen() {
		if answered[p.to]++; answered[p.to] > 1 {
			again++
		}
	}
	x.t.Logf("%d answers were sent, %d of them again", len(x.w.seen()), again)
	for a, id := range x.taken {
		if len(shown[id]) != 1 || answered[a] == 0 {
			x.t.Errorf("message %s is shown %d times, answered %d times", id, len(shown[id]), answered[a])
		}
	}
	if len(shown) != len(x.taken) {
		x.t.Errorf("%d messages are shown, %d were taken", len(shown), len(x.taken))
	}
	return again
}

// Facts of storage §3.4, §7.3: the disk is full, in the middle of everything. Senders are told that there is no room, what was
// taken is not lost, and when there is room again all goes on, without a restart.
func TestDiskFull(t *testing.T) {
	w := newWorld(t)
	fs := crashfs.New(t, crashfs.Options{})
	o := w.mustOpen(t, filepath.Join(fs.Dir(), folder), false)
	w.found(o)
	stop := o.run()
	defer stop()
	x := o.begin(w, 4)
	x.more("mail", few(20), 0)
	for range few(3) {
		used, err := fs.Used()
		o.must(err)
		o.must(fs.Set(crashfs.Faults{Size: used + 256<<10})) // others need the rest
		x.more("refusals", 0, few(60))
		o.must(fs.Set(crashfs.Faults{}))
		x.more("mail again", few(20), 0)
	}
	x.end()
	for _, err := range x.refused {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("refused for another reason: %v", err)
			break
		}
	}
	x.settle()
	stop()
	if n := x.checked(); n > 0 {
		t.Errorf("%d answers were sent again: what the far side had said was not written down when there was room", n)
	}
	taken, refused := x.counts()
	t.Logf("%d taken, %d refused", taken, refused)
	o.close()

	used, err := fs.Used()
	o.must(err)
	for _, room := range []int64{1, 1 << 10, 40 << 10, 1 << 20} { // a start needs a little
		o.must(fs.Set(crashfs.Faults{Size: used + room}))
		again, err := w.open(t, o.dir, false)
		switch {
		case err == nil:
			again.close()
		case room > 1 && !errors.Is(err, syscall.ENOSPC): // at the last byte the engine says no more than that it cannot
			t.Errorf("started with %d bytes free: %v", room, err)
		}
	}
	o.must(fs.Set(crashfs.Faults{}))
	x.office = w.mustOpen(t, o.dir, false)
	x.checked()
	x.close()
}
