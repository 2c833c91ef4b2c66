package dicom

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Element is a data element that was kept. Value is as the file has it, padding included, but little endian; Items are those of a
// sequence.
type Element struct {
	Tag   Tag
	VR    VR
	Value []byte
	Items []DataSet
}

// DataSet holds the elements that were kept, in the order of the file.
type DataSet []Element

// Get finds an element.
func (d DataSet) Get(t Tag) (Element, bool) {
	for _, e := range d {
		if e.Tag == t {
			return e, true
		}
	}
	return Element{}, false
}

// String gives the value of t without padding, undecoded; "" when absent.
func (d DataSet) String(t Tag) string {
	e, _ := d.Get(t)
	return Trim(e.Value)
}

// Int gives the first number of t, of VR US, UL or IS; 0 when absent or no number.
func (d DataSet) Int(t Tag) int64 {
	e, ok := d.Get(t)
	if !ok {
		return 0
	}
	return e.Int()
}

// Int gives the first number of an element of VR US, UL or IS.
func (e Element) Int() int64 {
	switch e.VR.String() {
	case "US", "SS":
		if len(e.Value) >= 2 {
			return int64(binary.LittleEndian.Uint16(e.Value))
		}
	case "UL", "SL":
		if len(e.Value) >= 4 {
			return int64(binary.LittleEndian.Uint32(e.Value))
		}
	default:
		first, _, _ := strings.Cut(Trim(e.Value), `\`)
		n, _ := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
		return n
	}
	return 0
}

// Trim takes away padding: spaces and NULs at the end, spaces in front (PS3.5 §6.2).
func Trim(v []byte) string {
	v = bytes.TrimRight(v, " \x00")
	return string(bytes.TrimLeft(v, " "))
}

// ValidUID says that s is a UID of PS3.5 §9.1: 1 to 64 digits and dots, no component empty or with a leading zero.
func ValidUID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 1 && part[0] == '0' {
			return false
		}
		for i := range len(part) {
			if part[i] < '0' || part[i] > '9' {
				return false
			}
		}
	}
	return true
}
