package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/vault"
)

// Restore makes an installation of a backup in the new or empty directory into; kek names a file with the key-encryption key, which is copied to
// keys/kek. Everything is compared with its hash while it is copied, then every live body with its digest where it lies now. The
// configuration and the key come last: a gateway does not start on half an installation.
//
// ErrExists, ErrPlace, ErrKEK; nothing is left then. Where single bodies are damaged or missing the installation stands without them
// (Report.Restored), and the error wraps ErrDamaged or ErrIncomplete. A damaged database or list is not restored.
func Restore(ctx context.Context, src, into, kek string) (Report, error) {
	return Progress(nil).Restore(ctx, src, into, kek)
}

// Restore is the function of that name.
func (p Progress) Restore(ctx context.Context, src, into, kek string) (Report, error) {
	r := &restoration{Report: newReport(p), ctx: ctx, src: src, kek: kek}
	err := r.restore(into)
	if err == nil {
		err = r.verdict()
	}
	return r.Report, prefix(err)
}

// restoration is one installation being made.
type restoration struct {
	Report
	ctx            context.Context
	src, into, kek string
	last           []string // files that come last
}

func (r *restoration) restore(into string) error {
	keeper, err := vault.LoadKEK(r.kek)
	if err != nil {
		return err
	}
	list, err := r.open(r.src)
	if err != nil {
		return err
	}
	defer list.close()
	r.total = 2 * r.Manifest.Bytes
	made, err := r.prepare(into)
	if err != nil {
		return err
	}
	if err := r.fill(keeper, list); err != nil {
		return errors.Join(err, empty(r.into, made))
	}
	r.Restored = true
	return nil
}

// prepare makes the directory, or takes an empty one.
func (r *restoration) prepare(into string) (made bool, err error) {
	if in, err := inside(into, r.src); err != nil {
		return false, fmt.Errorf("%w: %v", ErrPlace, err)
	} else if in {
		return false, fmt.Errorf("%w: %s lies in the backup", ErrPlace, into)
	}
	if r.into, err = absent(into); err == nil {
		return true, os.Mkdir(r.into, 0o700)
	} else if !errors.Is(err, ErrExists) {
		return false, err
	}
	if r.into, err = filepath.Abs(into); err != nil {
		return false, err
	}
	left, err := os.ReadDir(r.into)
	if err != nil {
		return false, fmt.Errorf("%w: %v", ErrExists, err)
	}
	for _, e := range left {
		if e.Name() != lostFound {
			return false, fmt.Errorf("%w: %s is not empty", ErrExists, r.into)
		}
	}
	return false, os.Chmod(r.into, 0o700)
}

// lostFound is in every empty file system.
const lostFound = "lost+found"

// empty takes away what was begun.
func empty(dir string, all bool) error {
	if all {
		return os.RemoveAll(dir)
	}
	left, err := os.ReadDir(dir)
	for _, e := range left {
		if e.Name() != lostFound {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// fill writes everything, durably.
func (r *restoration) fill(keeper vault.Keeper, list *listReader) error {
	s, err := r.database(r.ctx, r.src, r.into, keeper) // first: a wrong key should be known before hours of copying
	if err != nil {
		return err
	}
	if err := errors.Join(r.contents(s, list), s.Close()); err != nil {
		return err
	}
	for _, name := range r.last {
		if err := r.put(name); err != nil {
			return err
		}
	}
	keys := filepath.Join(r.into, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return err
	}
	for _, end := range []string{"", ".next"} { // the key that follows, where a change of keys was cut short (vault.RotateKEK)
		_, err := copyFile(r.ctx, r.kek+end, filepath.Join(keys, "kek"+end), func(int64) {})
		if err != nil && (end == "" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if err := syncDirs(r.into); err != nil {
		return err
	}
	return vault.SyncDir(filepath.Dir(r.into))
}

// find looks for one line of the list.
func find(src string, m Manifest, name string) (*entry, error) {
	list, err := openList(src, m)
	if err != nil {
		return nil, err
	}
	defer list.close()
	for list.cur != nil && list.cur.path != name && err == nil {
		err = list.next()
	}
	return list.cur, err
}

// contents copies the rest and reads the bodies.
func (r *restoration) contents(s *store.Store, list *listReader) error {
	r.Files = 1
	for ; list.cur != nil; r.Files++ {
		e := *list.cur
		if err := list.next(); err != nil {
			return err
		}
		if e.path == database {
			r.Files--
			continue
		}
		if err := r.copy(e); err != nil {
			return err
		}
	}
	r.lost()
	if err := r.rows(r.ctx, s); err != nil {
		return err
	}
	if err := r.read(r.ctx, s, filepath.Join(r.into, "data")); err != nil {
		return err
	}
	return s.Tx(r.ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: "backup", Action: "backup.restore", Object: "backup:" + r.Manifest.ID})
	})
}

// passing is the end of the names of files that are to come last.
const passing = ".restoring"

// copy copies one file. One that is damaged is kept as it is: its body does not read, and says so.
func (r *restoration) copy(e entry) error {
	to := filepath.Join(r.into, filepath.FromSlash(e.path))
	if e.path == configFile {
		to += passing
	}
	sum, err := copyFile(r.ctx, filepath.Join(r.src, filepath.FromSlash(e.path)), to, r.moved)
	if ours := (*writeError)(nil); errors.As(err, &ours) || r.ctx.Err() != nil {
		return errors.Join(r.ctx.Err(), err)
	}
	if err == nil && e.path == configFile {
		r.last = append(r.last, e.path)
	}
	r.judge(e.path, sum == e.sum, err)
	return nil
}

// put gives a file its name.
func (r *restoration) put(name string) error {
	name = filepath.Join(r.into, name)
	return os.Rename(name+passing, name)
}
