package fileset

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"carepost/dicom"
)

// content is what one file of a volume holds: every file is read once, to its end, for CRC, hash and keys together.
type content struct {
	read    bool
	sum     [sha256.Size]byte
	size    int64 // bytes read
	obj     *object
	err     error // of the object: not DICOM, cut, a directory…
	damaged error // of the file: CRC, length
}

// contents reads all files of v but those skipped, on all processors. An error is of the disk or of ctx.
func contents(ctx context.Context, v *volume, skip map[int]bool, t *tables, progress func(done, total int64)) ([]content, error) {
	out := make([]content, len(v.files))
	var total, done int64
	for i := range v.files {
		if !skip[i] {
			total += v.files[i].size
		}
	}
	in := newInterner()
	var next atomic.Int64
	var mu sync.Mutex
	var failed error
	advance := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		if done += n; progress != nil {
			progress(min(done, total), total)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(v.files), 8) {
		wg.Go(func() {
			r := newReader(t, in)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(v.files) || ctx.Err() != nil {
					return
				}
				if skip[i] {
					continue
				}
				c, err := r.content(ctx, &v.files[i], advance)
				if err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					cancel()
					return
				}
				out[i] = c
			}
		})
	}
	wg.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return out, failed
}

// content reads one file.
func (r *reader) content(ctx context.Context, f *volumeFile, advance func(int64)) (content, error) {
	c := content{read: true}
	rc, err := f.open()
	if err != nil {
		return c, err
	}
	defer rc.Close()
	t := &tap{ctx: ctx, r: rc, h: sha256.New(), advance: advance}
	file, err := r.s.Scan(t)
	if err == nil {
		c.obj, err = r.object(file)
	}
	c.err = err
	if t.err == nil {
		_, _ = io.Copy(io.Discard, t) // t keeps the error
	}
	t.flush()
	t.h.Sum(c.sum[:0])
	c.size = t.n
	switch {
	case errors.Is(t.err, io.EOF):
		return c, nil
	case broken(t.err):
		c.damaged = t.err
		return c, nil
	}
	return c, t.err
}

// tap hashes what passes and keeps the error that ended it, whatever the scanner makes of it.
type tap struct {
	ctx context.Context
	r   io.Reader
	h   interface {
		io.Writer
		Sum([]byte) []byte
	}
	n       int64
	told    int64
	err     error
	advance func(int64)
}

func (t *tap) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if err := t.ctx.Err(); err != nil {
		t.err = err
		return 0, err
	}
	n, err := t.r.Read(p)
	t.h.Write(p[:n])
	if t.n += int64(n); t.n-t.told >= 1<<20 {
		t.flush()
	}
	t.err = err
	return n, err
}

func (t *tap) flush() {
	if t.n > t.told {
		t.advance(t.n - t.told)
		t.told = t.n
	}
}

// isInstance says that a file is a DICOM object that a set would have to reference.
func (c *content) isInstance() bool { return c.obj != nil }

// fault names the rule that an unreadable object breaks.
func (c *content) fault() rule {
	switch {
	case errors.Is(c.err, dicom.ErrNotDICOM):
		return ruleNotDICOM
	case errors.Is(c.err, dicom.ErrCut):
		return ruleCut
	}
	return ruleUnreadable
}
