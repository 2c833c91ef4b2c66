package audit

import (
	"golang.org/x/mod/sumdb/tlog"
)

// leaves gives the leaves that the log had in its places by the stored tiles, as far as these prove themselves by the signed root. It is a
// tlog.TileReader.
type leaves struct {
	root tlog.Tree // of the last head
	t    *tree     // of the running transaction
	n    int64     // data is of this tile of leaves
	data []byte    // nil: it does not prove itself
	err  error     // of the store
}

// leaf gives the one in a place; ok is false where the tiles are damaged.
func (v *leaves) leaf(t *tree, seq int64) (leaf tlog.Hash, ok bool, err error) {
	at := seq - 1
	if v.t == nil || v.n != at/tileWidth {
		v.t, v.n, v.data, v.err = t, at/tileWidth, nil, nil
		if _, err := tlog.TileHashReader(v.root, v).ReadHashes([]int64{tlog.StoredHashIndex(0, at)}); err != nil {
			v.data = nil
		}
		if v.err != nil {
			v.t = nil
			return leaf, false, v.err
		}
	}
	if v.data == nil {
		return leaf, false, nil
	}
	copy(leaf[:], v.data[int(at%tileWidth)*tlog.HashSize:])
	return leaf, true, nil
}

// Height is that of our tiles.
func (v *leaves) Height() int { return tileHeight }

// ReadTiles reads what is stored. A tile may have more hashes than are asked for: the log has grown.
func (v *leaves) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	list := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := v.t.tile(tileName{tile.L, tile.N})
		if err != nil {
			v.err = err
			return nil, err
		}
		list[i] = data[:min(len(data), tile.W*tlog.HashSize)] // tlog refuses what is too short
	}
	return list, nil
}

// SaveTiles is told what has proven itself.
func (v *leaves) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		if tile.L == 0 && tile.N == v.n {
			v.data = data[i]
		}
	}
}
