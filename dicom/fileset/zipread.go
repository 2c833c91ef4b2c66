package fileset

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// archive is a ZIP whose headers were read and judged (APPNOTE 4.3). It trusts nothing: the end record, the central directory and each
// local header must agree, entries may not overlap, and names may not lead out of the folder. archive/zip checks none of that.
type archive struct {
	r        io.ReaderAt
	size     int64
	lim      Limits
	entries  []entry
	findings findings
	folders  map[string]bool // those with an entry of their own, by fold
	fatal    bool            // nothing can be said about the content

	free chan *packedReader // inflaters to use again
}

// Systems whose file modes stand in the upper half of the external attributes (APPNOTE 4.4.2).
const (
	hostUnix = 3
	hostMac  = 19
)

// entry of an archive that may be read. Folders are not among them.
type entry struct {
	name         string // components joined by "/"
	method       uint16
	crc          uint32
	size, packed int64
	header       int64 // offset of the local header
	data         int64 // offset of the packed data
	end          int64 // first byte after data and descriptor
	flags        uint16
	raw          string // name as the central directory has it
	folder       bool
}

func (a *archive) find(r rule, where, format string, args ...any) {
	a.findings.add(r.at(where, format, args...))
}

// stop ends the reading of an archive about which nothing more can be said.
func (a *archive) stop(r rule, format string, args ...any) *archive {
	a.find(r, "", format, args...)
	a.fatal = true
	return a
}

// endRecord is what the end of central directory says, ZIP64 included.
type endRecord struct {
	at, start, size, count int64
	first                  int64 // offset of the first of the end records
}

// readArchive reads the headers of a ZIP. An error is one of r, never of the content.
func readArchive(r io.ReaderAt, size int64, lim Limits) (*archive, error) {
	a := &archive{r: r, size: size, lim: lim, free: make(chan *packedReader, 8)}
	end, err := a.end()
	if err != nil || a.fatal {
		return a, err
	}
	if end.count > int64(lim.Entries) {
		return a.stop(ruleLimit, "%d entries: more than %d", end.count, lim.Entries), nil
	}
	if end.size > int64(lim.Entries)*4096 || end.size > 512<<20 {
		return a.stop(ruleLimit, "a central directory of %d bytes", end.size), nil
	}
	dir := make([]byte, end.size) // within the file: end has seen to that
	if err := a.readAt(dir, end.start); err != nil {
		return a, err
	}
	a.central(dir, end.count)
	if a.fatal {
		return a, nil
	}
	for i := range a.entries {
		if err := a.local(&a.entries[i]); err != nil {
			return a, err
		}
	}
	a.gaps(end)
	a.names()
	a.sums()
	a.folders = make(map[string]bool)
	for _, e := range a.entries {
		if e.folder {
			a.folders[fold(e.name)] = true
		}
	}
	a.entries = slices.DeleteFunc(a.entries, func(e entry) bool { return e.folder })
	return a, nil
}

// readAt reads all of p; the caller knows that it is there.
func (a *archive) readAt(p []byte, off int64) error {
	n, err := a.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("reading the archive: %w", cmp.Or(err, io.ErrUnexpectedEOF))
}

// end finds the end of central directory record. It stands at the very end; a comment or junk after it is a finding.
func (a *archive) end() (e endRecord, err error) {
	if a.size < 22 {
		a.stop(ruleZIPCut, "no ZIP archive: %d bytes", a.size)
		return e, nil
	}
	tail := make([]byte, min(a.size, 22+math.MaxUint16))
	if err := a.readAt(tail, a.size-int64(len(tail))); err != nil {
		return e, err
	}
	i := bytes.LastIndex(tail[:len(tail)-18], []byte("PK\x05\x06"))
	if i < 0 {
		a.stop(ruleZIPCut, "no end of central directory: cut, or no ZIP archive")
		return e, nil
	}
	b := tail[i:]
	comment := int(binary.LittleEndian.Uint16(b[20:]))
	switch extra := len(b) - 22 - comment; {
	case extra < 0:
		a.stop(ruleZIPCut, "cut inside the comment")
		return e, nil
	case extra > 0:
		a.find(ruleZIPJunk, "", "%d bytes after the end of the archive", extra)
	}
	le := binary.LittleEndian
	e.at = a.size - int64(len(b))
	e.first = e.at
	e.count, e.size, e.start = int64(le.Uint16(b[10:])), int64(le.Uint32(b[12:])), int64(le.Uint32(b[16:]))
	if le.Uint16(b[4:]) != 0 || le.Uint16(b[6:]) != 0 || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		a.stop(ruleZIP, "an archive in several volumes")
		return e, nil
	}
	if e.count == math.MaxUint16 || e.size == max32 || e.start == max32 {
		if err := a.end64(&e); err != nil || a.fatal {
			return e, err
		}
	}
	if e.size < 0 || e.start < 0 || e.start > e.first || e.size != e.first-e.start {
		a.stop(ruleZIP, "the central directory is not where the end record says: cut, joined or damaged")
	}
	return e, nil
}

// end64 reads the ZIP64 end records in front of e.
func (a *archive) end64(e *endRecord) error {
	var loc [20]byte
	if e.at < 20+56 {
		return nil
	}
	if err := a.readAt(loc[:], e.at-20); err != nil {
		return err
	}
	if string(loc[:4]) != "PK\x06\x07" {
		return nil // 65,535 entries may be the plain truth
	}
	le := binary.LittleEndian
	at := int64(le.Uint64(loc[8:]))
	if at < 0 || at > e.at-20-56 {
		a.stop(ruleZIP, "the ZIP64 end record is not where its locator says")
		return nil
	}
	var b [56]byte
	if err := a.readAt(b[:], at); err != nil {
		return err
	}
	if string(b[:4]) != "PK\x06\x06" || int64(le.Uint64(b[4:])) != e.at-20-at-12 {
		a.stop(ruleZIP, "a broken ZIP64 end record")
		return nil
	}
	if le.Uint32(loc[4:]) != 0 || le.Uint32(loc[16:]) > 1 || le.Uint64(b[16:]) != 0 || le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		a.stop(ruleZIP, "an archive in several volumes")
		return nil
	}
	count, size, start := int64(le.Uint64(b[32:])), int64(le.Uint64(b[40:])), int64(le.Uint64(b[48:]))
	if e.count != math.MaxUint16 && e.count != count || e.size != max32 && e.size != size || e.start != max32 && e.start != start {
		a.stop(ruleZIP, "the end record and that of ZIP64 differ")
		return nil
	}
	e.count, e.size, e.start, e.first = count, size, start, at
	return nil
}

// central takes the central directory apart.
func (a *archive) central(dir []byte, count int64) {
	le := binary.LittleEndian
	for n := int64(0); n < count; n++ {
		if len(dir) < 46 || string(dir[:4]) != "PK\x01\x02" {
			a.stop(ruleZIP, "the central directory breaks off after %d of %d entries", n, count)
			return
		}
		nameLen, extraLen, commentLen := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:])), int(le.Uint16(dir[32:]))
		if len(dir) < 46+nameLen+extraLen+commentLen {
			a.stop(ruleZIP, "the central directory breaks off inside entry %d", n+1)
			return
		}
		e := entry{flags: le.Uint16(dir[8:]), method: le.Uint16(dir[10:]), crc: le.Uint32(dir[16:]), packed: int64(le.Uint32(dir[20:])),
			size: int64(le.Uint32(dir[24:])), header: int64(le.Uint32(dir[42:])), raw: string(dir[46 : 46+nameLen])}
		if !sizes64(dir[46+nameLen:46+nameLen+extraLen], &e.size, &e.packed, &e.header) {
			a.find(ruleZIP, e.raw, "a broken ZIP64 extra field")
		}
		if le.Uint16(dir[34:]) != 0 {
			a.find(ruleZIP, e.raw, "it begins in another volume")
		}
		if host := dir[5]; host == hostUnix || host == hostMac {
			switch le.Uint32(dir[38:]) >> 16 & 0o170000 {
			case 0, 0o100000, 0o040000: // unsaid, a file, a folder
			default:
				a.find(ruleZIPLink, e.raw, "a symbolic link or a device")
			}
		}
		a.otherName(&e, dir[46+nameLen:46+nameLen+extraLen])
		a.judge(&e)
		a.entries = append(a.entries, e)
		dir = dir[46+nameLen+extraLen+commentLen:]
	}
	if len(dir) > 0 {
		a.stop(ruleZIP, "the central directory holds more than the %d entries it counts", count)
	}
}

// local compares an entry's local header with what the central directory says of it (APPNOTE 4.3.7).
func (a *archive) local(e *entry) error {
	var b [30]byte
	if e.header > a.size-30 {
		a.find(ruleZIP, e.raw, "its data lie outside the archive")
		e.data, e.end = -1, e.header
		return nil
	}
	if err := a.readAt(b[:], e.header); err != nil {
		return err
	}
	le := binary.LittleEndian
	nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	e.data = e.header + 30 + int64(nameLen) + int64(extraLen)
	e.end = e.data + e.packed
	if string(b[:4]) != "PK\x03\x04" || e.data > a.size || e.packed > a.size-e.data {
		a.find(ruleZIPLocal, e.raw, "no local header where the central directory says, or its data lie outside")
		e.data, e.end = -1, e.header
		return nil
	}
	rest := make([]byte, nameLen+extraLen)
	if err := a.readAt(rest, e.header+30); err != nil {
		return err
	}
	size, packed := int64(le.Uint32(b[22:])), int64(le.Uint32(b[18:]))
	crc, flags, method := le.Uint32(b[14:]), le.Uint16(b[6:]), le.Uint16(b[8:])
	ok := sizes64(rest[nameLen:], &size, &packed)
	streamed := flags&bitStreamed != 0
	differs := func(said, is int64) bool { // APPNOTE 4.4.4: of what is streamed it may be said behind it alone
		return said != is && !(streamed && (said == 0 || said == max32))
	}
	if !ok || string(rest[:nameLen]) != e.raw || method != e.method || flags&^(bitUTF8|1<<1|1<<2) != e.flags&^(bitUTF8|1<<1|1<<2) ||
		differs(size, e.size) || differs(packed, e.packed) || differs(int64(crc), int64(e.crc)) {
		a.find(ruleZIPLocal, e.raw, "local and central header differ")
	}
	a.otherName(e, rest[nameLen:])
	if streamed {
		return a.descriptor(e)
	}
	return nil
}

// descriptor reads what follows the data of a streamed entry (APPNOTE 4.3.9): with or without signature, sizes of 4 or 8 bytes.
func (a *archive) descriptor(e *entry) error {
	b := make([]byte, min(24, a.size-e.end))
	if err := a.readAt(b, e.end); err != nil {
		return err
	}
	le := binary.LittleEndian
	for _, signed := range []int{4, 0} {
		if signed == 4 && !bytes.HasPrefix(b, []byte("PK\x07\x08")) {
			continue
		}
		if d := b[signed:]; len(d) >= 12 && le.Uint32(d) == e.crc && int64(le.Uint32(d[4:])) == e.packed && int64(le.Uint32(d[8:])) == e.size {
			e.end += int64(signed) + 12
			return nil
		} else if len(d) >= 20 && le.Uint32(d) == e.crc && int64(le.Uint64(d[4:])) == e.packed && int64(le.Uint64(d[12:])) == e.size {
			e.end += int64(signed) + 20
			return nil
		}
	}
	a.find(ruleZIPLocal, e.raw, "the data descriptor and the central header differ")
	return nil
}
