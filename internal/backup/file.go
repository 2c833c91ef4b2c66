package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"carepost/internal/vault"
)

// chunk is how much is read at most between two looks at the context.
const chunk = 1 << 20

// pour copies r, a file of about that size, to w and calls moved with each piece.
func pour(ctx context.Context, w io.Writer, r io.Reader, size int64, moved func(n int64)) error {
	buf := make([]byte, min(max(size+1, 1<<10), chunk))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			moved(int64(n))
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

var errIrregular = errors.New("no regular file")

// openFile opens a regular file, not what a link leads to.
func openFile(name string) (*os.File, fs.FileInfo, error) {
	info, err := os.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errIrregular
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(name)
	return f, info, err
}

// hashFile reads a regular file.
func hashFile(ctx context.Context, name string, moved func(int64)) (sum [sha256.Size]byte, size int64, err error) {
	f, info, err := openFile(name)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := sha256.New()
	err = pour(ctx, h, f, info.Size(), func(n int64) { size += n; moved(n) })
	return [sha256.Size]byte(h.Sum(nil)), size, err
}

// copyFile makes a durable copy under a new name, whose directory is made where it is missing, and gives the digest of what it read.
func copyFile(ctx context.Context, from, to string, moved func(int64)) (sum [sha256.Size]byte, err error) {
	in, info, err := openFile(from)
	if err != nil {
		return sum, err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return sum, &writeError{err}
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600|info.Mode().Perm()&0o044)
	if err != nil {
		return sum, &writeError{err}
	}
	h := sha256.New()
	err = pour(ctx, io.MultiWriter(writer{out}, h), in, info.Size(), moved)
	if end := errors.Join(out.Sync(), out.Close()); end != nil {
		err = errors.Join(err, &writeError{end})
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}

// writeError is an error of the disk that is written to: nothing is wrong with what is read.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

type writer struct{ w io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// syncDirs brings the names in dir and all directories below it to the disk.
func syncDirs(dir string) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = vault.SyncDir(name)
		}
		return err
	})
}

// inside says whether name is dir or lies below it, whatever links lead there. What does not exist yet is judged by its directory.
func inside(name, dir string) (bool, error) {
	real, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return false, err
	}
	if dir, err = filepath.EvalSymlinks(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	rel, err := filepath.Rel(dir, filepath.Join(real, filepath.Base(name)))
	return err == nil && filepath.IsLocal(rel), nil
}

// absent checks that a new directory can be made at name, and gives its absolute form. Its directory must be there: what was to be mounted and is
// not must not be written to.
func absent(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(name); err == nil {
		return "", fmt.Errorf("%w: %s", ErrExists, name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	info, err := os.Stat(filepath.Dir(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: there is no %s", ErrPlace, filepath.Dir(name))
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%w: %s is no directory", ErrPlace, filepath.Dir(name))
	}
	return name, nil
}
