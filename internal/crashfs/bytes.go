//go:build linux

package crashfs

import (
	"syscall"
	"time"
)

func (d *disk) write(n *node, p []byte, off int64) syscall.Errno {
	if d.FailWrite {
		return syscall.EIO
	}
	if end := off + int64(len(p)); end > int64(len(n.data)) {
		if d.full(end - int64(len(n.data))) {
			return syscall.ENOSPC
		}
		d.resize(n, end)
	}
	copy(n.data[off:], p)
	n.soil(off, off+int64(len(p)))
	n.mtime = time.Now()
	return 0
}

// resize cuts or lengthens a file.
func (d *disk) resize(n *node, size int64) {
	old := int64(len(n.data))
	d.used += size - old
	if size <= old {
		clear(n.data[size:]) // it may be lengthened again
		n.data = n.data[:size]
		n.soil(size, size)
		return
	}
	if size > int64(cap(n.data)) {
		grown := make([]byte, old, max(size, int64(cap(n.data))*2))
		copy(grown, n.data)
		n.data = grown
	}
	n.data = n.data[:size]
	n.soil(old, size)
}

// soil marks the sectors from..to as not durable, and the length.
func (n *node) soil(from, to int64) {
	n.writes++
	for s := from / sector; s*sector < to; s++ {
		n.dirty[s] = n.writes
	}
}
