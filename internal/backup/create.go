package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/vault"
)

// Create writes a backup of a running installation into the new directory dest, which appears whole or not at all. ErrExists; ErrPlace;
// an error that wraps store.ErrUnsupported where the database is not ours to copy; ErrIncomplete beside a backup that is there.
//
// What a killed Create left, .NAME.partial beside dest, is removed by the next one for dest.
func Create(ctx context.Context, o Options, dest string) (Manifest, error) {
	if o.Store == nil || o.Blobs == nil || o.Dir == "" {
		return Manifest{}, errors.New("backup: options: want Store, Blobs and Dir")
	}
	o.By = cmp.Or(o.By, "backup")
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	c := &creation{Options: o, ctx: ctx}
	c.m = Manifest{Format: 1, ID: vault.NewID(o.Clock()), Created: o.Clock().UTC().Truncate(time.Millisecond)}
	err := c.create(dest)
	if err == nil && c.m.Lost > 0 {
		err = fmt.Errorf("%w: %d; the backup is made without them", ErrIncomplete, c.m.Lost)
	}
	return c.m, prefix(err)
}

func prefix(err error) error {
	for _, ours := range []error{ErrExists, ErrPlace, ErrIncomplete, ErrDamaged, ErrKEK} {
		if err == nil || errors.Is(err, ours) {
			return err
		}
	}
	return fmt.Errorf("backup: %w", err)
}

// creation is one backup being made.
type creation struct {
	Options
	ctx         context.Context
	m           Manifest
	at          string     // the directory under its passing name
	box         *vault.Box // of the copied database
	done, total int64
}

func (c *creation) create(dest string) (err error) {
	if dest, err = absent(dest); err != nil {
		return err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	for _, own := range append([]string{"data", "keys"}, beside[:]...) {
		if in, err := inside(dest, filepath.Join(c.Dir, own)); err != nil {
			return err
		} else if in {
			return fmt.Errorf("%w: %s is part of the installation itself", ErrPlace, dest)
		}
	}
	if err := c.key(); err != nil {
		return err
	}
	c.at = filepath.Join(filepath.Dir(dest), "."+filepath.Base(dest)+".partial")
	unlock, err := occupy(c.at)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.fill(); err != nil {
		return errors.Join(err, os.RemoveAll(c.at))
	}
	if err := os.Rename(c.at, dest); err != nil {
		return errors.Join(err, os.RemoveAll(c.at))
	}
	c.Progress(c.total, c.total)
	return vault.SyncDir(filepath.Dir(dest))
}

// key reads the key-encryption key of the installation.
func (c *creation) key() (err error) {
	if c.KEK != nil {
		return nil
	}
	c.KEK, err = vault.LoadKEK(filepath.Join(c.Dir, "keys", "kek"))
	return err
}

// occupy makes an empty directory, or takes over that of a process that is gone.
func occupy(dir string) (unlock func(), err error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: another backup is being written into %s", ErrExists, dir)
	}
	left, err := f.Readdirnames(-1)
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// fill writes everything, durably.
func (c *creation) fill() error {
	err := c.Store.Tx(c.ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: c.By, Action: "backup.create", Object: "backup:" + c.m.ID})
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.at, "data", "b"), 0o700); err != nil {
		return err
	}
	if err := c.Store.Snapshot(c.ctx, filepath.Join(c.at, database)); err != nil {
		return err
	}
	if err := c.estimate(); err != nil {
		return err
	}
	if err := c.bodies(); err != nil {
		return err
	}
	if err := c.config(); err != nil {
		return err
	}
	if err := c.list(); err != nil {
		return err
	}
	c.m.finish(c.box)
	if err := writeFile(filepath.Join(c.at, manifestFile), c.m.encode()); err != nil {
		return err
	}
	return syncDirs(c.at)
}

// estimate says about how many bytes are going to be moved: each is placed and hashed.
func (c *creation) estimate() error {
	info, err := os.Stat(filepath.Join(c.at, database))
	if err != nil {
		return err
	}
	c.total = info.Size()
	return c.Blobs.Walk(c.ctx, c.m.Created.AddDate(1, 0, 0), func(_ string, size int64) error {
		c.total += 2 * size
		return nil
	})
}

func (c *creation) moved(n int64) {
	c.done += n
	c.Progress(min(c.done, c.total), c.total)
}

// bodies places the bodies that are live in the copy of the database, which is opened for that.
func (c *creation) bodies() error {
	copied, err := store.Open(c.ctx, store.Options{Dir: filepath.Join(c.at, "data"), KEK: c.KEK, Clock: c.Clock})
	if err != nil {
		return fmt.Errorf("the copy of the database: %w", err)
	}
	c.box = copied.Box()
	made := make(map[string]bool)
	err = eachBody(c.ctx, copied, func(b store.Blob) error {
		if b.Key == "" {
			return nil
		}
		dir := filepath.Dir(filepath.Join(c.at, "data", b.Key))
		if !made[dir] {
			clear(made) // bodies come in the order of their hours
			made[dir] = true
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
		return c.place(b)
	})
	return errors.Join(err, copied.Close())
}

// eachBody calls fn with the live bodies.
func eachBody(ctx context.Context, s *store.Store, fn func(store.Blob) error) error {
	for after := ""; ; {
		var rows []store.Blob
		err := s.View(ctx, func(tx *store.Tx) (err error) { rows, err = tx.LiveBlobs(after, 100); return err })
		if err != nil {
			return err
		}
		for _, b := range rows {
			if err := errors.Join(ctx.Err(), fn(b)); err != nil {
				return err
			}
			after = b.ID
		}
		if len(rows) == 0 {
			return nil
		}
	}
}

// place puts one body into the backup. What the installation has lost must not keep the rest out.
func (c *creation) place(b store.Blob) error {
	whole, err := c.Blobs.Open(blob.Ref(b))
	if err == nil {
		err = whole.Close()
	}
	if err == nil {
		err = c.Blobs.Export(blob.Ref(b), filepath.Join(c.at, "data", b.Key))
	}
	switch {
	case errors.Is(err, blob.ErrDamaged), errors.Is(err, vault.ErrSealed), errors.Is(err, vault.ErrNoKey):
		c.m.Lost++
		if len(c.m.LostIDs) < shown {
			c.m.LostIDs = append(c.m.LostIDs, b.ID)
		}
		return nil
	case err != nil:
		return err
	}
	c.m.Bodies++
	c.moved(b.Size)
	return nil
}

// beside is what is written down beside the data. Keys are not in it, and the key of a TLS certificate is wherever its owner keeps it.
var beside = [...]string{configFile, "card.toml", "partners", "dns"}

// config copies it. What is kept elsewhere and linked to is copied; links below that are not followed, for they may lead to a key.
func (c *creation) config() error {
	for _, name := range beside {
		root, err := filepath.EvalSymlinks(filepath.Join(c.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if in, err := inside(root, filepath.Join(c.Dir, "keys")); err != nil || in {
			return errors.Join(err, fmt.Errorf("%w: %s leads to the keys", ErrPlace, filepath.Join(c.Dir, name)))
		}
		err = filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
				return nil
			}
			rel, bad := filepath.Rel(root, at)
			if err := errors.Join(err, bad); err != nil {
				return err
			}
			_, err = copyFile(c.ctx, at, filepath.Join(c.at, name, rel), func(int64) {})
			if errors.Is(err, fs.ErrNotExist) { // replaced meanwhile under a passing name
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// list hashes what is there now.
func (c *creation) list() error {
	files, err := newListWriter(c.at)
	if err != nil {
		return err
	}
	defer files.f.Close() // again, harmlessly, after files.close
	err = filepath.WalkDir(c.at, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || name == filepath.Join(c.at, listFile) {
			return err
		}
		rel, err := filepath.Rel(c.at, name)
		if err != nil {
			return err
		}
		sum, size, err := hashFile(c.ctx, name, c.moved)
		if err != nil {
			return err
		}
		c.m.Files++
		c.m.Bytes += size
		return files.add(entry{filepath.ToSlash(rel), sum})
	})
	if err != nil {
		return err
	}
	if c.m.List, err = files.close(); err != nil {
		return err
	}
	return syncFile(filepath.Join(c.at, database)) // it was opened
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func writeFile(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
