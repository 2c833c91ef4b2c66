package fileset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"carepost/dicom"
)

// source is a file that goes into the set: what Scan saw of it, to be seen again by WriteZIP.
type source struct {
	path  string
	given func() (File, error) // of an Input; nil: path is that of a file
	size  int64
	mod   time.Time
	head  uint32 // CRC-32 of the first lookSize bytes
	held  int32  // by which Plan.held knows it; 0: it is not open
}

// candidate is a file to look at. Those that were named are taken at their word; those found in a folder may be litter.
type candidate struct {
	path  string
	named bool
	given *Input // nil: path is that of a file
}

// collector gathers the files to look at.
type collector struct {
	cwd      string // once it was needed
	met      int    // files, those that are known already too
	list     []candidate
	problems []Problem
	seen     map[string]bool
}

// collect lists the files of paths in the order of their names.
func collect(ctx context.Context, paths []string, exclude string) (*collector, error) {
	c := &collector{seen: make(map[string]bool)}
	if abs, err := filepath.Abs(exclude); err == nil && exclude != "" {
		c.seen[abs] = true
	}
	for _, root := range paths {
		info, err := os.Stat(root)
		switch {
		case err != nil:
			c.wrong(root, plainReason(err))
			continue
		case info.Mode().IsRegular():
			c.add(root, true)
			continue
		case !info.IsDir():
			c.wrong(root, irregular)
			continue
		}
		before := c.met + len(c.problems)
		err = filepath.WalkDir(through(root), func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.visit(path, d, err)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if c.met+len(c.problems) == before {
			c.problems = append(c.problems, Problem{Files: []string{root}, Reason: "a folder without any DICOM file", Source: "PS3.11 X.3.3"})
		}
	}
	c.seen = nil
	return c, nil
}

func (c *collector) wrong(path, reason string) {
	c.problems = append(c.problems, Problem{Files: []string{path}, Reason: reason})
}

func (c *collector) add(path string, named bool) {
	c.met++
	if c.cwd == "" && !filepath.IsAbs(path) {
		c.cwd, _ = os.Getwd() // "": names alone tell files apart
	}
	key := filepath.Clean(path)
	if !filepath.IsAbs(path) {
		key = filepath.Join(c.cwd, path)
	}
	if !c.seen[key] {
		c.seen[key] = true
		c.list = append(c.list, candidate{path: path, named: named})
	}
}

// visit takes what lies in a folder.
func (c *collector) visit(path string, d fs.DirEntry, err error) {
	if err != nil {
		c.wrong(path, plainReason(err))
		return
	}
	mode := d.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			c.wrong(path, "a link to a folder or to nothing: give its target by name")
			return
		}
		mode = info.Mode()
	}
	switch {
	case mode.IsDir():
	case mode.IsRegular():
		c.add(path, false)
	default: // not even opened: a pipe would be waited for
		c.wrong(path, irregular)
	}
}

const irregular = "neither a file nor a folder"

// through names a folder so that WalkDir follows it if it is a link: the one that was named may be, those inside are not followed.
func through(dir string) string { return dir + string(filepath.Separator) }

// plainReason drops the operation and the path from an error of the file system; the path is named beside it.
func plainReason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// looked is what became of a candidate: an object, a directory, or an error.
type looked struct {
	src source
	obj *object
	err error
}

// look reads the headers of all candidates, on all processors.
func look(ctx context.Context, list []candidate, progress func(int), h *held) ([]looked, error) {
	out := make([]looked, len(list))
	t, in := newTables(), newInterner()
	var next, done atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range min(runtime.GOMAXPROCS(0), len(list), 8) {
		wg.Go(func() {
			r := newReader(t, in, nil)
			r.files.held = h
			defer r.files.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) || ctx.Err() != nil {
					return
				}
				out[i] = r.look(list[i])
				if n := done.Add(1); progress != nil {
					mu.Lock()
					progress(int(n))
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return out, ctx.Err()
}

func (r *reader) look(c candidate) (l looked) {
	f, src, err := c.open(&r.files)
	if err != nil {
		return looked{err: &unusable{reason: plainReason(err)}}
	}
	l.src = src
	defer func() {
		if raw, ok := f.(*rawFile); ok && l.err == nil && src.size <= smallSize {
			if l.src.held = r.files.held.hold(raw); l.src.held != 0 {
				return
			}
		}
		f.Close()
	}()
	if r.head == nil {
		r.head = make([]byte, lookSize)
	}
	head := r.head[:min(lookSize, src.size)]
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = &unusable{reason: plainReason(err)}
		return l
	}
	head = head[:n]
	l.src.head = crc32.ChecksumIEEE(head)
	if isManifest(head) {
		l.err = errManifest
		return l
	}
	file, err := r.s.ScanAt(&headed{head, f}, src.size)
	switch {
	case err == nil:
		l.obj, err = r.object(file)
	case errors.Is(err, dicom.ErrNotDICOM) && bytes.HasPrefix(head, []byte("PK\x03\x04")):
		err = fmt.Errorf("%w: a ZIP archive; unpack it, and name its folder", dicom.ErrNotDICOM)
	}
	l.err = err
	return l
}

// lookSize is what is read of every file at once: all that is wanted of most.
const lookSize = 32 << 10

// headed reads from the head of a file that has been read already, and from the file where that does not do.
type headed struct {
	head []byte
	f    io.ReaderAt
}

func (h *headed) ReadAt(p []byte, off int64) (int, error) {
	if n := int64(len(h.head)); off < n {
		done := copy(p, h.head[off:])
		if done == len(p) || n < lookSize { // there is no more
			return done, eofUnless(done == len(p))
		}
		more, err := h.f.ReadAt(p[done:], n)
		return done + more, err
	}
	return h.f.ReadAt(p, off)
}

func eofUnless(full bool) error {
	if full {
		return nil
	}
	return io.EOF
}

// Scan reads the headers of every file named, and of every file in the folders named, and plans the File-set. Nothing is written.
// *InputError says what keeps the set from being packed; other errors are of ctx.
func Scan(ctx context.Context, o ScanOptions, paths ...string) (*Plan, error) {
	found, err := collect(ctx, paths, o.Exclude)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	return found.scan(ctx, o, paths)
}

// scan looks at what was found.
func (found *collector) scan(ctx context.Context, o ScanOptions, paths []string) (plan *Plan, err error) {
	h := newHeld(o.Hold)
	defer func() {
		if err != nil {
			h.close()
		} else {
			plan.held = h
		}
	}()
	seen, err := look(ctx, found.list, o.Progress, h)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	b := &builder{o: o, problems: found.problems, t: newTables()}
	var directories []string
	for i, l := range seen {
		c := found.list[i]
		switch {
		case l.err == nil:
			b.take(l.src, l.obj)
		case errors.Is(l.err, errDirectory):
			directories = append(directories, c.path)
			b.note(ruleSkipped.at(c.path, "a DICOMDIR: the new set gets its own"))
		case errors.Is(l.err, errManifest):
			b.note(ruleSkipped.at(c.path, "the MANIFEST of an earlier set: the new set gets its own"))
		case !c.named && (litter(filepath.Base(c.path)) || strings.Contains(filepath.ToSlash(c.path), "/__MACOSX/")):
			b.note(ruleForeign.at(c.path, "left behind by a system; left out"))
		case !c.named && o.SkipForeign && isForeign(c.path, l.err):
			b.note(ruleForeign.at(c.path, "no DICOM object; left out as asked"))
		default:
			text, source := reason(l.err)
			b.problems = append(b.problems, Problem{Files: []string{c.path}, Reason: text, Source: source,
				Damaged: errors.Is(l.err, dicom.ErrCut) || errors.Is(l.err, dicom.ErrSyntax), Foreign: !c.named && isForeign(c.path, l.err)})
		}
	}
	return b.plan(ctx, paths, directories)
}
