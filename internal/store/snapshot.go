package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"carepost/internal/vault"
)

// Snapshot writes a copy of the database, as it is at one moment, to a new file at path (0600, durable when Snapshot returns, whole or not
// there). Others read and write meanwhile. An error that wraps fs.ErrExist if path is taken; ErrUnsupported on PostgreSQL.
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
	return vacuumInto(ctx, db, path, os.Link)
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
