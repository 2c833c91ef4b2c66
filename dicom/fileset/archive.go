package fileset

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Archive is a ZIP that was read under the guard that file-sets are read under, for what else comes in one: headers that disagree, entries
// that overlap, names that lead elsewhere or are one on some systems, links, bombs are findings.
type Archive struct{ a *archive }

// ArchiveFile is a file of an Archive.
type ArchiveFile struct {
	Name string // components joined by "/"; safe to be made in a folder unless Damaged
	Size int64  // bytes, as declared; Open gives no more and no less

	open func() io.ReadCloser
}

// OpenArchive reads the headers of a ZIP of size bytes. An error is one of r, never of the content.
func OpenArchive(r io.ReaderAt, size int64, lim Limits) (*Archive, error) {
	a, err := readArchive(r, size, lim.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	return &Archive{a}, nil
}

// Findings are those about the archive.
func (a *Archive) Findings() []Finding { return a.a.findings.all() }

// Damaged says that nothing must be taken out: a finding of that weight was made.
func (a *Archive) Damaged() bool {
	if a.a.fatal {
		return true
	}
	for _, f := range a.a.findings.list {
		if f.Severity == Damage {
			return true
		}
	}
	return false
}

// Files are the files in the order of the central directory; none where the archive cannot be read at all.
func (a *Archive) Files() []ArchiveFile {
	if a.a.fatal {
		return nil
	}
	out := make([]ArchiveFile, len(a.a.entries))
	for i := range a.a.entries {
		e := &a.a.entries[i]
		out[i] = ArchiveFile{Name: e.name, Size: e.size, open: func() io.ReadCloser { return a.a.open(e) }}
	}
	return out
}

// HasFolder says whether a folder has an entry of its own, in any case of letters.
func (a *Archive) HasFolder(name string) bool { return a.a.folders[fold(name)] }

// Open reads a file. Its end is io.EOF only if length and CRC are right; see Broken.
func (f ArchiveFile) Open() io.ReadCloser { return f.open() }

// Broken says that an error of reading a file is about the content of the archive, not about the disk.
func Broken(err error) bool { return broken(err) }

// ArchiveWriter writes a ZIP front to back; the same files give the same bytes. The first error ends it.
type ArchiveWriter struct{ z *zipWriter }

// NewArchiveWriter writes to w, which it never closes.
func NewArchiveWriter(w io.Writer) *ArchiveWriter { return &ArchiveWriter{&zipWriter{w: w}} }

// Folder writes an entry for a folder; name has no slash at its end.
func (a *ArchiveWriter) Folder(name string) error { return a.z.begin(zipEntry{name: name + "/"}) }

// Bytes writes a small file.
func (a *ArchiveWriter) Bytes(name string, b []byte) error { return a.z.whole(name, b) }

// File writes a file of size bytes whose CRC-32 (IEEE) is known: ErrChanged where r gives others. What is longer than a block is deflated
// only where pack says that it is worth it; otherwise it is stored, its sizes in front.
func (a *ArchiveWriter) File(name string, size int64, crc uint32, pack bool, r io.Reader) error {
	if size <= block {
		b, err := io.ReadAll(io.LimitReader(r, size+1))
		if err == nil && (int64(len(b)) != size || crc32.ChecksumIEEE(b) != crc) {
			err = ErrChanged
		}
		if err != nil {
			return err
		}
		return a.Bytes(name, b)
	}
	e := zipEntry{name: name, method: stored, crc: crc, size: size, packed: size}
	if pack = pack && !a.z.plain && size <= maxStreamed; pack {
		e = zipEntry{name: name, method: deflate, streamed: true}
	}
	if err := a.z.begin(e); err != nil {
		return err
	}
	sum, from, to := crc32.NewIEEE(), a.z.at, io.WriteCloser(nopCloser{a.z})
	if pack {
		fw, err := flate.NewWriter(a.z, flate.BestSpeed)
		if err != nil {
			return err
		}
		to = fw
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(to, sum)}, io.LimitReader(r, size+1), make([]byte, 256<<10))
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if n != size || sum.Sum32() != crc {
		return ErrChanged
	}
	if pack {
		return a.z.end(crc, size, a.z.at-from)
	}
	return nil
}

// Close ends the archive.
func (a *ArchiveWriter) Close() error { return a.z.close() }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Beside says what else goes into DICOM.ZIP, after the set: the File-set does not reference it (PS3.12 Y.1.1).
type Beside func(*ArchiveWriter) error
