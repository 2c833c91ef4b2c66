package fileset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// UnpackOptions of Unpack. The zero value takes out COMPLETE sets alone.
type UnpackOptions struct {
	CheckOptions
	AllowViolations bool
	AllowIncomplete bool // and VIOLATIONS
}

// Unpack judges a DICOM.ZIP and, if it may, puts the set into dir, which must not exist or be empty. Instances and DICOMDIR are
// written byte for byte under their File IDs, other files beside them; they are hashed again on their way. All goes to a folder
// beside dir that is renamed at the end, so dir holds the whole set or does not exist. The Report comes with ErrDamaged and
// ErrRefused too.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, dir string, o UnpackOptions) (*Report, error) {
	o.Limits = o.Limits.withDefaults()
	v, err := zipVolume(r, size, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	c, err := check(ctx, v, o.CheckOptions)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	switch c.report.Verdict {
	case Complete:
	case Violations:
		if !o.AllowViolations && !o.AllowIncomplete {
			return c.report, ErrRefused
		}
	case Incomplete:
		if !o.AllowIncomplete {
			return c.report, ErrRefused
		}
	default:
		return c.report, ErrDamaged
	}
	if err := c.extract(ctx, dir); err != nil {
		return c.report, fmt.Errorf("fileset: %w", err)
	}
	return c.report, nil
}

// extract writes the files to a new folder beside dir and renames it.
func (c *checker) extract(ctx context.Context, dir string) error {
	dir = filepath.Clean(dir)
	if err := vacant(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".partial-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // gone after the rename
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return err
	}
	defer root.Close()
	for i := range c.v.files {
		if c.l.skip[i] {
			continue
		}
		name, ok := c.idOf[i]
		if !ok || !validFileID(name) {
			name = strings.TrimPrefix(c.v.files[i].name, c.l.prefix)
		}
		if err := c.extractFile(ctx, root, i, name); err != nil {
			return err
		}
	}
	if err := vacant(dir); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(tmp, dir)
}

// vacant says that dir may be made: it does not exist, or is an empty folder.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty", dir)
	}
	return nil
}

// extractFile writes one file. os.Root keeps it inside, whatever its name.
func (c *checker) extractFile(ctx context.Context, root *os.Root, i int, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if up := path.Dir(name); up != "." {
		if err := root.MkdirAll(up, 0o777); err != nil {
			return err
		}
	}
	rc, err := c.v.files[i].open()
	if err != nil {
		return err
	}
	defer rc.Close()
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), withContext(ctx, rc))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), c.contents[i].sum[:]) {
		return fmt.Errorf("%s changed while it was read", name)
	}
	return nil
}

// withContext makes a reader that ends with ctx.
func withContext(ctx context.Context, r io.Reader) io.Reader { return ctxReader{ctx, r} }

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
