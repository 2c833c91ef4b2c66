package fileset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
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

// pass goes through the files of a volume once, and writes them where they are wanted on the way.
type pass struct {
	v    *volume
	t    *tables
	in   *interner
	room atomic.Int64 // bytes that deflated data sets may still grow to
	out  *extraction  // nil where nothing is wanted

	mu          sync.Mutex
	done, total int64
	progress    func(done, total int64)
}

func newPass(v *volume, t *tables, skip map[int]bool, o CheckOptions) *pass {
	p := &pass{v: v, t: t, in: newInterner(), progress: o.Progress}
	p.room.Store(max(1<<30, v.size*o.Limits.Ratio))
	for i := range v.files {
		if !skip[i] {
			p.total += v.files[i].size
		}
	}
	return p
}

func (p *pass) advance(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done += n; p.progress != nil {
		p.progress(min(p.done, p.total), p.total)
	}
}

// contents reads all files but those skipped and those read before, on all processors. An error is of the disk or of ctx.
func (p *pass) contents(ctx context.Context, skip map[int]bool, out []content) error {
	var next atomic.Int64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(out), 8) {
		wg.Go(func() {
			r := newReader(p.t, p.in, &p.room)
			var w *bufio.Writer
			if p.out != nil {
				w = bufio.NewWriterSize(nil, 64<<10)
			}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(out) {
					return
				}
				if skip[i] || out[i].read {
					continue
				}
				err := p.content(ctx, i, &out[i], w, func(t io.Reader) (err error) {
					out[i].obj, err = r.scan(t)
					return err
				})
				if err != nil {
					cancel(err) // the first is kept
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// content reads file i to its end, whatever scan makes of it. w is a buffer to write through, nil where nothing is written.
func (p *pass) content(ctx context.Context, i int, c *content, w *bufio.Writer, scan func(io.Reader) error) (err error) {
	rc, err := p.v.files[i].open()
	if err != nil {
		return err
	}
	defer rc.Close()
	t := &tap{ctx: ctx, r: rc, h: sha256.New(), advance: p.advance}
	if w != nil {
		f, err := p.out.create(i)
		if err != nil {
			return err
		}
		w.Reset(f)
		defer func() { err = errors.Join(err, w.Flush(), f.Close()) }()
		t.w = w
	}
	c.err = scan(t)
	if t.err == nil {
		_, _ = io.Copy(io.Discard, t) // t keeps the error
	}
	t.flush()
	t.h.Sum(c.sum[:0])
	c.read, c.size = true, t.n
	switch {
	case errors.Is(t.err, io.EOF):
		return nil
	case broken(t.err):
		c.damaged = t.err
		return nil
	}
	return t.err
}

// scan reads the headers of an object.
func (r *reader) scan(src io.Reader) (*object, error) {
	f, err := r.s.Scan(src)
	if err != nil {
		return nil, err
	}
	return r.object(f)
}

// tap hashes what passes, writes it on, and keeps the error that ended it, whatever the scanner makes of it.
type tap struct {
	ctx     context.Context
	r       io.Reader
	h       hash.Hash
	w       io.Writer // may be nil
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
	if t.w != nil {
		if _, err := t.w.Write(p[:n]); err != nil {
			t.err = err
			return 0, err
		}
	}
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
