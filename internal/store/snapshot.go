package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	driver "modernc.org/sqlite"

	"carepost/internal/vault"
)

// Snapshot writes a copy of the database, as it is at one moment, to a new file at path (0600, durable when Snapshot returns, whole or not
// there). Others read and write meanwhile. An error that wraps fs.ErrExist if path is taken; ErrUnsupported on PostgreSQL. On a file system
// without hard links (FAT, exFAT) nobody else may make path meanwhile.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	e, ok := s.engine.(*sqlite)
	if !ok {
		return ErrUnsupported
	}
	return prefix(e.snapshot(ctx, path))
}

func (e *sqlite) snapshot(ctx context.Context, path string) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := e.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	return vacuumInto(ctx, db, path, func(from, to string) error { return placeNew(from, to, os.Link) })
}

// placeNew gives a file a name that is free. A link, unlike a rename, never replaces what is there; where the file system has none the name is
// looked for first.
func placeNew(from, to string, link func(from, to string) error) error {
	err := link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "snapshot", Path: to, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if moved := os.Rename(from, to); moved != nil {
		return errors.Join(err, moved)
	}
	return nil
}

// Check has the engine go through the whole database: every page, every index against its table, every reference to another row. Others read
// and write meanwhile. ErrDamaged; ErrUnsupported on PostgreSQL, whose operator has other means.
func (s *Store) Check(ctx context.Context) error {
	e, ok := s.engine.(*sqlite)
	if !ok {
		return ErrUnsupported
	}
	db, err := e.connect("_pragma=query_only(1)")
	if err != nil {
		return prefix(err)
	}
	defer db.Close()
	var said string // not to be repeated: it may quote what is stored
	switch err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); {
	case ctx.Err() != nil:
		return prefix(ctx.Err())
	case malformed(err), err == nil && said != "ok":
		return fmt.Errorf("%w: its pages do not fit one another", ErrDamaged)
	case err != nil:
		return prefix(full(err))
	}
	var wrong int64
	switch err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM pragma_foreign_key_check").Scan(&wrong); {
	case ctx.Err() != nil:
		return prefix(ctx.Err())
	case err != nil:
		return prefix(full(err))
	case wrong > 0:
		return fmt.Errorf("%w: %d rows refer to rows that are not there", ErrDamaged, wrong)
	}
	return nil
}

// malformed says that the engine could not go on reading.
func malformed(err error) bool {
	var lite *driver.Error
	return errors.As(err, &lite) && (lite.Code()&0xff == 11 || lite.Code()&0xff == 26) // SQLITE_CORRUPT, SQLITE_NOTADB
}

// unfinished begins the names of copies that are being made.
const unfinished = ".snapshot-"

// removeCopies removes what a process that was killed left of its copies.
func removeCopies(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinished) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// vacuumInto writes db's copy under a passing name beside path; place gives it its name.
func vacuumInto(ctx context.Context, db *sql.DB, path string, place func(from, to string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), unfinished+"*") // 0600, which SQLite takes over for an empty file
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		_ = os.Remove(f.Name()) // gone already where it was renamed
	}()
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", f.Name()); err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	if err := f.Sync(); err != nil { // SQLite does not: it takes a copy for something that can be made again
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	return vault.SyncDir(filepath.Dir(path))
}
