package fileset

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Files of up to smallSize octets share a block: handing each over on its own costs more than packing it.
const (
	smallSize = 64 << 10
	mostOfJob = 512 // files of one block
)

// smallFile is a file in a block of several.
type smallFile struct {
	file     int // of the sources
	room     int // in raw, for its local header
	from, to int // in raw
	out      int // end of what it deflates to, in out; 0 where it is stored
	method   uint16
	crc      uint32
	sum      [sha256.Size]byte
}

// gather reads file i into the block of small files, or into a new one where it is full. nil: the work is over.
func (k *packer) gather(j *job, i int) *job {
	src := k.p.sources[i]
	if j != nil && (len(j.raw)+localSize(k.p.Instances[i].FileID)+int(src.size) >= block || len(j.small) == mostOfJob) {
		k.passOn(j)
		j = nil
	}
	if j == nil {
		if j = k.job(); j == nil {
			return nil
		}
		j.raw = j.raw[:0]
	}
	if err := j.take(k, i); err != nil {
		j.small = j.small[:0]
		k.failed(j, err)
		return nil
	}
	return j
}

// take reads a small file whole, and makes sure that it is still what Scan saw.
func (j *job) take(k *packer, i int) error {
	src := &k.p.sources[i]
	x := smallFile{file: i, room: len(j.raw), method: k.p.methodOf(i)}
	x.from = x.room + localSize(k.p.Instances[i].FileID)
	x.to = x.from + int(src.size)
	j.raw = j.raw[:x.to+1] // one octet more, which must not be there
	data := j.raw[x.from:x.to]
	switch n, err := src.whole(&k.files, j.raw[x.from:]); {
	case err != nil:
		return err
	case n != len(data):
		return fmt.Errorf("%w: %s", ErrChanged, src.path)
	}
	j.raw = j.raw[:x.to]
	head := min(lookSize, len(data))
	if x.crc = crc32.ChecksumIEEE(data[:head]); x.crc != src.head {
		return fmt.Errorf("%w: %s", ErrChanged, src.path)
	}
	x.crc, x.sum = crc32.Update(x.crc, crc32.IEEETable, data[head:]), sha256.Sum256(data)
	j.small = append(j.small, x)
	j.bytes += src.size
	return nil
}

// whole reads all of a small source, whose end should come one octet before that of p.
func (s *source) whole(o *opener, p []byte) (n int, err error) {
	if s.given == nil {
		return s.wholeFile(o, p)
	}
	f, err := s.given()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if n, err = f.ReadAt(p, 0); err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("%w: %s: %v", ErrChanged, s.path, err)
	}
	return n, nil
}

// wholeFile is whole of a file: there are tens of thousands of them, and nothing is allocated for any.
func (s *source) wholeFile(o *opener, p []byte) (n int, err error) {
	f, ok := o.held.take(s.held, s.path)
	if !ok {
		if f, err = o.raw(s.path); err != nil {
			return 0, err
		}
	}
	defer f.Close()
	if n, err = f.read(p, 0, len(p)-1); err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("%w: %s: %v", ErrChanged, s.path, err)
	}
	if s.size <= lookSize {
		return n, nil // whether every octet is the one that Scan saw, their CRC-32 tells
	}
	return n, s.same(&f)
}

// passOn sends a block of small files on its way: to be deflated where any of them is.
func (k *packer) passOn(j *job) {
	if j == nil {
		return
	}
	k.order <- j // never waits: as many places as jobs
	for i := range j.small {
		if j.small[i].method == deflate {
			k.work <- j
			return
		}
	}
	j.ready <- struct{}{}
}

// deflateSmall packs each file on its own.
func (j *job) deflateSmall(fw *flate.Writer) error {
	for i := range j.small {
		x := &j.small[i]
		if x.method == deflate {
			fw.Reset(&j.out)
			if _, err := fw.Write(j.raw[x.from:x.to]); err != nil {
				return err
			}
			if err := fw.Close(); err != nil {
				return err
			}
		}
		x.out = j.out.Len()
	}
	return nil
}

// writeSmall puts the files of a block into the archive, each an entry of its own. Those that are stored stand in raw as they will in the
// archive, and side by side: they are written together.
func (k *packer) writeSmall(z *zipWriter, m *manifestMaker, j *job) error {
	from, done := 0, 0 // of out, of raw
	for i := range j.small {
		s := &j.small[i]
		x := &k.p.Instances[s.file]
		packed := j.out.Bytes()[from:max(from, s.out)]
		if from = max(from, s.out); s.method == deflate && len(packed) < s.to-s.from {
			if err := z.laid(j.raw[done:s.room]); err != nil {
				return err
			}
			if err := z.known(x.FileID, s.crc, j.raw[s.from:s.to], packed); err != nil {
				return err
			}
			done = s.to
		} else {
			size := int64(s.to - s.from)
			z.lay(zipEntry{name: x.FileID, method: stored, crc: s.crc, size: size, packed: size}, j.raw[s.room:s.from])
		}
		m.add(s.sum[:], x.Size, x.FileID)
	}
	return z.laid(j.raw[done:])
}
