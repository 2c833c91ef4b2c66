package xdm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"carepost/dicom/fileset"
)

// Errors of Unpack for what is not taken out.
var (
	ErrDamaged    = errors.New("xdm: damaged; nothing was taken out")
	ErrIncomplete = errors.New("xdm: documents are missing; nothing was taken out")
)

// UnpackOptions of Unpack. The zero value takes out packages whose documents are all there and what they are said to be, whatever rules of
// form they break.
type UnpackOptions struct {
	Options
	AllowIncomplete bool
}

// Unpack judges a package and, if it may, puts all its files into dir, which must not exist or be empty: under the names they have in the
// archive. They go to a folder beside dir that is renamed in the end, so dir holds all of it or does not exist. The Report comes with ErrDamaged
// and ErrIncomplete too.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, dir string, o UnpackOptions) (*Report, error) {
	c, err := open(ctx, r, size, o.Options)
	if err != nil {
		return nil, err
	}
	switch v := c.report.Verdict; {
	case v == fileset.Damaged:
		return c.report, ErrDamaged
	case v == fileset.Incomplete && !o.AllowIncomplete:
		return c.report, ErrIncomplete
	}
	if err := c.unpack(filepath.Clean(dir)); err != nil {
		if fileset.Broken(err) { // a file beside the documents, which the check did not read
			c.find(ruleBroken, "", "%v", err)
			c.report.Verdict = fileset.Damaged
			return c.report, ErrDamaged
		}
		return c.report, fmt.Errorf("xdm: %w", err)
	}
	return c.report, nil
}

func (c *checker) unpack(dir string) (err error) {
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
	defer os.RemoveAll(tmp)
	root, err := os.OpenRoot(tmp) // keeps every name inside, whatever it is
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range c.files {
		if err := c.extract(root, f); err != nil {
			return err
		}
	}
	if err := vacant(dir); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(tmp, dir)
}

func (c *checker) extract(root *os.Root, f fileset.ArchiveFile) (err error) {
	if err := root.MkdirAll(path.Dir(f.Name), 0o777); err != nil {
		return err
	}
	w, err := root.OpenFile(f.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	r := f.Open()
	defer r.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, &patient{c.ctx, r}, make([]byte, 64<<10))
	return cmp.Or(err, w.Close())
}

// vacant says that dir may be made: it does not exist, or is an empty folder.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty", dir)
	}
	return nil
}
