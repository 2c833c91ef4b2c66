//go:build linux

package crashfs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// entry is a node as the kernel knows it. It may be forgotten and made anew.
type entry struct {
	fs.Inode
	d *disk
	n *node
}

// handle is an open file.
type handle struct{ n *node }

var _ interface {
	fs.NodeLookuper
	fs.NodeReaddirer
	fs.NodeCreater
	fs.NodeMkdirer
	fs.NodeLinker
	fs.NodeUnlinker
	fs.NodeRmdirer
	fs.NodeRenamer
	fs.NodeOpener
	fs.NodeReleaser
	fs.NodeReader
	fs.NodeWriter
	fs.NodeFlusher
	fs.NodeFsyncer
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeStatfser
} = (*entry)(nil)

// child gives the kernel its name for n.
func (e *entry) child(ctx context.Context, n *node, out *fuse.EntryOut) *fs.Inode {
	n.attr(&out.Attr)
	return e.NewInode(ctx, &entry{d: e.d, n: n}, fs.StableAttr{Mode: n.mode & syscall.S_IFMT, Ino: n.inode})
}

func (n *node) attr(a *fuse.Attr) {
	a.Ino, a.Mode, a.Uid, a.Gid, a.Nlink = n.inode, n.mode, n.uid, n.gid, uint32(n.links)
	a.Size, a.Blksize, a.Blocks = uint64(len(n.data)), 4096, uint64(len(n.data)+sector-1)/sector
	a.SetTimes(&n.atime, &n.mtime, &n.mtime)
}

// of is the node behind what the kernel hands back.
func of(i fs.InodeEmbedder) *node { return i.EmbeddedInode().Operations().(*entry).n }

func (e *entry) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	n := e.n.names[name]
	if n == nil {
		return nil, syscall.ENOENT
	}
	return e.child(ctx, n, out), 0
}

func (e *entry) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	var all []fuse.DirEntry
	for name, n := range e.n.names {
		all = append(all, fuse.DirEntry{Name: name, Mode: n.mode, Ino: n.inode})
	}
	return fs.NewListDirStream(all), 0
}

// owner of what a caller makes.
func owner(ctx context.Context) (uid, gid uint32) {
	if c, ok := fuse.FromContext(ctx); ok {
		return c.Uid, c.Gid
	}
	return 0, 0
}

func (e *entry) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	uid, gid := owner(ctx)
	n, errno := e.d.make(e.n, name, syscall.S_IFREG|mode&0o7777, uid, gid)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	n.opens++
	return e.child(ctx, n, out), &handle{n}, fuse.FOPEN_KEEP_CACHE, 0
}

func (e *entry) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	uid, gid := owner(ctx)
	n, errno := e.d.make(e.n, name, syscall.S_IFDIR|mode&0o7777, uid, gid)
	if errno != 0 {
		return nil, errno
	}
	return e.child(ctx, n, out), 0
}

func (e *entry) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	n := of(target)
	if errno := e.d.link(e.n, name, n); errno != 0 {
		return nil, errno
	}
	return e.child(ctx, n, out), 0
}

func (e *entry) Unlink(_ context.Context, name string) syscall.Errno {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	return e.d.remove(e.n, name, false)
}

func (e *entry) Rmdir(_ context.Context, name string) syscall.Errno {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	return e.d.remove(e.n, name, true)
}

func (e *entry) Rename(_ context.Context, name string, parent fs.InodeEmbedder, into string, flags uint32) syscall.Errno {
	const noReplace = 1 // RENAME_NOREPLACE
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	to := of(parent)
	switch {
	case flags&^noReplace != 0:
		return syscall.EINVAL
	case flags == noReplace && to.names[into] != nil:
		return syscall.EEXIST
	}
	return e.d.rename(e.n, name, to, into)
}

func (e *entry) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	e.n.opens++
	// The kernel's page cache stays: everything comes through it, and maps need it.
	return &handle{e.n}, fuse.FOPEN_KEEP_CACHE, 0
}

func (e *entry) Release(context.Context, fs.FileHandle) syscall.Errno {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	e.n.opens--
	e.d.free(e.n)
	return 0
}

func (e *entry) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	n := 0
	if off < int64(len(e.n.data)) {
		n = copy(p, e.n.data[off:])
	}
	return fuse.ReadResultData(p[:n]), 0
}

func (e *entry) Write(_ context.Context, _ fs.FileHandle, p []byte, off int64) (uint32, syscall.Errno) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	if errno := e.d.write(e.n, p, off); errno != 0 {
		return 0, errno
	}
	return uint32(len(p)), 0
}

// Flush is close(2); it makes nothing durable.
func (e *entry) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

// Fsync is for files and directories.
func (e *entry) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return e.d.sync(e.n) }

func (e *entry) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	e.n.attr(&out.Attr)
	return 0
}

func (e *entry) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	n := e.n
	if size, ok := in.GetSize(); ok && !n.isDir() {
		if e.d.full(int64(size) - int64(len(n.data))) {
			return syscall.ENOSPC
		}
		e.d.resize(n, int64(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode&0o7777
	}
	if uid, ok := in.GetUID(); ok {
		n.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		n.gid = gid
	}
	if t, ok := in.GetMTime(); ok {
		n.mtime = t
	}
	if t, ok := in.GetATime(); ok {
		n.atime = t
	}
	n.attr(&out.Attr)
	return 0
}

// Statfs tells the limit in blocks of 4096 bytes; without one it says a tebibyte.
func (e *entry) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	const block = 4096
	size := e.d.Size
	if size <= 0 {
		size = 1 << 40
	}
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks, out.Bfree = uint64(size/block), uint64(max(size-e.d.used, 0)/block)
	out.Bavail = out.Bfree
	out.Files, out.Ffree = 1<<32, 1<<32-e.d.inode
	return 0
}
