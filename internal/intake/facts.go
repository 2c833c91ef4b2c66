package intake

import (
	"slices"

	"carepost/dicom"
)

// Bounds of what is kept of the attributes of a study.
const (
	maxValues = 64  // different ones of one attribute
	maxValue  = 256 // octets of one; a longer one is cut, at a character
)

// facts are the different values that the objects of a study have of the attributes that routes ask for, decoded.
type facts map[string][]string

// attribute is one that a route may ask for.
type attribute struct {
	name string
	read func(d dicom.DataSet, charset string) []string
}

// attributes are all of them, by the names that the configuration has for them.
func attributes() []attribute {
	return []attribute{
		{"modality", top(0x00080060)},
		{"institution", top(0x00080080)},
		{"department", top(0x00081040)},
		{"station", top(0x00081010)},
		{"referring", top(0x00080090)},
		{"accession", top(0x00080050)},
		{"description", top(0x00081030)},
		{"body_part", top(0x00180015)},
		{"procedure", procedure},
	}
}

// Attributes names what a route may ask for.
func Attributes() (names []string) {
	for _, a := range attributes() {
		names = append(names, a.name)
	}
	return names
}

func top(t dicom.Tag) func(dicom.DataSet, string) []string {
	return func(d dicom.DataSet, charset string) []string { return value(d, t, charset) }
}

func value(d dicom.DataSet, t dicom.Tag, charset string) []string {
	e, ok := d.Get(t)
	if !ok {
		return nil
	}
	if s := dicom.Text(e.Value, charset); s != "" {
		return []string{s}
	}
	return nil
}

// procedure reads what a worklist tells a modality, and a modality its objects: codes, ids and descriptions of the procedure (PS3.4 K, PS3.3
// C.7.2.1, C.7.3.1.1.1, 10.6).
func procedure(d dicom.DataSet, charset string) (out []string) {
	read := func(d dicom.DataSet, tags ...dicom.Tag) {
		for _, t := range tags {
			out = append(out, value(d, t, charset)...)
		}
	}
	codes := func(d dicom.DataSet, sequences ...dicom.Tag) {
		for _, t := range sequences {
			e, _ := d.Get(t)
			for _, item := range e.Items {
				read(item, 0x00080100)
			}
		}
	}
	read(d, 0x00321060, 0x00401001)
	codes(d, 0x00081032, 0x00321064, 0x00400260)
	requests, _ := d.Get(0x00400275)
	for _, item := range requests.Items {
		read(item, 0x00321060, 0x00401001, 0x00400007, 0x00400009)
		codes(item, 0x00321064, 0x00400008)
	}
	return out
}

// wanted are the elements that facts and the identity of an object are read from.
func wanted() []dicom.Tag {
	return []dicom.Tag{0x00080005, 0x00080016, 0x00080018, 0x00080050, 0x00080060, 0x00080080, 0x00080090, 0x00081010, 0x00081030, 0x00081032, 0x00081040,
		0x00180015, 0x0020000D, 0x00321060, 0x00321064, 0x00400260, 0x00400275, 0x00401001}
}

// factsOf reads those of one object.
func factsOf(d dicom.DataSet) facts {
	f := facts{}
	charset := d.String(0x00080005)
	for _, a := range attributes() {
		for _, v := range a.read(d, charset) {
			f.put(a.name, v)
		}
	}
	return f
}

func (f facts) put(name, v string) bool {
	if v = cut(v); v == "" || slices.Contains(f[name], v) || len(f[name]) >= maxValues {
		return false
	}
	f[name] = append(f[name], v)
	return true
}

// add takes over what more says, and tells whether any of it was new.
func (f *facts) add(more facts) (fresh bool) {
	if *f == nil {
		*f = facts{}
	}
	for name, all := range more {
		for _, v := range all {
			fresh = f.put(name, v) || fresh
		}
	}
	return fresh
}

// cut shortens a text, at a character.
func cut(s string) string {
	if len(s) <= maxValue {
		return s
	}
	n := maxValue
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
