package textsr

import (
	"encoding/binary"
	"maps"
	"slices"

	"carepost/dicom"
)

// elements are encoded as Explicit VR Little Endian.
type elements []byte

// add adds an element, padded to even length (PS3.5 §7.1.1).
func (b *elements) add(t dicom.Tag, vr, value string) {
	v := dicom.VR{vr[0], vr[1]}
	odd := len(value) & 1
	out := binary.LittleEndian.AppendUint16(*b, uint16(t>>16))
	out = append(binary.LittleEndian.AppendUint16(out, uint16(t)), vr...)
	if v.Short() {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(value)+odd))
	} else {
		out = binary.LittleEndian.AppendUint32(append(out, 0, 0), uint32(len(value)+odd))
	}
	if out = append(out, value...); odd == 1 {
		out = append(out, v.Pad())
	}
	*b = out
}

// sequence adds items of defined lengths (PS3.5 §7.5).
func (b *elements) sequence(t dicom.Tag, items ...elements) {
	var all []byte
	for _, i := range items {
		all = binary.LittleEndian.AppendUint32(append(all, 0xFE, 0xFF, 0x00, 0xE0), uint32(len(i)))
		all = append(all, i...)
	}
	b.add(t, "SQ", string(all))
}

// all adds elements as their tags rise.
func (b *elements) all(each map[dicom.Tag]func(*elements)) {
	for _, t := range slices.Sorted(maps.Keys(each)) {
		each[t](b)
	}
}
