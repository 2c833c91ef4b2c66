package fileset

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"strings"
)

// zipWriter writes an archive front to back (APPNOTE 4.3). Ours rather than archive/zip's because every byte has to depend on the
// files alone, and because stored entries must have CRC and sizes in front: Java's ZipInputStream reads them no other way.
type zipWriter struct {
	w       io.Writer
	at      int64
	plain   bool // nothing is deflated
	entries []zipEntry
	head    []byte // of the entry at hand
}

type zipEntry struct {
	name         string
	method       uint16
	streamed     bool // CRC and sizes follow the data (general purpose bit 3)
	crc          uint32
	size, packed int64
	offset       int64
}

const (
	stored       = 0
	deflate      = 8
	bitStreamed  = 1 << 3
	bitUTF8      = 1 << 11
	dosDate      = 1<<5 | 1 // 1980-01-01, so that the same set gives the same bytes
	maxStreamed  = 0xFF000000
	max32        = math.MaxUint32
	versionPlain = 20
	version64    = 45
)

func (z *zipWriter) Write(p []byte) (int, error) {
	n, err := z.w.Write(p)
	z.at += int64(n)
	return n, err
}

// begin writes the local header. Of a streamed entry sizes and CRC come with end.
func (z *zipWriter) begin(e zipEntry) error {
	z.local(e)
	_, err := z.Write(z.head)
	return err
}

// lay is begin of an entry whose data stand in memory, with just so much room before them as localSize says. Its caller writes both to w.
func (z *zipWriter) lay(e zipEntry, room []byte) {
	z.local(e)
	z.at += int64(copy(room, z.head)) + e.packed
}

// laid writes what lay has counted already.
func (z *zipWriter) laid(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := z.w.Write(b)
	return err
}

// localSize is the length of the local header of a small entry.
func localSize(name string) int { return 30 + len(name) }

// local enters e, and makes its local header.
func (z *zipWriter) local(e zipEntry) {
	e.offset = z.at
	size, packed, crc, extra := uint32(min(e.size, max32)), uint32(min(e.packed, max32)), e.crc, 0
	if e.big() {
		size, packed, extra = max32, max32, 20
	}
	if e.streamed {
		crc, size, packed = 0, 0, 0
	}
	b := e.common(append(z.head[:0], "PK\x03\x04"...), crc, packed, size, extra)
	b = append(b, e.name...)
	if e.big() {
		b = append(b, 1, 0, 16, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(e.size))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.packed))
	}
	z.entries, z.head = append(z.entries, e), b
}

func (e *zipEntry) big() bool { return e.size >= max32 || e.packed >= max32 }

// common appends what local and central headers share.
func (e *zipEntry) common(b []byte, crc, packed, size uint32, extra int) []byte {
	version, flags := uint16(versionPlain), uint16(0)
	if e.big() || e.offset >= max32 {
		version = version64
	}
	if e.streamed {
		flags = bitStreamed
	}
	for _, v := range [...]uint16{version, flags, e.method, 0, dosDate} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	for _, v := range [...]uint32{crc, packed, size} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.name)))
	return binary.LittleEndian.AppendUint16(b, uint16(extra))
}

// end writes the data descriptor of a streamed entry. Streamed entries stay below 4 GiB, so its sizes have 32 bits.
func (z *zipWriter) end(crc uint32, size, packed int64) error {
	e := &z.entries[len(z.entries)-1]
	e.crc, e.size, e.packed = crc, size, packed
	b := []byte("PK\x07\x08")
	for _, v := range []uint32{crc, uint32(packed), uint32(size)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	_, err := z.Write(b)
	return err
}

// whole writes a small entry at once, deflated if that is allowed and makes it smaller.
func (z *zipWriter) whole(name string, data []byte) error {
	var packed []byte
	if !z.plain {
		packed = deflated(data)
	}
	return z.known(name, crc32.ChecksumIEEE(data), data, packed)
}

// known writes a small entry whose CRC-32 is known, as it is or, if that is smaller, as deflated.
func (z *zipWriter) known(name string, crc uint32, data, deflated []byte) error {
	e := zipEntry{name: name, method: stored, crc: crc, size: int64(len(data)), packed: int64(len(data))}
	if deflated != nil && len(deflated) < len(data) {
		e.method, e.packed, data = deflate, int64(len(deflated)), deflated
	}
	if err := z.begin(e); err != nil {
		return err
	}
	_, err := z.Write(data)
	return err
}

// close writes the central directory, in ZIP64 form where numbers ask for it (APPNOTE 4.3.12–16).
func (z *zipWriter) close() error {
	start := z.at
	b := z.head[:0]
	for i := range z.entries {
		if b = z.entries[i].central(b); len(b) < 32<<10 {
			continue
		}
		if _, err := z.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	end, n := z.at+int64(len(b)), len(z.entries)
	if n >= math.MaxUint16 || end-start >= max32 || start >= max32 {
		b = append(b, "PK\x06\x06"...)
		b = binary.LittleEndian.AppendUint64(b, 44)
		b = binary.LittleEndian.AppendUint16(b, version64)
		b = binary.LittleEndian.AppendUint16(b, version64)
		b = append(b, make([]byte, 8)...) // disk numbers
		for _, v := range []int64{int64(n), int64(n), end - start, start} {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		b = append(b, "PK\x06\x07\x00\x00\x00\x00"...)
		b = binary.LittleEndian.AppendUint64(b, uint64(end))
		b = binary.LittleEndian.AppendUint32(b, 1)
	}
	b = append(b, "PK\x05\x06\x00\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(min(n, math.MaxUint16)))
	b = binary.LittleEndian.AppendUint16(b, uint16(min(n, math.MaxUint16)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(end-start, max32)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(start, max32)))
	b = append(b, 0, 0) // no comment
	_, err := z.Write(b)
	return err
}

// central appends the header of the central directory.
func (e *zipEntry) central(b []byte) []byte {
	var extra []byte
	size, packed, offset := uint32(min(e.size, max32)), uint32(min(e.packed, max32)), uint32(min(e.offset, max32))
	if e.big() {
		size, packed = max32, max32
		extra = binary.LittleEndian.AppendUint64(extra, uint64(e.size))
		extra = binary.LittleEndian.AppendUint64(extra, uint64(e.packed))
	}
	if e.offset >= max32 {
		extra = binary.LittleEndian.AppendUint64(extra, uint64(e.offset))
	}
	if len(extra) > 0 {
		head := binary.LittleEndian.AppendUint16([]byte{1, 0}, uint16(len(extra)))
		extra = append(head, extra...)
	}
	version := byte(versionPlain)
	if e.big() || e.offset >= max32 {
		version = version64
	}
	b = append(b, "PK\x01\x02"...)
	b = append(b, version, 0)
	b = e.common(b, e.crc, packed, size, len(extra))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // comment length, disk, attributes
	if strings.HasSuffix(e.name, "/") {
		b[len(b)-4] = 1 << 4 // a folder (APPNOTE 4.4.15)
	}
	b = binary.LittleEndian.AppendUint32(b, offset)
	return append(append(b, e.name...), extra...)
}
