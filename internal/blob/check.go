package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Check reads all of a body and compares it with its digest. ErrDamaged; an error that wraps vault.ErrSealed or vault.ErrNoKey if its
// data key does not open.
func (s *Store) Check(ctx context.Context, r Ref) error {
	return s.CheckPieces(ctx, r, func(int64) error { return nil })
}

// CheckPieces is Check that calls moved with the size of each few MiB that were read, and ends with its error.
func (s *Store) CheckPieces(ctx context.Context, r Ref, moved func(n int64) error) error {
	b, err := s.Open(r)
	if err != nil {
		return err
	}
	defer b.Close()
	sum := sha256.New()
	for at := int64(0); at < b.Size(); at += stride {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.Copy(sum, io.NewSectionReader(b, at, min(stride, b.Size()-at)))
		if err == nil {
			err = moved(n)
		}
		if err != nil {
			return err
		}
	}
	if !bytes.Equal(sum.Sum(nil), r.SHA256) {
		return fmt.Errorf("%w: %s: other bytes than its digest tells", ErrDamaged, r.ID)
	}
	return nil
}

// Export gives the sealed file of a body a second name, on another disk a copy: to must not exist, and its directory must. The bytes
// are durable then, the name is the caller's business. Without a file (small bodies) it does nothing. ErrDamaged if it is missing.
func (s *Store) Export(r Ref, to string) error {
	if r.Key == "" {
		return nil
	}
	if !filepath.IsLocal(r.Key) {
		return fmt.Errorf("%w: %s: its name leads elsewhere", ErrDamaged, r.ID)
	}
	from := filepath.Join(s.dir, r.Key)
	err := os.Link(from, to)
	switch _, missing := os.Lstat(from); {
	case err == nil:
		return nil
	case errors.Is(missing, fs.ErrNotExist):
		return fmt.Errorf("%w: %s: missing", ErrDamaged, r.ID)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("blob: %w", err)
	}
	if err := copyFile(from, to); err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}

// copyFile writes a durable copy under a name that is free.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
