//go:build linux

package crashfs

import (
	"maps"
	"sync"
	"syscall"
	"time"
)

// syncing is what one fsync makes durable: the state when it was called.
type syncing struct {
	ask    uint64
	size   int64
	writes map[int64]uint64
	bytes  map[int64][]byte
	step   uint64 // of a directory
}

// sync brings a node to the disk. It waits for the device without holding the lock.
func (d *disk) sync(n *node) syscall.Errno {
	d.mu.Lock()
	d.syncs++
	x := d.begin(n)
	d.mu.Unlock()
	d.flusher.wait(d.Flush)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case n.isDir() && d.FailDirSync:
		return syscall.EIO
	case !n.isDir() && d.FailSync:
		for s, w := range x.writes {
			if n.dirty[s] == w {
				delete(n.dirty, s)
			}
		}
		return syscall.EIO
	}
	d.end(n, x)
	return 0
}

func (d *disk) begin(n *node) syncing {
	if n.isDir() {
		return syncing{step: d.step}
	}
	n.asked++
	x := syncing{ask: n.asked, size: int64(len(n.data)), writes: maps.Clone(n.dirty), bytes: make(map[int64][]byte, len(n.dirty))}
	for s := range n.dirty {
		if s*sector < x.size {
			x.bytes[s] = append([]byte(nil), n.data[s*sector:min((s+1)*sector, x.size)]...)
		}
	}
	return x
}

func (d *disk) end(n *node, x syncing) {
	if n.isDir() {
		if !d.IgnoreDirSync {
			n.apply(x.step)
		}
		return
	}
	if x.ask < n.done {
		return // a later one held all of this
	}
	n.done = x.ask
	n.durable = sized(n.durable, x.size)
	for s, b := range x.bytes {
		copy(n.durable[s*sector:], b)
	}
	for s, w := range x.writes {
		if n.dirty[s] == w {
			delete(n.dirty, s)
		}
	}
}

// sized cuts b or lengthens it by zeros.
func sized(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// flusher is the device: it flushes for all who wait when it begins.
type flusher struct {
	mu      sync.Mutex
	busy    bool
	waiting chan struct{} // closed when the next flush has ended
}

func (f *flusher) wait(latency time.Duration) {
	if latency <= 0 {
		return
	}
	f.mu.Lock()
	if f.waiting == nil {
		f.waiting = make(chan struct{})
	}
	mine := f.waiting
	if !f.busy {
		f.busy = true
		go f.run(latency)
	}
	f.mu.Unlock()
	<-mine
}

func (f *flusher) run(latency time.Duration) {
	for {
		f.mu.Lock()
		now := f.waiting
		f.waiting = nil
		f.busy = now != nil
		f.mu.Unlock()
		if now == nil {
			return
		}
		<-time.After(latency)
		close(now)
	}
}
