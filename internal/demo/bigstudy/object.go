package bigstudy

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"
)

// object gathers the elements of a Part 10 file, Explicit VR Little Endian. Tags are added in rising order.
type object struct {
	class, instance string
	words           bool // pixel data are OW
	body            []byte
}

// uid makes a UID out of a name (PS3.5 B.2: 2.25 and a UUID, here one of a hash).
func uid(name string) string {
	sum := sha256.Sum256([]byte("synthetic " + name))
	return "2.25." + new(big.Int).SetBytes(sum[:16]).String()
}

func (o *object) text(tag uint32, vr, v string) { o.body = element(o.body, tag, vr, []byte(v)) }

func (o *object) number(tag uint32, v uint16) {
	o.body = element(o.body, tag, "US", binary.LittleEndian.AppendUint16(nil, v))
}

func (o *object) signed(tag uint32, v int16) {
	o.body = element(o.body, tag, "SS", binary.LittleEndian.AppendUint16(nil, uint16(v)))
}

func (o *object) tag(tag, v uint32) {
	b := binary.LittleEndian.AppendUint16(nil, uint16(v>>16))
	o.body = element(o.body, tag, "AT", binary.LittleEndian.AppendUint16(b, uint16(v)))
}

// code adds a sequence of one coded entry, or an empty one.
func (o *object) code(tag uint32, code ...string) {
	var items []byte
	if len(code) == 3 {
		var item []byte
		item = element(item, 0x00080100, "SH", []byte(code[0]))
		item = element(item, 0x00080102, "SH", []byte(code[1]))
		item = element(item, 0x00080104, "LO", []byte(code[2]))
		items = append(items, 0xFE, 0xFF, 0x00, 0xE0)
		items = binary.LittleEndian.AppendUint32(items, uint32(len(item)))
		items = append(items, item...)
	}
	o.body = element(o.body, tag, "SQ", items)
}

// head gives everything in front of the pixels.
func (o *object) head(pixels int64) []byte {
	var g []byte
	g = element(g, 0x00020001, "OB", []byte{0, 1})
	g = element(g, 0x00020002, "UI", []byte(o.class))
	g = element(g, 0x00020003, "UI", []byte(o.instance))
	g = element(g, 0x00020010, "UI", []byte("1.2.840.10008.1.2.1"))
	g = element(g, 0x00020012, "UI", []byte(uid("implementation")))
	g = element(g, 0x00020013, "SH", []byte("SYNTHETIC_1"))
	b := append(make([]byte, 128), "DICM"...)
	b = element(b, 0x00020000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(len(g))))
	b = slices.Concat(b, g, o.body, []byte{0xE0, 0x7F, 0x10, 0x00, 'O', 'B', 0, 0})
	if o.words {
		b[len(b)-3] = 'W'
	}
	return binary.LittleEndian.AppendUint32(b, uint32(pixels))
}

// element appends an element with an even value.
func element(b []byte, tag uint32, vr string, v []byte) []byte {
	odd := len(v) & 1
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "OB" || vr == "SQ" {
		b = append(b, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)+odd))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v)+odd))
	}
	b = append(b, v...)
	if odd == 1 {
		pad := byte(' ')
		if vr == "UI" || vr == "OB" {
			pad = 0
		}
		b = append(b, pad)
	}
	return b
}
