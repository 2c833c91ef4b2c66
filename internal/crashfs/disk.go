//go:build linux

package crashfs

import (
	"sync"
	"syscall"
	"time"
)

// sector is what a disk writes whole, bytes.
const sector = 512

// disk is the model: a tree of nodes in memory.
type disk struct {
	Options
	mu      sync.Mutex // everything below
	root    *node
	inode   uint64 // the last given
	step    uint64 // counts changes of names, over all directories
	used    int64
	syncs   int64
	flusher flusher
}

// node is a file or a directory.
type node struct {
	inode        uint64
	mode         uint32 // type and permissions
	uid, gid     uint32
	atime, mtime time.Time
	links, opens int

	// of a file
	data    []byte
	durable []byte
	dirty   map[int64]uint64 // sectors that differ, by the write that changed them last
	writes  uint64           // counts writes
	asked   uint64           // counts fsyncs
	done    uint64           // the last fsync that took effect

	// of a directory
	names   map[string]*node
	kept    map[string]*node // durable
	pending []change         // of names, oldest first
}

// change of a name that no fsync has made durable. A rename is two changes of one step: a cut leaves both or none of those that
// are not durable.
type change struct {
	step uint64
	name string
	to   *node // nil: removed
}

func newDisk(o Options) *disk {
	d := &disk{Options: o}
	d.root = d.node(syscall.S_IFDIR|0o700, 0, 0)
	d.root.links = 1
	return d
}

func (n *node) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

func (d *disk) node(mode, uid, gid uint32) *node {
	d.inode++
	now := time.Now()
	n := &node{inode: d.inode, mode: mode, uid: uid, gid: gid, atime: now, mtime: now}
	if n.isDir() {
		n.names, n.kept = map[string]*node{}, map[string]*node{}
	} else {
		n.dirty = map[int64]uint64{}
	}
	return n
}

// full says whether more bytes do not fit.
func (d *disk) full(more int64) bool { return d.Size > 0 && more > 0 && d.used+more > d.Size }

// make gives dir a new name.
func (d *disk) make(dir *node, name string, mode, uid, gid uint32) (*node, syscall.Errno) {
	if dir.names[name] != nil {
		return nil, syscall.EEXIST
	}
	if d.full(1) {
		return nil, syscall.ENOSPC
	}
	n := d.node(mode, uid, gid)
	d.step++
	d.name(dir, name, n)
	return n, 0
}

// name has a name in dir mean n, or nothing.
func (d *disk) name(dir *node, name string, n *node) {
	old := dir.names[name]
	if n != nil {
		n.links++
		dir.names[name] = n
	} else {
		delete(dir.names, name)
	}
	if old != nil {
		old.links--
		d.free(old)
	}
	dir.mtime = time.Now()
	dir.pending = append(dir.pending, change{d.step, name, n})
	if d.LooseNames {
		dir.apply(d.step)
	}
}

// apply makes the changes of names up to a step durable.
func (n *node) apply(step uint64) {
	i := 0
	for ; i < len(n.pending) && n.pending[i].step <= step; i++ {
		n.pending[i].on(n.kept)
	}
	n.pending = append([]change(nil), n.pending[i:]...)
}

func (c change) on(names map[string]*node) {
	if c.to == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.to
	}
}

// free gives back the room of a file that nobody can reach any more.
func (d *disk) free(n *node) {
	if n.links == 0 && n.opens == 0 && !n.isDir() {
		d.used -= int64(len(n.data))
		n.data, n.dirty = nil, map[int64]uint64{} // a name of it may still be durable
	}
}

func (d *disk) link(dir *node, name string, n *node) syscall.Errno {
	if dir.names[name] != nil {
		return syscall.EEXIST
	}
	d.step++
	d.name(dir, name, n)
	return 0
}

func (d *disk) remove(dir *node, name string, isDir bool) syscall.Errno {
	n := dir.names[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case isDir && !n.isDir():
		return syscall.ENOTDIR
	case !isDir && n.isDir():
		return syscall.EISDIR
	case len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	d.step++
	d.name(dir, name, nil)
	return 0
}

func (d *disk) rename(from *node, name string, to *node, into string) syscall.Errno {
	n, there := from.names[name], to.names[into]
	switch {
	case n == nil:
		return syscall.ENOENT
	case n == there:
		return 0
	case there != nil && there.isDir() && !n.isDir():
		return syscall.EISDIR
	case there != nil && !there.isDir() && n.isDir():
		return syscall.ENOTDIR
	case there != nil && len(there.names) > 0:
		return syscall.ENOTEMPTY
	}
	d.step++
	d.name(to, into, n)
	d.name(from, name, nil)
	return 0
}
