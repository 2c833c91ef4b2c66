package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carepost/internal/vault"
)

// hour is the form of the directories under b: one for each hour (UTC) in which bodies were begun.
const hour = "2006/01/02/15"

// Walk calls fn with each body that was begun in an hour that ended at olderThan or before and whose file has not been touched since,
// in the order of their keys. A younger hour is not looked at, and what has not the name of a body of its hour is none. fn may end the
// walk by fs.SkipAll; a body that fn or somebody else removes meanwhile is passed over.
func (s *Store) Walk(ctx context.Context, olderThan time.Time, fn func(key string, size int64) error) error {
	return s.WalkFrom(ctx, "", olderThan, fn)
}

// WalkFrom is Walk for the keys after the one given.
func (s *Store) WalkFrom(ctx context.Context, after string, olderThan time.Time, fn func(key string, size int64) error) error {
	err := s.walk(ctx, "b", after, olderThan, fn)
	if errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// walk goes through the directory dir ("b", "b/2006", … "b/2006/01/02/15").
func (s *Store) walk(ctx context.Context, dir, after string, olderThan time.Time, fn func(string, int64) error) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, dir)) // in the order of their names
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	begins, leaf := time.Parse(hour, strings.TrimPrefix(dir, "b/"))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		key := dir + "/" + e.Name()
		switch {
		case leaf == nil && key > after:
			err = visit(filepath.Join(s.dir, key), key, e, begins, olderThan, fn)
		case leaf != nil && e.IsDir() && key >= after[:min(len(key), len(after))] && old(key, olderThan):
			err = s.walk(ctx, key, after, olderThan, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// old says whether a directory under b holds nothing but hours that ended at olderThan or before, or some such hours.
func old(dir string, olderThan time.Time) bool {
	name := strings.TrimPrefix(dir, "b/")
	if len(name) > len(hour) {
		return false
	}
	begins, err := time.Parse(hour[:len(name)], name)
	return err == nil && !begins.Add(time.Hour).After(olderThan) && begins.Format(hour[:len(name)]) == name
}

// visit calls fn with one body.
func visit(path, key string, e fs.DirEntry, begins, olderThan time.Time, fn func(string, int64) error) error {
	made, ok := vault.IDTime(e.Name())
	if !ok || !e.Type().IsRegular() || !made.Truncate(time.Hour).Equal(begins) {
		return nil
	}
	info, err := e.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("blob: %w", err)
	case info.ModTime().After(olderThan): // the clock stood wrong when it was begun, or stands wrong now
		return nil
	}
	return fn(key, info.Size())
}

// Prune removes directories of hours that ended at olderThan or before and hold nothing.
func (s *Store) Prune(ctx context.Context, olderThan time.Time) error {
	if s.frozen {
		return errFrozen
	}
	_, err := s.prune(ctx, "b", olderThan)
	return err
}

// prune tells whether the directory is empty in the end.
func (s *Store) prune(ctx context.Context, dir string, olderThan time.Time) (empty bool, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, dir))
	if err != nil {
		return false, fmt.Errorf("blob: %w", err)
	}
	left := len(entries)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		below := dir + "/" + e.Name()
		if !e.IsDir() || !old(below, olderThan) {
			continue
		}
		if empty, err := s.prune(ctx, below, olderThan); err != nil {
			return false, err
		} else if empty && ended(below, olderThan) && os.Remove(filepath.Join(s.dir, below)) == nil { // which refuses what is not empty
			left--
		}
	}
	return left == 0, nil
}

// ended says whether all the hours that a directory may hold ended at olderThan or before.
func ended(dir string, olderThan time.Time) bool {
	name := strings.TrimPrefix(dir, "b/")
	begins, err := time.Parse(hour[:len(name)], name)
	if err != nil {
		return false
	}
	end := begins.Add(time.Hour)
	switch len(name) {
	case len("2006"):
		end = begins.AddDate(1, 0, 0)
	case len("2006/01"):
		end = begins.AddDate(0, 1, 0)
	case len("2006/01/02"):
		end = begins.AddDate(0, 0, 1)
	}
	return !end.After(olderThan)
}
