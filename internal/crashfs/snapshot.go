//go:build linux

package crashfs

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// image is what a cut leaves of a node.
type image struct {
	mode  os.FileMode
	bytes []byte
	names map[string]*image
}

// snapshot writes what a cut at this moment would leave into dir.
func (d *disk) snapshot(dir string) error {
	d.mu.Lock()
	c := cut{torn: d.Torn, steps: map[uint64]bool{}, files: map[*node]*image{}}
	left := c.of(d.root)
	d.mu.Unlock()
	return left.write(dir)
}

// cut decides what survives.
type cut struct {
	torn  bool
	steps map[uint64]bool // changes of names: which survive
	files map[*node]*image
}

func (c *cut) of(n *node) *image {
	if x := c.files[n]; x != nil {
		return x // by another name
	}
	x := &image{mode: os.FileMode(n.mode & 0o777)}
	c.files[n] = x
	if !n.isDir() {
		x.bytes = c.bytes(n)
		return x
	}
	names := maps.Clone(n.kept)
	for _, p := range n.pending {
		if c.survives(p.step) {
			p.on(names)
		}
	}
	x.names = map[string]*image{}
	for name, below := range names {
		x.names[name] = c.of(below)
	}
	return x
}

func (c *cut) survives(step uint64) bool {
	if !c.torn {
		return false
	}
	yes, known := c.steps[step]
	if !known {
		yes = rand.N(2) == 0
		c.steps[step] = yes
	}
	return yes
}

// bytes of a file: the durable ones, and of the others a random half, in sectors. The length is a sector more: it may be the old
// one, and reaches at least as far as what has survived.
func (c *cut) bytes(n *node) []byte {
	b := append([]byte(nil), n.durable...)
	if !c.torn || n.links == 0 && len(n.data) == 0 {
		return b
	}
	size := int64(len(n.data))
	if size < int64(len(b)) && rand.N(2) == 0 {
		b = b[:size]
	}
	for s := range n.dirty {
		if s*sector >= size || rand.N(2) == 0 {
			continue
		}
		end := min((s+1)*sector, size)
		if end > int64(len(b)) {
			b = sized(b, end)
		}
		copy(b[s*sector:end], n.data[s*sector:end])
	}
	return b
}

func (x *image) write(path string) error {
	if x.names == nil {
		return os.WriteFile(path, x.bytes, x.mode)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	for name, below := range x.names {
		if err := below.write(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}
