package fileset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// UnpackOptions of Unpack. The zero value takes out COMPLETE sets alone.
type UnpackOptions struct {
	CheckOptions
	AllowViolations   bool
	AllowUnverifiable bool
	AllowIncomplete   bool // and VIOLATIONS
}

// refusal is why a set of verdict v is not taken out; nil if it is.
func (o *UnpackOptions) refusal(v Verdict) error {
	switch v {
	case Complete:
		return nil
	case Violations:
		if o.AllowViolations || o.AllowIncomplete {
			return nil
		}
		return ErrRefused
	case Unverifiable:
		if o.AllowUnverifiable || o.AllowIncomplete {
			return nil
		}
		return ErrRefused
	case Incomplete:
		if o.AllowIncomplete {
			return nil
		}
		return ErrRefused
	}
	return ErrDamaged
}

// Unpack judges a DICOM.ZIP and, if it may, puts the set into dir, which must not exist or be empty. Instances and DICOMDIR are
// written byte for byte under their File IDs, other files beside them. The archive is read once: what is judged goes to a folder
// beside dir on the way, which is renamed if the verdict allows it and removed if not, so dir holds the whole set or does not exist.
// The Report comes with ErrDamaged and ErrRefused too.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, dir string, o UnpackOptions) (*Report, error) {
	o.Limits = o.Limits.withDefaults()
	v, err := zipVolume(r, size, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	return unpack(ctx, v, dir, o)
}

func unpack(ctx context.Context, v *volume, dir string, o UnpackOptions) (*Report, error) {
	x := &extraction{dir: filepath.Clean(dir), allowed: func(v Verdict) bool { return o.refusal(v) == nil }}
	defer x.discard()
	occupied := x.vacant()
	if occupied != nil {
		x = nil // judged all the same
	}
	c, err := check(ctx, v, o.CheckOptions, x)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	if err := o.refusal(c.report.Verdict); err != nil {
		return c.report, err
	}
	if occupied == nil {
		occupied = x.keep()
	}
	if occupied != nil {
		return c.report, fmt.Errorf("fileset: %w", occupied)
	}
	return c.report, nil
}

// extraction is a folder beside dir that takes the files of a set until it is renamed. It is made with its first file.
type extraction struct {
	dir     string
	allowed func(Verdict) bool
	names   map[int]string // file → name it goes under

	mu   sync.Mutex
	tmp  string
	root *os.Root
	made map[string]*os.Root // folders
}

// maxFolders bounds the folders that are held open; any others are opened again and again.
const maxFolders = 64

// create makes the file that takes file i of the volume. os.Root keeps it inside, whatever its name.
func (x *extraction) create(i int) (*os.File, error) {
	name := x.names[i]
	folder, err := x.folder(path.Dir(name))
	if err != nil {
		return nil, err
	}
	if folder == nil {
		return x.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	}
	return folder.OpenFile(path.Base(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
}

// folder gives a folder of the set, made where it is not there yet; nil when too many are open.
func (x *extraction) folder(name string) (*os.Root, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.root == nil {
		if err := x.begin(); err != nil {
			return nil, err
		}
	}
	if r, ok := x.made[name]; ok {
		return r, nil
	}
	if err := x.root.MkdirAll(name, 0o777); err != nil {
		return nil, err
	}
	if len(x.made) >= maxFolders {
		return nil, nil
	}
	r, err := x.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	x.made[name] = r
	return r, nil
}

func (x *extraction) begin() (err error) {
	if err := os.MkdirAll(filepath.Dir(x.dir), 0o777); err != nil {
		return err
	}
	if x.tmp, err = os.MkdirTemp(filepath.Dir(x.dir), "."+filepath.Base(x.dir)+".partial-"); err != nil {
		return err
	}
	x.made = make(map[string]*os.Root)
	x.root, err = os.OpenRoot(x.tmp)
	return err
}

// keep gives the folder its name.
func (x *extraction) keep() error {
	if x.root == nil { // nothing was there to be taken out
		if err := x.begin(); err != nil {
			return err
		}
	}
	if err := x.vacant(); err != nil {
		return err
	}
	if err := os.Remove(x.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(x.tmp, x.dir); err != nil {
		return err
	}
	x.close()
	x.tmp = ""
	return nil
}

func (x *extraction) close() {
	for _, r := range x.made {
		r.Close()
	}
	if x.root != nil {
		x.root.Close()
	}
	x.made, x.root = nil, nil
}

// discard removes what was not kept.
func (x *extraction) discard() {
	x.close()
	if x.tmp != "" {
		os.RemoveAll(x.tmp)
	}
}

// vacant says that dir may be made: it does not exist, or is an empty folder.
func (x *extraction) vacant() error {
	entries, err := os.ReadDir(x.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty", x.dir)
	}
	return nil
}

// name says under which names the files go: what a record names under its File ID, whatever the archive calls it.
func (x *extraction) name(c *checker) {
	for i := range c.v.files {
		if !c.l.skip[i] && i != c.l.directory {
			x.names[i] = strings.TrimPrefix(c.v.files[i].name, c.l.prefix)
		}
	}
	taken := map[int]bool{c.l.directory: true}
	take := func(id string) {
		if i := c.l.lookup(id); i >= 0 && !taken[i] && validFileID(id) {
			x.names[i], taken[i] = id, true
		}
	}
	if c.d != nil && (c.d.ours || c.d.descriptor == DescriptorName) {
		take(DescriptorName)
	}
	for r := range c.references() {
		take(r.fileID)
	}
}
