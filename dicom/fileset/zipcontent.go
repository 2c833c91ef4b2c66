package fileset

import (
	"bufio"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Errors of reading an entry's content.
var (
	errCRC    = errors.New("the CRC-32 is not that of the data")
	errLength = errors.New("the length is not the declared one")
	errPacked = errors.New("the deflated data are broken")
)

// open reads the content of an entry, checking length and CRC at its end.
func (a *archive) open(e *entry) io.ReadCloser {
	if e.data < 0 || e.method != stored && e.method != deflate || e.flags&1 != 0 {
		return io.NopCloser(failing{errPacked})
	}
	raw := io.NewSectionReader(a.r, e.data, e.packed)
	if e.method == stored {
		return io.NopCloser(&summed{r: raw, left: e.size, want: e.crc})
	}
	in := a.inflater(raw)
	return &inflating{summed: summed{r: in.flate, left: e.size, want: e.crc, in: in}, a: a}
}

// inflating gives its inflater back when it is closed.
type inflating struct {
	summed
	a *archive
}

func (i *inflating) Close() error {
	if in := i.in; in != nil {
		i.in = nil
		i.r, i.left = failing{errPacked}, 0
		select {
		case i.a.free <- in:
		default:
		}
	}
	return nil
}

// inflater gives one that was used before, if there is one: their tables and buffers are large beside a small entry.
func (a *archive) inflater(sec *io.SectionReader) *packedReader {
	select {
	case in := <-a.free:
		in.sec, in.err = sec, nil
		in.buf.Reset(in)
		if err := in.flate.(flate.Resetter).Reset(in.buf, nil); err == nil {
			return in
		}
	default:
	}
	in := &packedReader{sec: sec}
	in.buf = bufio.NewReaderSize(in, 32<<10) // a ByteReader: the inflater takes no byte too many
	in.flate = flate.NewReader(in.buf)
	return in
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// packedReader is what the inflater reads from; it keeps apart what the disk says and what the data say.
type packedReader struct {
	sec   *io.SectionReader
	buf   *bufio.Reader
	flate io.ReadCloser // reads from buf
	err   error         // of the disk
}

func (p *packedReader) Read(b []byte) (int, error) {
	n, err := p.sec.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

// rest is how many packed bytes the inflater left.
func (p *packedReader) rest() int64 {
	at, err := p.sec.Seek(0, io.SeekCurrent)
	if err != nil {
		return -1
	}
	return p.sec.Size() - at + int64(p.buf.Buffered())
}

// summed ends with io.EOF only if length and CRC are right.
type summed struct {
	r    io.Reader
	in   *packedReader // nil when stored
	left int64
	want uint32
	sum  uint32
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if int64(n) > s.left {
		return 0, errLength
	}
	s.sum = crc32.Update(s.sum, crc32.IEEETable, p[:n])
	s.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case s.in != nil && s.in.err != nil:
		return n, s.in.err
	case !errors.Is(err, io.EOF):
		if s.in != nil {
			err = errPacked
		}
		return n, err
	case s.left != 0 || s.in != nil && s.in.rest() != 0:
		return n, errLength
	case s.sum != s.want:
		return n, errCRC
	}
	return n, io.EOF
}
