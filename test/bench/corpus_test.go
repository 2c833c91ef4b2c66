package bench

import (
	"bufio"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
)

// corpus is images of one patient in a folder, in series of some hundreds, in files whose names every program takes.
type corpus struct {
	name, dir   string
	files, side int // instances; pixels of a side
	series      int // instances of a series
	class       string
	bytes       int64 // of all, once written
}

// write makes the files: pixels of 16 bits, twelve used, smooth shapes under noise, so that they deflate to about half, as CT does.
func (c *corpus) write() {
	r := mathrand.NewChaCha8([32]byte{byte(c.side)})
	for i := range c.files {
		dir := filepath.Join(c.dir, fmt.Sprintf("S%05d", i/c.series))
		if i%c.series == 0 {
			check(os.MkdirAll(dir, 0o700))
		}
		f := must(os.Create(filepath.Join(dir, fmt.Sprintf("I%05d", i%c.series))))
		w := bufio.NewWriterSize(f, 1<<16)
		must(w.Write(c.head(i)))
		c.pixels(w, r, i)
		check(w.Flush())
		c.bytes += must(f.Stat()).Size()
		check(f.Close())
	}
}

func (c *corpus) pixels(w *bufio.Writer, r *mathrand.ChaCha8, n int) {
	noise, line := make([]byte, c.side), make([]byte, 2*c.side)
	for y := range c.side {
		must(r.Read(noise))
		for x := range c.side {
			v := uint16(noise[x] & 0x1F) // outside the body there is air, and noise all the same
			if dx, dy := x-c.side/2, y-c.side/2; dx*dx+dy*dy < c.side*c.side/5 {
				v = uint16(900+(x*y/(c.side/4)+n)%160) + uint16(noise[x]&0x7F)
			}
			binary.LittleEndian.PutUint16(line[2*x:], v)
		}
		must(w.Write(line))
	}
}

// head is everything before the pixels, in Explicit VR Little Endian: the keys of a directory, and what scanners write besides.
func (c *corpus) head(i int) []byte {
	series, number := i/c.series, i%c.series
	instance := fmt.Sprintf("2.25.77.%d.%d.%d", c.side, series+1, number+1)
	var meta []byte
	meta = element(meta, 0x00020001, "OB", "\x00\x01")
	meta = element(meta, 0x00020002, "UI", c.class)
	meta = element(meta, 0x00020003, "UI", instance)
	meta = element(meta, 0x00020010, "UI", "1.2.840.10008.1.2.1")
	meta = element(meta, 0x00020012, "UI", "2.25.77")
	b := append(make([]byte, 128), "DICM"...)
	b = element(b, 0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))))
	b = append(b, meta...)
	for _, e := range []struct {
		tag       uint32
		vr, value string
	}{
		{0x00080005, "CS", "ISO_IR 100"}, {0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`}, {0x00080016, "UI", c.class}, {0x00080018, "UI", instance},
		{0x00080020, "DA", "20260302"}, {0x00080021, "DA", "20260302"}, {0x00080030, "TM", "091500"}, {0x00080050, "SH", "A0001"},
		{0x00080060, "CS", map[bool]string{true: "CT", false: "MR"}[c.class == "1.2.840.10008.5.1.4.1.1.2"]}, {0x00080070, "LO", "Synthetic"},
		{0x00080090, "PN", "Doctor^Some"}, {0x00081030, "LO", "Study of noise"}, {0x0008103E, "LO", fmt.Sprintf("Series %d", series+1)},
		{0x00100010, "PN", "Phantom^Noise"}, {0x00100020, "LO", "PHANTOM-2"}, {0x00100030, "DA", "19800229"}, {0x00100040, "CS", "O"},
		{0x00180050, "DS", "1.25"}, {0x00180060, "DS", "120"}, {0x0020000D, "UI", fmt.Sprintf("2.25.77.%d", c.side)},
		{0x0020000E, "UI", fmt.Sprintf("2.25.77.%d.%d", c.side, series+1)}, {0x00200010, "SH", "1"}, {0x00200011, "IS", fmt.Sprint(series + 1)},
		{0x00200013, "IS", fmt.Sprint(number + 1)}, {0x00200032, "DS", fmt.Sprintf(`-125\-125\%d`, number)}, {0x00200037, "DS", `1\0\0\0\1\0`},
		{0x00280002, "US", "\x01\x00"}, {0x00280004, "CS", "MONOCHROME2"}, {0x00280010, "US", short(c.side)}, {0x00280011, "US", short(c.side)},
		{0x00280030, "DS", `0.5\0.5`}, {0x00280100, "US", "\x10\x00"}, {0x00280101, "US", "\x0C\x00"}, {0x00280102, "US", "\x0B\x00"},
		{0x00280103, "US", "\x00\x00"}, {0x00281050, "DS", "1000"}, {0x00281051, "DS", "400"}, {0x00281052, "DS", "-1024"}, {0x00281053, "DS", "1"},
	} {
		b = element(b, e.tag, e.vr, e.value)
	}
	n := uint32(2 * c.side * c.side)
	b = append(b, 0xE0, 0x7F, 0x10, 0x00, 'O', 'W', 0, 0)
	return binary.LittleEndian.AppendUint32(b, n)
}

func short(n int) string { return string(binary.LittleEndian.AppendUint16(nil, uint16(n))) }

// element writes an element with a short or an OB header (PS3.5 7.1.2).
func element(b []byte, tag uint32, vr, value string) []byte {
	if len(value)%2 == 1 {
		value += map[bool]string{true: "\x00", false: " "}[vr == "UI" || vr == "OB"]
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "OB" {
		b = append(b, 0, 0)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(value))), value...)
	}
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(value))), value...)
}
