package deid

import "carepost/dicom"

// row of Table E.1-1: "X" goes, "Z" is emptied, "D" gets a dummy, "U" another UID; K and C by options.
type row struct {
	basic       string
	keep, clean Option
}

// action is what happens to an element.
type action uint8

const (
	keep    action = iota // with what is in it, if it is a sequence, treated element by element
	remove                // X
	empty                 // Z
	dummy                 // D
	newUID                // U
	shift                 // a date, moved
	words                 // a text, if it is of known words alone; else as the Basic Profile has it
	masked                // a sequence, whose texts get dummies
	coded                 // a sequence of codes that becomes one code, "Removed"
	emptied               // a sequence that becomes one item of a report that says so
	alias                 // the pseudonym of the patient
	refused               // nobody but a person can do it
)

// exceptions are elements whose row leaves to us how it is done. Sequences that get a "dummy" are gone through like all others: their
// own elements stand in the table.
var exceptions = map[dicom.Tag]action{
	tagPatientName: alias, tagPatientID: alias,
	0x00401101: coded,                      // Person Identification Code Sequence
	0x00081072: remove, 0x00080082: remove, // operators and institutions by code: Type 3
	tagContent:  emptied,
	tagGraphics: remove,
	tagDocument: refused,
	tagMAC:      remove, tagSignatures: remove,
	0x04000115: remove,                   // Certificate of Signer
	0x00700082: dummy, 0x00700083: dummy, // creation of a presentation: Type 1 (PS3.3 C.11.10)
	0x00081140: keep, 0x00082112: keep, 0x00081111: keep, // X/Z/U*: the UIDs in them are mapped
	0x00340001: keep, 0x0040A073: keep, // flows and verifying observers: what is in them stands in the table
}

// act decides about an element. What it is goes by PS3.6 where that knows it, whatever the file says: a name is one in any representation.
func (a *Act) act(h head) action {
	t, v, group := h.tag, h.vr, h.tag>>16
	if t&0xFFFF == 0 || group&1 == 1 || group&0xFF00 == 0x5000 || group&0xFF00 == 0x6000 || group < 8 {
		return remove // group lengths, private elements, curves, overlays, and what belongs to no data set (PS3.5 §7.1)
	}
	if h.known {
		if v, _ = vrOf(t); !pixels(t) && h.sequence() != (v == vr("SQ")) {
			return remove // nobody knows what is in it
		}
	}
	r, listed := profile[t]
	switch {
	case !listed && exceptions[t] != keep:
		return exceptions[t]
	case !listed && !h.known:
		return remove
	case !listed:
		return a.beyond(t, v)
	}
	if a.options&r.keep != 0 && (!temporal(v) || a.options&r.keep&RetainFullDates != 0 || r.keep&RetainFullDates == 0) {
		return keep
	}
	switch by := a.options & r.clean; {
	case by&RetainModifiedDates != 0 && temporal(v):
		return shift
	case by&CleanDescriptors != 0 && v != vr("SQ"):
		return words
	case by&(CleanStructured|CleanGraphics) != 0 && v == vr("SQ"):
		return masked
	}
	return basic(t, r, v)
}

// basic is what the Basic Profile does.
func basic(t dicom.Tag, r row, v dicom.VR) action {
	if x, ok := exceptions[t]; ok {
		return x
	}
	sequence := v == vr("SQ")
	switch r.basic {
	case "Z", "X/Z":
		return empty
	case "U":
		return newUID
	case "X/Z/U*":
		return keep
	case "D", "X/D", "Z/D", "X/Z/D":
		switch {
		case sequence:
			return keep
		case v == vr("UI"):
			return newUID
		}
		return dummy
	}
	return remove
}

func temporal(v dicom.VR) bool { return v == vr("DA") || v == vr("TM") || v == vr("DT") }

// mask is the action for an element inside a masked sequence: no free text, no name, no time stays, but codes and numbers do.
func mask(h head, was action) action {
	v, _ := vrOf(h.tag)
	if first := maskBy(h.tag, v, was); first != keep || v == h.vr {
		return first
	}
	return maskBy(h.tag, h.vr, was)
}

func maskBy(t dicom.Tag, v dicom.VR, was action) action {
	switch was {
	case keep:
	case words:
		return dummy
	default:
		return was
	}
	switch v.String() {
	case "PN", "LO", "LT", "SH", "ST", "UT", "UC", "UR", "AE", "AS", "DA", "DT", "TM":
		switch t {
		case 0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120: // a code and its meaning (PS3.3 §8)
			return keep
		case 0x00700002, 0x00700402: // layers, by which graphics are found
			return keep
		}
		return dummy
	case "OB", "OW", "UN":
		return remove
	}
	return keep
}
