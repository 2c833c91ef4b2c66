package fileset

import (
	"encoding/binary"
	"strings"

	"carepost/dicom"
)

// keys holds encoded elements of one record, Explicit VR Little Endian, tags rising. It is a string so that equal keys of many
// instances are one piece of memory and compare by ==.
type keys string

// find gives the value of t.
func (k keys) find(t dicom.Tag) (value string, ok bool) {
	for len(k) > 0 {
		tag, _, value, rest := k.next()
		if tag == t {
			return value, true
		}
		k = rest
	}
	return "", false
}

// text gives the value of t without padding.
func (k keys) text(t dicom.Tag) string {
	v, _ := k.find(t)
	return dicom.Trim([]byte(v))
}

// next cuts off the first element. The encoding is our own, so it is whole.
func (k keys) next() (tag dicom.Tag, vr dicom.VR, value string, rest keys) {
	tag = dicom.Tag(uint32(k[0])<<16 | uint32(k[1])<<24 | uint32(k[2]) | uint32(k[3])<<8)
	vr = dicom.VR{k[4], k[5]}
	at, n := 8, int(k[6])|int(k[7])<<8
	if !vr.Short() {
		at, n = 12, int(k[8])|int(k[9])<<8|int(k[10])<<16|int(k[11])<<24
	}
	return tag, vr, string(k[at : at+n]), k[at+n:]
}

// extended says that a text goes beyond the default repertoire, so that its record needs (0008,0005).
func (k keys) extended() bool {
	for len(k) > 0 {
		_, vr, value, rest := k.next()
		switch vr.String() {
		case "SH", "LO", "PN", "ST", "LT", "UT", "UC":
			if strings.ContainsFunc(value, func(r rune) bool { return r >= 0x80 || r == 0x1B }) {
				return true
			}
		case "SQ":
			for len(value) > 0 {
				n := 8 + int(binary.LittleEndian.Uint32([]byte(value[4:8])))
				if keys(value[8:n]).extended() {
					return true
				}
				value = value[n:]
			}
		}
		k = rest
	}
	return false
}

// appendElement writes an element, padded to even length (PS3.5 §7.1.1).
func appendElement(b []byte, t dicom.Tag, vr dicom.VR, value []byte) []byte {
	if len(value) > 0xFFFE && vr.Short() {
		vr = dicom.VR{'U', 'N'} // PS3.5 §6.2.2: what no longer fits goes as UN
	}
	odd := len(value) & 1
	b = binary.LittleEndian.AppendUint16(b, uint16(t>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(t))
	b = append(b, vr[0], vr[1])
	if vr.Short() {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)+odd))
	} else {
		b = append(b, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)+odd))
	}
	b = append(b, value...)
	if odd == 1 {
		b = append(b, vr.Pad())
	}
	return b
}

// appendText writes an element of a VR that the dictionary knows.
func appendText(b []byte, t dicom.Tag, value string) []byte {
	return appendElement(b, t, dicom.VROf(t), []byte(value))
}

func appendUint32(b []byte, t dicom.Tag, v uint32) []byte {
	return appendElement(b, t, dicom.VROf(t), binary.LittleEndian.AppendUint32(nil, v))
}

func appendUint16(b []byte, t dicom.Tag, v uint16) []byte {
	return appendElement(b, t, dicom.VROf(t), binary.LittleEndian.AppendUint16(nil, v))
}

// appendKept writes an element that was read, sequences with defined lengths.
func appendKept(b []byte, e dicom.Element) []byte {
	if e.VR.String() != "SQ" {
		return appendElement(b, e.Tag, e.VR, e.Value)
	}
	var items []byte
	for _, d := range e.Items {
		items = appendItem(items, d)
	}
	return appendElement(b, e.Tag, e.VR, items)
}

func appendItem(b []byte, d dicom.DataSet) []byte {
	var body []byte
	for _, e := range d {
		body = appendKept(body, e)
	}
	b = append(b, 0xFE, 0xFF, 0x00, 0xE0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}
