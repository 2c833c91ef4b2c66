package dicom

// VR is a value representation (PS3.5 §6.2), two letters.
type VR [2]byte

func (v VR) String() string { return string(v[:]) }

func vr(s string) VR { return VR{s[0], s[1]} }

var (
	vrSQ = vr("SQ")
	vrUN = vr("UN")
)

// valid says that both bytes are upper-case letters. Which letters is left open: PS3.5 §7.1.2 lets the list grow.
func (v VR) valid() bool {
	return 'A' <= v[0] && v[0] <= 'Z' && 'A' <= v[1] && v[1] <= 'Z'
}

// short says that an explicit element of this VR has a 16-bit length (PS3.5 Table 7.1-2). VRs to come have 32 bits.
func (v VR) short() bool {
	switch v.String() {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US":
		return true
	}
	return false
}

// Short says that an explicit element of this VR is written with a 16-bit length.
func (v VR) Short() bool { return v.short() }

// word is the number of bytes that swap together in a big endian value; 1 for text and bytes.
func (v VR) word() int {
	switch v.String() {
	case "US", "SS", "OW", "AT":
		return 2
	case "UL", "SL", "FL", "OF", "OL":
		return 4
	case "FD", "OD", "OV", "SV", "UV":
		return 8
	}
	return 1
}

// Pad is the byte that makes a value of odd length even (PS3.5 §6.2).
func (v VR) Pad() byte {
	switch v.String() {
	case "UI", "OB", "UN":
		return 0
	}
	return ' '
}

// VROf gives the VR of the elements this package knows: those of directory records, of what is nested in them and of the checks.
// Others are UN: an implicit data set does not say.
func VROf(t Tag) VR {
	if v, ok := dictionary[t]; ok {
		return vr(v)
	}
	return vrUN
}

// dictionary is data from PS3.6, cut to what directory records hold (PS3.3 F.5).
var dictionary = map[Tag]string{
	0x00020000: "UL", 0x00020001: "OB", 0x00020002: "UI", 0x00020003: "UI", 0x00020010: "UI", 0x00020012: "UI", 0x00020013: "SH",
	0x00020016: "AE", 0x00020017: "AE", 0x00020018: "AE",
	0x00041130: "CS", 0x00041141: "CS", 0x00041142: "CS", 0x00041200: "UL", 0x00041202: "UL", 0x00041212: "US", 0x00041220: "SQ",
	0x00041400: "UL", 0x00041410: "US", 0x00041420: "UL", 0x00041430: "CS", 0x00041432: "UI", 0x00041500: "CS", 0x00041504: "UL",
	0x00041510: "UI", 0x00041511: "UI", 0x00041512: "UI", 0x0004151A: "UI", 0x00041600: "UL",
	0x00080005: "CS", 0x00080008: "CS", 0x00080012: "DA", 0x00080013: "TM", 0x00080016: "UI", 0x00080018: "UI", 0x0008001A: "UI",
	0x00080020: "DA", 0x00080021: "DA", 0x00080022: "DA", 0x00080023: "DA", 0x00080030: "TM", 0x00080031: "TM", 0x00080032: "TM",
	0x00080033: "TM", 0x00080050: "SH", 0x00080060: "CS", 0x00080070: "LO", 0x00080080: "LO", 0x00081090: "LO", 0x00081030: "LO", 0x00081032: "SQ", 0x00200060: "CS", 0x0040100A: "SQ",
	0x00080400: "SQ", 0x00080401: "LT", 0x00080403: "CS", 0x0008040F: "CS", 0x00080410: "SQ", 0x00080411: "SQ", 0x00080412: "SQ", 0x00080413: "SQ",
	0x00080426: "CS", 0x00080428: "UV",
	0x0008103E: "LO", 0x00080100: "SH", 0x00080102: "SH", 0x00080103: "SH", 0x00080104: "LO", 0x00080105: "CS", 0x00080106: "DT",
	0x00080107: "DT", 0x0008010B: "CS", 0x0008010C: "UI", 0x0008010D: "UI", 0x0008010F: "CS", 0x00080117: "UI", 0x00080118: "UI",
	0x00080119: "UC", 0x00080120: "UR", 0x00080121: "SQ", 0x00080122: "LO", 0x00081115: "SQ", 0x00081140: "SQ", 0x00081150: "UI",
	0x00081155: "UI", 0x00081160: "IS", 0x00081161: "UL", 0x00081163: "FD", 0x00081199: "SQ",
	0x0008114A: "SQ", 0x00089092: "SQ", 0x00100010: "PN", 0x00100020: "LO", 0x00100021: "LO", 0x00100030: "DA", 0x00100040: "CS",
	0x00189004: "CS", 0x0018700A: "SH", 0x0018702A: "LO", 0x0018702B: "LO",
	0x0020000D: "UI", 0x0020000E: "UI", 0x00200010: "SH", 0x00200011: "IS", 0x00200013: "IS", 0x00280002: "US", 0x00280004: "CS",
	0x00280008: "IS", 0x00280010: "US", 0x00280011: "US", 0x00280100: "US", 0x00280101: "US", 0x00287FE0: "UR",
	0x00289001: "UL", 0x00289002: "UL",
	0x0040A010: "CS", 0x0040A030: "DT", 0x0040A032: "DT", 0x0040A040: "CS", 0x0040A043: "SQ", 0x0040A050: "CS", 0x0040A073: "SQ",
	0x0040A120: "DT", 0x0040A121: "DA", 0x0040A122: "TM", 0x0040A123: "PN", 0x0040A124: "UI", 0x0040A160: "UT", 0x0040A168: "SQ",
	0x0040A300: "SQ", 0x0040A30A: "DS", 0x004008EA: "SQ", 0x0040A491: "CS", 0x0040A493: "CS", 0x0040A504: "SQ", 0x0040A730: "SQ",
	0x0040DB00: "CS", 0x0040DB73: "UL", 0x0040E001: "ST", 0x0040A075: "PN", 0x0040A027: "LO", 0x0040A088: "SQ",
	0x00420010: "ST", 0x00420012: "LO",
	0x00700080: "CS", 0x00700081: "LO", 0x00700082: "DA", 0x00700083: "TM", 0x00700084: "PN", 0x00700402: "SQ", 0x00700403: "FL",
	0x00700404: "SQ", 0x00700405: "CS",
	0x00720002: "SH", 0x00720004: "LO", 0x00720006: "CS", 0x00720008: "LO", 0x0072000A: "DT", 0x0072000C: "SQ", 0x0072000E: "SQ",
	0x00720010: "LO", 0x00720014: "US",
	0x00686210: "LO", 0x00760001: "LO", 0x00760003: "LO", 0x00760008: "SQ", 0x00760020: "SQ",
	0x00780001: "LO", 0x00780020: "LO", 0x00221095: "LO", 0x00221097: "LO",
	0x30020002: "SH", 0x30040001: "CS", 0x3004000A: "CS", 0x30040006: "LO", 0x30060002: "SH", 0x30060008: "DA",
	0x30060009: "TM", 0x30080250: "DA", 0x30080251: "TM", 0x300A0002: "SH", 0x300A0003: "LO", 0x300A0006: "DA", 0x300A0007: "TM",
	0x30100033: "SH", 0x30100034: "LO", 0x00880200: "SQ",
}
