package store

// Setting reads a value (sealed) and its version; ErrNotFound.
func (tx *Tx) Setting(key string) (value []byte, version int64, err error) {
	var sealed []byte
	if err := tx.one(`SELECT v, ver FROM setting WHERE k = $1`, []any{key}, &sealed, &version); err != nil {
		return nil, 0, err
	}
	value, err = tx.s.box.Open("setting.v", key, sealed)
	return value, version, prefix(err)
}

// SetSetting writes a value over the given version, 0 for a new one. ErrConflict.
func (tx *Tx) SetSetting(key string, value []byte, version int64) error {
	if value == nil {
		value = []byte{}
	}
	sealed := tx.s.box.Seal("setting.v", key, value)
	if version == 0 {
		n, err := tx.exec(`INSERT INTO setting (k, v, ver) VALUES ($1, $2, 1) ON CONFLICT (k) DO NOTHING`, key, sealed)
		return changed(n, err, ErrConflict)
	}
	n, err := tx.exec(`UPDATE setting SET v = $2, ver = ver + 1 WHERE k = $1 AND ver = $3`, key, sealed, version)
	return changed(n, err, ErrConflict)
}
