package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeDir makes a directory and those that are missing above it (0700), and brings their names to the disk: a name is durable after the
// fsync of the directory it is in. Names that are there already are brought to the disk too where that is allowed, for a process that was
// killed may have made them.
func MakeDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	there := dir // the lowest that exists before
	for _, err := os.Stat(there); errors.Is(err, fs.ErrNotExist) && there != filepath.Dir(there); _, err = os.Stat(there) {
		there = filepath.Dir(there)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	made := dir != there
	for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
		made = made && at != there
		if err := SyncDir(filepath.Dir(at)); err != nil && made {
			return err
		}
	}
	return nil
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
