package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MakeDir makes a directory and those that are missing above it (0700), and brings their names to the disk: a name is durable after the
// fsync of the directory it is in. Names that are there already are brought to the disk too where that is allowed and can be, for a process
// that was killed, or whose disk failed it, may have made them.
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
		if err := SyncDir(filepath.Dir(at)); err != nil && (made || !foreign(err)) {
			return err
		}
	}
	return nil
}

// foreign says of an error of SyncDir that the directory is not ours to sync: it may not be read, or its file system is read-only or
// has no fsync of directories. A disk that fails is another matter.
func foreign(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EROFS)
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
