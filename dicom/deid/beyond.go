package deid

import "carepost/dicom"

// What PS3.15 Table E.1-1 passes over, though a person can stand in it. The rules here go by value representation, so that an element that
// is new to the table falls under one of them; exempt names those that hold nothing of anybody.

// beyond gives the action for an element of PS3.6 that is not in the table.
func (a *Act) beyond(t dicom.Tag, v dicom.VR) action {
	if what, ok := personal[t]; ok {
		return what
	}
	if exempt[t] {
		return keep
	}
	switch v.String() {
	case "PN":
		return empty
	case "UR": // whose server it is
		return dummy
	case "LT", "ST", "UT":
		return words
	case "UI":
		if a.options&RetainUIDs == 0 {
			return newUID
		}
	case "DA", "DT", "TM":
		switch {
		case a.options&RetainModifiedDates != 0:
			return shift
		case a.options&RetainFullDates == 0:
			return dummy
		}
	}
	return keep
}

// personal are short elements that name a person, an order or a place, or that are often made to.
var personal = map[dicom.Tag]action{
	0x00100033: remove, 0x00100034: remove, 0x00100035: remove, // birth and death in another calendar
	0x00401006: remove, 0x00401007: remove, 0x00402006: remove, 0x00402007: remove, // numbers of orders, retired
	0x04000500: remove,                                                                                               // encrypted attributes: the originals, for whoever has a key
	0x00102295: dummy,                                                                                                // the registration of an animal
	0x0074100C: dummy, 0x00720008: dummy, 0x00720010: dummy, 0x00140100: dummy, 0x21000160: dummy, 0x40101051: dummy, // people
	0x4010101A: dummy, 0x00181803: dummy, 0x21000010: dummy, 0x21100030: dummy, 0x21100099: dummy, 0x00880130: dummy,
	0x00181011: dummy, 0x0044000A: dummy, 0x00440012: dummy, // single devices and lots
	0x00189908: dummy, 0x0018990A: dummy, // why somebody is examined
	// Labels that a person types. Those of anatomy and technique stay.
	0x00082120: words, 0x00082127: words, 0x00082132: words, 0x00189423: words, 0x00189433: words, 0x00189531: words, 0x00209453: words,
	0x00287007: words, 0x0028702A: words, 0x00380102: words, 0x003A0020: words, 0x003A0203: words, 0x00400255: words, 0x00401060: words,
	0x0040A492: words, 0x00440011: words, 0x00540018: words, 0x00540400: words, 0x00620005: words, 0x00660106: words, 0x00700068: words,
	0x00700081: words, 0x00700207: words, 0x00720203: words, 0x00741202: words, 0x00741204: words, 0x00820023: words, 0x20000050: words,
	0x30020002: words, 0x30020003: words, 0x30040006: words, 0x300600C8: words, 0x300A0009: words, 0x300A00C2: words, 0x300A0183: words,
	0x300A0194: words, 0x300A0236: words, 0x300A0244: words,
}

// exempt are texts and UIDs of the standard, of coding schemes and of devices' making.
var exempt = map[dicom.Tag]bool{
	0x00080016: true, 0x0008001A: true, 0x0008001B: true, 0x00080062: true, 0x0008010C: true, 0x0008040E: true, 0x00081150: true,
	0x0008115A: true, 0x00083002: true, 0x00340003: true, 0x04000010: true, 0x04000510: true, 0x30100052: true, 0x30100053: true,
	0x00080114: true, 0x00080115: true, 0x00080116: true, 0x0008010E: true, 0x00080120: true, // coding schemes (PS3.3 C.12.1)
	0x0008030E: true, 0x0008030F: true, // what a maker says of his private elements
	0x00160003: true, 0x00160017: true, 0x00160020: true, 0x20100010: true, 0x00187008: true, 0x00187040: true, 0x00187041: true,
	0x00187062: true, 0x0040A16A: true,
}
