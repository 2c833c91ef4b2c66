package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/store"
)

// The tree is kept in tiles of 256 hashes: tile n of level l holds the hashes of the complete subtrees of 256^l leaves, from the n*256th on.

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

type tileName struct {
	level int
	n     int64
}

// tree reads the tiles of the log in tx and lengthens it. It is a tlog.HashReader.
type tree struct {
	tx      *store.Tx
	size    int64
	tiles   map[tileName][]byte
	changed map[tileName]bool
}

func newTree(tx *store.Tx, size int64) *tree {
	return &tree{tx: tx, size: size, tiles: make(map[tileName][]byte), changed: make(map[tileName]bool)}
}

// maxTiles is how many tiles a tree keeps in memory, 8 KB each, before it forgets those that it has only read.
const maxTiles = 256

func (t *tree) tile(name tileName) ([]byte, error) {
	if data, ok := t.tiles[name]; ok {
		return data, nil
	}
	data, err := t.tx.AuditTile(name.level, name.n)
	if err != nil {
		return nil, err
	}
	if len(t.tiles) >= maxTiles && len(t.changed) == 0 {
		clear(t.tiles)
	}
	t.tiles[name] = data
	return data, nil
}

// ReadHashes gives hashes by tlog's numbers.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		of := tlog.TileForIndex(tileHeight, index)
		name := tileName{of.L, of.N}
		data, err := t.tile(name)
		if err != nil {
			return nil, err
		}
		if len(data) < of.W*tlog.HashSize {
			return nil, fmt.Errorf("%w: tile %d/%d of the log has %d hashes, not %d", ErrLog, of.L, of.N, len(data)/tlog.HashSize, of.W)
		}
		if hashes[i], err = tlog.HashFromTile(of, data[:of.W*tlog.HashSize], index); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrLog, err)
		}
	}
	return hashes, nil
}

// root is the hash of the whole tree.
func (t *tree) root() (tlog.Hash, error) { return tlog.TreeHash(t.size, t) }

// add lengthens the tree by a leaf.
func (t *tree) add(leaf tlog.Hash) error {
	n := t.size // of the subtree, on its level
	for level := 0; ; level++ {
		name := tileName{level, n / tileWidth}
		data, err := t.tile(name)
		if err != nil {
			return err
		}
		at := int(n%tileWidth) * tlog.HashSize
		if len(data) < at {
			return fmt.Errorf("%w: tile %d/%d of the log is too short", ErrLog, name.level, name.n)
		}
		data = append(data[:at], leaf[:]...) // beyond: of a head that was never signed
		t.tiles[name], t.changed[name] = data, true
		if len(data) < tileWidth*tlog.HashSize {
			break
		}
		leaf, n = tileRoot(data), n/tileWidth
	}
	t.size++
	return nil
}

// tileRoot is the hash over a full tile.
func tileRoot(data []byte) tlog.Hash {
	var level []tlog.Hash
	for ; len(data) > 0; data = data[tlog.HashSize:] {
		level = append(level, tlog.Hash(data[:tlog.HashSize]))
	}
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// save writes what was changed.
func (t *tree) save() error {
	for name := range t.changed {
		if err := t.tx.PutAuditTile(name.level, name.n, t.tiles[name]); err != nil {
			return err
		}
	}
	clear(t.changed)
	return nil
}
