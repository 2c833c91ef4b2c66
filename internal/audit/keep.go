package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"carepost/internal/store"
)

// ErrKept says that the log does not go on from a head that was kept: it is older, or another.
var ErrKept = errors.New("audit: the log does not go on from the head that was kept")

// Keeper has the last head of a log in a file, elsewhere than the database: whoever changes that alone cannot put an older log, or another,
// in its place unseen. A head goes into the file only if the log provably goes on from the one that is there (RFC 9162 §2.1.4).
type Keeper struct {
	log  *Log
	file string

	mu   sync.Mutex
	kept string // what was written last
	err  error  // why the last head is not in the file
}

// NewKeeper makes a keeper; Run starts it. Nodes may share a file.
func (l *Log) NewKeeper(file string) *Keeper { return &Keeper{log: l, file: file} }

// Run keeps heads until ctx ends. It is apart from Log.Run, for a file on another machine may make it wait. What goes wrong is logged once and
// tried again; Err tells.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.log.o.Every)
	defer tick.Stop()
	for {
		before := k.Err()
		if err := k.Keep(ctx); err != nil && ctx.Err() == nil && (before == nil || before.Error() != err.Error()) {
			k.log.o.Log.Error("keeping the head of the audit log", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Err tells why the last head is not in the file; nil if it is. ErrKept if what is there is of another log.
func (k *Keeper) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Keep brings the last head into the file. ErrKept: the file stays as it is.
func (k *Keeper) Keep(ctx context.Context) error {
	err := k.keep(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() == nil {
		k.err = err
	}
	return err
}

func (k *Keeper) keep(ctx context.Context) error {
	last, err := k.log.Last(ctx)
	if err == nil && last.Note == k.kept {
		return nil
	}
	unbegun := errors.Is(err, store.ErrNotFound)
	if err != nil && !unbegun {
		return err
	}
	there, err := readHead(k.file)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	switch {
	case unbegun && there == "":
		return nil
	case unbegun:
		return fmt.Errorf("%w: it has no head", ErrKept)
	case there != "":
		if last, err = k.log.goesOn(ctx, there); err != nil {
			return err
		}
	}
	if there != last.Note {
		if err := WriteHead(k.file, last.Note); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	k.kept = last.Note
	return nil
}

// goesOn proves that the log goes on from a head that was kept, and gives its last one. ErrKept.
func (l *Log) goesOn(ctx context.Context, kept string) (last Signed, err error) {
	if last, err = l.Last(ctx); err != nil { // after the file was read: another node may have written it
		return last, err
	}
	old, err := OpenHead(kept, last.Key)
	switch {
	case err != nil:
		return last, fmt.Errorf("%w: %w", ErrKept, err)
	case old.Size > last.Head.Size:
		return last, fmt.Errorf("%w: it has %d entries, not %d", ErrKept, last.Head.Size, old.Size)
	case old.Size == 0:
		return last, nil
	}
	err = l.o.Store.View(ctx, func(tx *store.Tx) error {
		proof, err := tlog.ProveTree(last.Head.Size, old.Size, newTree(tx, last.Head.Size))
		if err == nil && tlog.CheckTree(proof, last.Head.Size, last.Head.Root, old.Size, old.Root) != nil {
			err = fmt.Errorf("%w: its first %d entries are others", ErrKept, old.Size)
		}
		return err
	})
	return last, err
}

// readHead reads a file with a head; none if there is none, or if it is empty.
func readHead(name string) (string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	_, err = io.Copy(&b, io.LimitReader(f, maxHead+1)) // what is longer is none
	return b.String(), err
}

// WriteHead writes a head into a file, over what was there, which stays until the new one is whole. Whoever copies it elsewhere may read it.
func WriteHead(name, note string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".carepost-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(note)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
