package fileset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
)

// block is how much of a file is deflated at once: blocks are deflated side by side and joined, so one big file keeps all processors
// busy, and memory is a few blocks whatever the size. The bytes depend on this number, not on the processors.
const block = 1 << 20

// job is one block on its way: read and hashed by the producer, deflated by a worker, written by the caller of WriteZIP. It is a piece of a
// file, or several small files.
type job struct {
	small       []smallFile
	file        int // index of the source
	first, last bool
	method      uint16
	bytes       int64 // of files, in raw
	raw         []byte
	out         bytes.Buffer
	crc         uint32 // of the whole file: on the last block, and on the first of a stored file
	sum         []byte // SHA-256 of the whole file, on the last block
	ready       chan struct{}
	err         error
}

// packer owns the goroutines of one WriteZIP.
type packer struct {
	p     *Plan
	ctx   context.Context
	more  Beside           // may be nil
	told  func([]zipEntry) // of the archive, at its end; may be nil
	free  chan *job        // at most so many blocks are in memory
	work  chan *job
	order chan *job
	files opener // of produce
}

// WriteZIP writes DICOM.ZIP: DICOMDIR, the instances, MANIFEST. The same sources give the same bytes. Progress is told in bytes of
// the instances, from one goroutine. ErrChanged when a source is not what Scan saw. It never closes w.
func (p *Plan) WriteZIP(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	return p.WriteWith(ctx, w, nil, progress)
}

// WriteWith is WriteZIP of a set with something beside it, so that one archive may serve several standards.
func (p *Plan) WriteWith(ctx context.Context, w io.Writer, more Beside, progress func(done, total int64)) error {
	return p.pack(ctx, w, more, progress, nil)
}

func (p *Plan) pack(ctx context.Context, w io.Writer, more Beside, progress func(done, total int64), told func([]zipEntry)) error {
	ctx, cancel := context.WithCancel(ctx)
	workers := min(runtime.GOMAXPROCS(0), 4)
	blocks := 2*workers + 2
	k := &packer{p: p, ctx: ctx, more: more, told: told, free: make(chan *job, blocks), work: make(chan *job, blocks), order: make(chan *job, blocks)}
	k.files.held = p.held
	for range blocks {
		k.free <- &job{raw: make([]byte, 0, block), ready: make(chan struct{}, 1)}
	}
	var wg sync.WaitGroup
	wg.Go(k.produce)
	for range workers {
		wg.Go(k.deflate)
	}
	err := k.write(w, progress)
	cancel()
	wg.Wait()
	if err != nil {
		return fmt.Errorf("fileset: %w", err)
	}
	return nil
}

// write puts the blocks into the archive in their order.
func (k *packer) write(w io.Writer, progress func(done, total int64)) error {
	n := len(k.p.sources) + len(k.p.extras) + 2
	z := &zipWriter{w: w, plain: k.p.stored, entries: make([]zipEntry, 0, n)}
	m := newManifest(n)
	sum := sha256.Sum256(k.p.directory)
	m.add(sum[:], int64(len(k.p.directory)), DirectoryName)
	if err := z.whole(DirectoryName, k.p.directory); err != nil {
		return err
	}
	var done, packed int64
	for j := range k.order {
		select {
		case <-j.ready:
		case <-k.ctx.Done():
			return k.ctx.Err()
		}
		if j.err != nil {
			return j.err
		}
		if err := k.writeJob(z, m, j, &packed); err != nil {
			return err
		}
		if done += j.bytes; progress != nil {
			progress(done, k.p.Bytes)
		}
		k.free <- j
	}
	if err := k.ctx.Err(); err != nil {
		return err
	}
	if err := k.p.writeExtras(k.ctx, z, m); err != nil {
		return err
	}
	list := m.bytes()
	if err := z.whole(DescriptorName, list); err != nil {
		return err
	}
	if k.more != nil {
		if err := k.more(&ArchiveWriter{z}); err != nil {
			return err
		}
	}
	if k.told != nil {
		k.told(z.entries)
	}
	return z.close()
}

func (k *packer) writeJob(z *zipWriter, m *manifestMaker, j *job, packed *int64) error {
	if len(j.small) > 0 {
		return k.writeSmall(z, m, j)
	}
	x := &k.p.Instances[j.file]
	if err := k.writeBlock(z, x, j, packed); err != nil {
		return err
	}
	if j.last {
		m.add(j.sum, x.Size, x.FileID)
	}
	return nil
}

func (k *packer) writeBlock(z *zipWriter, x *Instance, j *job, packed *int64) error {
	if j.first && j.last {
		if j.method == stored {
			return z.known(x.FileID, j.crc, j.raw, nil)
		}
		return z.known(x.FileID, j.crc, j.raw, j.out.Bytes())
	}
	if j.first {
		*packed = 0
		e := zipEntry{name: x.FileID, method: j.method, streamed: true}
		if j.method == stored {
			e.streamed, e.crc, e.size, e.packed = false, j.crc, x.Size, x.Size
		}
		if err := z.begin(e); err != nil {
			return err
		}
	}
	data := j.raw
	if j.method == deflate {
		data = j.out.Bytes()
	}
	*packed += int64(len(data))
	if _, err := z.Write(data); err != nil {
		return err
	}
	if j.last && j.method == deflate {
		return z.end(j.crc, x.Size, *packed)
	}
	return nil
}

// produce reads the sources in order.
func (k *packer) produce() {
	defer close(k.work)
	defer close(k.order)
	defer k.files.close()
	var batch *job
	for i := range k.p.sources {
		if k.p.sources[i].size <= smallSize {
			if batch = k.gather(batch, i); batch == nil {
				return
			}
			continue
		}
		k.passOn(batch)
		if batch = nil; !k.read(i) {
			return
		}
	}
	k.passOn(batch)
}

// read cuts source i into blocks. It returns false when the work is over, with a last job that says why unless ctx does.
func (k *packer) read(i int) bool {
	src := k.p.sources[i]
	fail := func(err error) bool {
		if j := k.job(); j != nil {
			j.err = err
			j.ready <- struct{}{}
			k.order <- j
		}
		return false
	}
	f, err := src.open(&k.files)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	method, crc := k.p.methodOf(i), uint32(0)
	if method == stored && src.size > block {
		if crc, err = k.crcOf(f); err != nil {
			return fail(fmt.Errorf("%s: %w", src.path, err))
		}
	}
	sha, sum := sha256.New(), crc32.NewIEEE()
	for off := int64(0); off < src.size; off += block {
		j := k.job()
		if j == nil {
			return false
		}
		n := min(block, src.size-off)
		j.file, j.first, j.last, j.method, j.raw, j.bytes, j.crc = i, off == 0, off+n == src.size, method, j.raw[:n], n, crc
		if _, err := f.ReadAt(j.raw, off); err != nil && !(errors.Is(err, io.EOF) && j.last) {
			return k.failed(j, fmt.Errorf("%w: %s: %v", ErrChanged, src.path, err))
		}
		sha.Write(j.raw)
		sum.Write(j.raw)
		if j.first && crc32.ChecksumIEEE(j.raw[:min(lookSize, n)]) != src.head {
			return k.failed(j, fmt.Errorf("%w: %s", ErrChanged, src.path))
		}
		if j.last {
			if err := src.finished(f, j, sha, sum, method == stored && src.size > block); err != nil {
				return k.failed(j, err)
			}
		}
		k.order <- j // never waits: as many places as jobs
		if method == deflate {
			k.work <- j
		} else {
			j.ready <- struct{}{}
		}
	}
	return true
}

// job waits for a free one; nil when the work was called off.
func (k *packer) job() *job {
	select {
	case <-k.ctx.Done():
		return nil
	case j := <-k.free:
		j.err, j.sum, j.small, j.bytes = nil, nil, j.small[:0], 0
		j.out.Reset()
		return j
	}
}

func (k *packer) failed(j *job, err error) bool {
	j.err = err
	j.ready <- struct{}{}
	k.order <- j
	return false
}

// deflate packs blocks until there are no more. A block that is not the last ends in an empty stored block, on a byte boundary, so
// that the next can follow it (RFC 1951 §3.2.4).
func (k *packer) deflate() {
	fw, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	for j := range k.work {
		switch {
		case err == nil && len(j.small) > 0:
			j.err = j.deflateSmall(fw)
		case err == nil:
			fw.Reset(&j.out)
			_, j.err = fw.Write(j.raw)
			if j.last && j.err == nil {
				j.err = fw.Close()
			} else if j.err == nil {
				j.err = fw.Flush()
			}
		default:
			j.err = err
		}
		j.ready <- struct{}{}
	}
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	fw, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil
	}
	if _, err := fw.Write(b); err != nil || fw.Close() != nil {
		return nil
	}
	return out.Bytes()
}
