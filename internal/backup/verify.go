package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/vault"
)

// Verify reads all of a backup. With a nil kek it compares hashes only; with the key-encryption key a copy of the database is opened (in the
// directory for temporary files) and checked, and every live body is compared with its digest. The error that goes with
// problems in the Report wraps ErrDamaged, or ErrIncomplete where the only fault is that bodies had been lost before; ErrKEK.
func Verify(ctx context.Context, src string, kek vault.Keeper) (Report, error) {
	return Progress(nil).Verify(ctx, src, kek)
}

// Verify is the function of that name.
func (p Progress) Verify(ctx context.Context, src string, kek vault.Keeper) (Report, error) {
	r := newReport(p)
	err := r.verify(ctx, src, kek)
	if err == nil {
		err = r.verdict()
	}
	return r, prefix(err)
}

func (r *Report) verify(ctx context.Context, src string, kek vault.Keeper) error {
	list, err := r.open(src)
	if err != nil {
		return err
	}
	defer list.close()
	r.total = r.Manifest.Bytes
	var s *store.Store
	if kek != nil { // first: whether the key is the right one should be known before hours of reading
		r.total *= 2
		scratch, err := os.MkdirTemp("", "carepost-verify-*") // 0700
		if err != nil {
			return err
		}
		defer os.RemoveAll(scratch)
		switch s, err = r.database(ctx, src, scratch, kek); {
		case err != nil && len(r.Problems) == 0:
			return err
		case err == nil:
			defer s.Close()
			if err := r.rows(ctx, s); err != nil {
				return err
			}
		}
	}
	if err := r.compare(ctx, src, list); err != nil {
		return err
	}
	r.lost()
	if s == nil {
		return nil
	}
	return r.read(ctx, s, filepath.Join(src, "data"))
}

// open reads what tells of the rest.
func (r *Report) open(src string) (*listReader, error) {
	info, err := os.Stat(src)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is no directory", ErrPlace, src)
	}
	if r.Manifest, err = readManifest(src); err != nil {
		return nil, r.without(manifestFile, err)
	}
	list, err := openList(src, r.Manifest)
	return list, r.without(listFile, err)
}

// without notes why one of the two files that tell of the rest cannot be used.
func (r *Report) without(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.add(Problem{Path: name, What: Missing})
		return fmt.Errorf("%w: there is no %s", ErrDamaged, name)
	case errors.Is(err, errIrregular):
		r.add(Problem{Path: name, What: Changed})
		return fmt.Errorf("%w: %s is %w", ErrDamaged, name, errIrregular)
	case errors.Is(err, ErrDamaged):
		r.add(Problem{Path: name, What: Changed})
	}
	return err
}

// database copies the database into the directory into and opens the copy. What is wrong with it is a problem, and the error wraps ErrDamaged.
func (r *Report) database(ctx context.Context, src, into string, kek vault.Keeper) (*store.Store, error) {
	sum, err := copyFile(ctx, filepath.Join(src, database), filepath.Join(into, database), r.moved)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errIrregular) {
		return nil, err
	}
	want, bad := find(src, r.Manifest, database)
	if bad != nil {
		return nil, r.without(listFile, bad)
	}
	r.judge(database, want != nil && want.sum == sum, err)
	if r.bad[database] {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, database)
	}
	s, err := store.Open(ctx, store.Options{Dir: filepath.Join(into, "data"), KEK: kek})
	switch {
	case errors.Is(err, vault.ErrKEK):
		return nil, ErrKEK
	case err != nil && ctx.Err() == nil:
		r.add(Problem{Path: database, What: Unsound})
		return nil, fmt.Errorf("%w: %s: %v", ErrDamaged, database, err)
	case err != nil:
		return nil, err
	}
	if err := r.Manifest.proven(s.Box()); err != nil {
		return nil, errors.Join(r.without(manifestFile, err), s.Close())
	}
	r.Opened = true
	return s, nil
}

// lost repeats what the manifest says.
func (r *Report) lost() {
	for _, id := range r.Manifest.LostIDs {
		r.add(Problem{Body: id, What: Lost})
	}
}

// compare goes through the files and the list side by side.
func (r *Report) compare(ctx context.Context, src string, list *listReader) error {
	missing := func() error {
		r.add(Problem{Path: list.cur.path, What: Missing})
		return list.next()
	}
	err := filepath.WalkDir(src, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, name)
		if err != nil || e.IsDir() {
			return err
		}
		rel = filepath.ToSlash(rel)
		if rel == manifestFile || rel == listFile {
			return nil
		}
		for list.cur != nil && before(list.cur.path, rel) {
			if err := missing(); err != nil {
				return err
			}
		}
		if list.cur == nil || list.cur.path != rel {
			r.add(Problem{Path: rel, What: Extra})
			return ctx.Err()
		}
		want := list.cur.sum
		if err := list.next(); err != nil {
			return err
		}
		r.Files++
		sum, _, err := hashFile(ctx, name, r.moved)
		r.judge(rel, sum == want, err)
		return ctx.Err()
	})
	for err == nil && list.cur != nil {
		err = missing()
	}
	return err
}

// judge notes what reading a file has shown.
func (r *Report) judge(rel string, same bool, err error) {
	switch {
	case errors.Is(err, errIrregular), err == nil && !same:
		r.add(Problem{Path: rel, What: Changed})
	case errors.Is(err, fs.ErrNotExist):
		r.add(Problem{Path: rel, What: Missing})
	case err != nil:
		r.add(Problem{Path: rel, What: Unreadable})
	}
}

// verifyLog compares the audit log with its heads. In an old installation, or one that never ran, some entries have no place yet.
func verifyLog(ctx context.Context, s *store.Store) error {
	log, err := audit.NewLog(audit.LogOptions{Store: s, Keys: keyring.New(s)})
	if err != nil {
		return err
	}
	found, err := log.Verify(ctx, audit.VerifyOptions{})
	if err == nil && len(found.Findings) > 0 {
		err = fmt.Errorf("%w: the audit log: %s", ErrDamaged, found.Findings[0].What)
	}
	return err
}

// rows has the engine check the database, and verifies the audit log.
func (r *Report) rows(ctx context.Context, s *store.Store) error {
	err := s.Check(ctx)
	if err == nil {
		err = verifyLog(ctx, s)
	}
	if err != nil && ctx.Err() == nil {
		r.add(Problem{Path: database, What: Unsound})
		return nil
	}
	return err
}

// read compares every live body under the data directory dir with its digest.
func (r *Report) read(ctx context.Context, s *store.Store, dir string) error {
	blobs, err := blob.ReadOnly(blob.Options{Dir: dir, Box: s.Box()})
	if err != nil {
		return err
	}
	lost := make(map[string]bool)
	for _, id := range r.Manifest.LostIDs {
		lost[id] = true
	}
	return eachBody(ctx, s, func(b store.Blob) error {
		if b.Key != "" && r.bad["data/"+b.Key] { // and perhaps no file at all
			return ctx.Err()
		}
		err := blobs.CheckPieces(ctx, blob.Ref(b), func(n int64) error {
			if b.Key != "" {
				r.moved(n)
			}
			return nil
		})
		switch {
		case err == nil:
			r.Bodies++
		case ctx.Err() != nil:
			return ctx.Err()
		case lost[b.ID]:
		case b.Key == "":
			r.add(Problem{Path: database, Body: b.ID, What: Unsound})
		default:
			r.add(Problem{Path: "data/" + b.Key, Body: b.ID, What: Unsound})
		}
		return nil
	})
}
