package fileset

import (
	"cmp"
	"slices"

	"carepost/dicom"
)

// need is the type of a key in a directory record (PS3.5 §7.4).
type need uint8

const (
	optional need = iota // copied when the instance has it: types 3 and 1C
	present              // type 2: may be empty
	required             // type 1: a value, supplied in the record where the instance has none
)

// supply says what a required key gets when the instance has no value. Every use is a finding.
type supply uint8

const (
	constant    supply = iota // the key's fallback
	inventedID                // Patient ID: marked, made from the Study Instance UID
	running                   // the lowest number not taken under the same parent
	date                      // a date of the same instance, else of its study, else ScanOptions.NoDate
	clock                     // the time that goes with that date
	unknownCode               // one item: a code that says unknown
	anyModality               // one item: a modality, as little as a hanging protocol can be defined for
)

// key is one line of a record's table.
type key struct {
	tag      dicom.Tag
	need     need
	supply   supply
	fallback string
}

// record is a Directory Record Type: its keys beyond (0008,0005), which is copied wherever a key of the record needs it.
type record struct {
	name string
	root bool // stands beside PATIENT rather than under SERIES (PS3.3 Table F.4-1)
	keys []key
}

const (
	tagCharset     dicom.Tag = 0x00080005
	tagRecords     dicom.Tag = 0x00041220
	tagSOPClass    dicom.Tag = 0x00080016
	tagSOPInstance dicom.Tag = 0x00080018
	tagStudyDate   dicom.Tag = 0x00080020
	tagStudyTime   dicom.Tag = 0x00080030
	tagContentDate dicom.Tag = 0x00080023
	tagContentTime dicom.Tag = 0x00080033
	tagAccession   dicom.Tag = 0x00080050
	tagModality    dicom.Tag = 0x00080060
	tagStudyDesc   dicom.Tag = 0x00081030
	tagName        dicom.Tag = 0x00100010
	tagPatientID   dicom.Tag = 0x00100020
	tagStudyUID    dicom.Tag = 0x0020000D
	tagSeriesUID   dicom.Tag = 0x0020000E
	tagStudyID     dicom.Tag = 0x00200010
	tagSeriesNo    dicom.Tag = 0x00200011
	tagInstanceNo  dicom.Tag = 0x00200013
	tagConceptName dicom.Tag = 0x0040A043
	tagContentSeq  dicom.Tag = 0x0040A730
)

// Keys that many records share.
var (
	instanceNo  = key{tagInstanceNo, required, running, ""}
	contentDate = key{tagContentDate, required, date, ""}
	contentTime = key{tagContentTime, required, clock, ""}
	label       = key{0x00700080, required, constant, "UNNAMED"}
	description = key{tag: 0x00700081, need: present}
	creator     = key{tag: 0x00700084, need: present}
	concept     = key{tagConceptName, required, unknownCode, ""}
	modifiers   = key{tag: tagContentSeq} // HAS CONCEPT MOD items of the root alone: the rest is the report
	identified  = []key{contentDate, contentTime, instanceNo, label, description, creator}
)

// upper are the records of the upper levels (PS3.3 F.5.1–F.5.3).
var upper = []record{
	{name: "PATIENT", root: true, keys: []key{{tagPatientID, required, inventedID, ""}, {tag: tagName, need: present}}},
	{name: "STUDY", keys: []key{{tagStudyDate, required, date, ""}, {tagStudyTime, required, clock, ""},
		{tag: tagStudyDesc, need: present}, {tagStudyUID, required, constant, ""}, {tagStudyID, required, running, ""},
		{tag: tagAccession, need: present}}},
	{name: "SERIES", keys: []key{{tagModality, required, constant, "OT"}, {tagSeriesUID, required, constant, ""},
		{tagSeriesNo, required, running, ""}}},
}

// leaves are the records that name files (PS3.3 F.5.4 and after).
var leaves = []record{
	{name: "IMAGE", keys: []key{instanceNo}},
	{name: "RT DOSE", keys: []key{instanceNo, {0x3004000A, required, constant, "PLAN"}, {tag: 0x30040006}}},
	{name: "RT STRUCTURE SET", keys: []key{instanceNo, {0x30060002, required, constant, "UNNAMED"},
		{tag: 0x30060008, need: present}, {tag: 0x30060009, need: present}}},
	{name: "RT PLAN", keys: []key{instanceNo, {0x300A0002, required, constant, "UNNAMED"},
		{tag: 0x300A0006, need: present}, {tag: 0x300A0007, need: present}}},
	{name: "RT TREAT RECORD", keys: []key{instanceNo, {tag: 0x30080250, need: present}, {tag: 0x30080251, need: present}}},
	{name: "PRESENTATION", keys: []key{{0x00700082, required, date, ""}, {0x00700083, required, clock, ""}, instanceNo, label,
		description, creator, {tag: 0x00081115}, {tag: 0x00700402}}},
	{name: "WF PRESENTATION", keys: []key{{0x00700082, required, date, ""}, {0x00700083, required, clock, ""}, instanceNo, label,
		description, creator, {tag: 0x00081115}}},
	{name: "WAVEFORM", keys: []key{instanceNo, contentDate, contentTime}},
	{name: "SR DOCUMENT", keys: []key{instanceNo, {0x0040A491, required, constant, "PARTIAL"},
		{0x0040A493, required, constant, "UNVERIFIED"}, contentDate, contentTime, {tag: 0x0040A030}, concept, modifiers}},
	{name: "KEY OBJECT DOC", keys: []key{instanceNo, contentDate, contentTime, concept, modifiers}},
	{name: "SPECTROSCOPY", keys: []key{{0x00080008, required, constant, `ORIGINAL\PRIMARY`}, contentDate, contentTime, instanceNo,
		{tag: 0x00089092}, {0x00280008, required, constant, "1"}, {0x00280010, required, constant, "\x01\x00"},
		{0x00280011, required, constant, "\x01\x00"}, {0x00289001, required, constant, "\x01\x00\x00\x00"},
		{0x00289002, required, constant, "\x01\x00\x00\x00"}}},
	{name: "RAW DATA", keys: []key{contentDate, contentTime, {tag: tagInstanceNo, need: present}}},
	{name: "REGISTRATION", keys: identified},
	{name: "FIDUCIAL", keys: identified},
	{name: "VALUE MAP", keys: identified},
	{name: "SURFACE", keys: identified},
	{name: "MEASUREMENT", keys: identified},
	{name: "TRACT", keys: identified},
	{name: "ANNOTATION", keys: identified},
	{name: "ENCAP DOC", keys: []key{{tag: tagContentDate, need: present}, {tag: tagContentTime, need: present}, instanceNo,
		{tag: 0x00420010, need: present}, {tag: 0x0040E001}, {tag: tagConceptName, need: present},
		{0x00420012, required, constant, "application/octet-stream"}}},
	{name: "STEREOMETRIC", keys: []key{instanceNo, label, description, creator}}, // the macro of its IOD, which validators ask for
	{name: "PLAN"},
	{name: "SURFACE SCAN", keys: []key{contentDate, contentTime}},
	{name: "ASSESSMENT", keys: []key{instanceNo, {0x00080012, required, date, ""}, {tag: 0x00080013, need: present}}},
	{name: "RADIOTHERAPY", keys: []key{instanceNo, {tag: 0x30100033}, {tag: 0x30100034}, description, creator}},
	{name: "PRIVATE"},
	{name: "HANGING PROTOCOL", root: true, keys: []key{{0x00720002, required, constant, "UNNAMED"},
		{0x00720004, required, constant, "Unknown"}, {0x00720006, required, constant, "SITE"}, {0x00720008, required, constant, "Unknown"},
		{0x0072000A, required, date, ""}, {0x0072000C, required, anyModality, ""}, {tag: 0x0072000E, need: present},
		{0x00720014, required, constant, "\x00\x00"}}},
	{name: "PALETTE", root: true, keys: []key{label, description}},
	{name: "IMPLANT", root: true, keys: []key{{0x00080070, required, constant, "Unknown"}, {0x00221095, required, constant, "Unknown"},
		{tag: 0x00686210}, {0x00221097, required, constant, "Unknown"}}},
	{name: "IMPLANT ASSY", root: true, keys: []key{{0x00760001, required, constant, "Unknown"}, {0x00760003, required, constant, "Unknown"},
		{0x00760020, required, unknownCode, ""}}},
	{name: "INVENTORY", root: true, keys: []key{contentDate, contentTime, {tag: 0x00080400, need: present}, {tag: 0x00080401, need: present},
		{0x00080403, required, constant, "STUDY"}, {0x00080426, required, constant, "PARTIAL"},
		{0x00080428, required, constant, "\x00\x00\x00\x00\x00\x00\x00\x00"}}},
	{name: "IMPLANT GROUP", root: true, keys: []key{{0x00780001, required, constant, "Unknown"}, {0x00780020, required, constant, "Unknown"}}},
}

// keyNames are those of the keys (PS3.6).
var keyNames = map[dicom.Tag]string{
	tagPatientID: "Patient ID", tagStudyDate: "Study Date", tagStudyTime: "Study Time", tagStudyUID: "Study Instance UID",
	tagStudyID: "Study ID", tagModality: "Modality", tagSeriesUID: "Series Instance UID", tagSeriesNo: "Series Number",
	tagInstanceNo: "Instance Number", tagContentDate: "Content Date", tagContentTime: "Content Time", 0x00700080: "Content Label",
	tagConceptName: "Concept Name Code Sequence", 0x3004000A: "Dose Summation Type", 0x30060002: "Structure Set Label",
	0x300A0002: "RT Plan Label", 0x00700082: "Presentation Creation Date", 0x00700083: "Presentation Creation Time",
	0x0040A491: "Completion Flag", 0x0040A493: "Verification Flag", 0x00080008: "Image Type", 0x00280008: "Number of Frames",
	0x00280010: "Rows", 0x00280011: "Columns", 0x00289001: "Data Point Rows", 0x00289002: "Data Point Columns",
	0x00420012: "MIME Type of Encapsulated Document", 0x00080012: "Instance Creation Date", 0x00720002: "Hanging Protocol Name",
	0x00720004: "Hanging Protocol Description", 0x00720006: "Hanging Protocol Level", 0x00720008: "Hanging Protocol Creator",
	0x0072000A: "Hanging Protocol Creation DateTime", 0x0072000C: "Hanging Protocol Definition Sequence",
	0x00720014: "Number of Priors Referenced", 0x00080070: "Manufacturer", 0x00221095: "Implant Name",
	0x00221097: "Implant Part Number", 0x00760001: "Implant Assembly Template Name", 0x00760003: "Implant Assembly Template Issuer",
	0x00760020: "Procedure Type Code Sequence", 0x00780001: "Implant Template Group Name", 0x00780020: "Implant Template Group Issuer",
	tagName: "Patient's Name", tagStudyDesc: "Study Description", tagAccession: "Accession Number", 0x00700081: "Content Description",
	0x00700084: "Content Creator's Name", tagContentSeq: "Content Sequence", 0x30040006: "Dose Comment", 0x30060008: "Structure Set Date",
	0x30060009: "Structure Set Time", 0x300A0006: "RT Plan Date", 0x300A0007: "RT Plan Time", 0x30080250: "Treatment Date",
	0x30080251: "Treatment Time", 0x00081115: "Referenced Series Sequence", 0x00700402: "Blending Sequence",
	0x0040A030: "Verification DateTime", 0x00089092: "Referenced Image Evidence Sequence", 0x00420010: "Document Title",
	0x0040E001: "HL7 Instance Identifier", 0x00080013: "Instance Creation Time", 0x30100033: "User Content Label",
	0x00080400: "Scope of Inventory Sequence", 0x00080401: "Inventory Purpose", 0x00080403: "Inventory Level",
	0x00080426: "Inventory Completion Status", 0x00080428: "Total Number of Study Records",
	0x30100034: "User Content Long Label", 0x0072000E: "Hanging Protocol User Identification Code Sequence", 0x00686210: "Implant Size",
}

// dates are where a missing date is taken from, in this order, with the times that go with them (facts of PS3.3 C.7.2.1, C.7.3.1).
var dates = []struct{ date, time dicom.Tag }{
	{tagStudyDate, tagStudyTime}, {0x00080021, 0x00080031}, {0x00080022, 0x00080032}, {tagContentDate, tagContentTime},
	{0x00080012, 0x00080013},
}

// dental are the Type 2 elements of PS3.11 Table X.4-2.
var dental = []dicom.Tag{0x00080080, 0x00081090, 0x0018700A, 0x0018702A, 0x0018702B}

// recordFor picks the record of an instance. A class that is not in the table gets IMAGE if there are pixels, and PRIVATE otherwise
// (PS3.3 F.6): nothing is left out. known is false for those.
func recordFor(t *tables, sopClass string, image bool) (r *record, known bool) {
	if r, ok := t.byClass[sopClass]; ok {
		return r, true
	}
	if image {
		return t.byName["IMAGE"], false
	}
	return t.byName["PRIVATE"], false
}

// tables are records and classes, made ready to look up.
type tables struct {
	byClass map[string]*record
	byName  map[string]*record
	names   map[string]string // SOP Class UID → name
	wanted  []dicom.Tag

	patient, study, series *record
	apart                  *record // PRIVATE at the root: of instances that belong to no patient
}

func newTables() *tables {
	t := &tables{byClass: make(map[string]*record), byName: make(map[string]*record), names: make(map[string]string)}
	seen := make(map[dicom.Tag]bool)
	want := func(tags ...dicom.Tag) {
		for _, tag := range tags {
			if !seen[tag] {
				seen[tag] = true
				t.wanted = append(t.wanted, tag)
			}
		}
	}
	for _, r := range slices.Concat(leaves, upper) {
		r.keys = slices.SortedFunc(slices.Values(r.keys), func(a, b key) int { return cmp.Compare(a.tag, b.tag) }) // as a data set has them
		t.byName[r.name] = &r
		for _, k := range r.keys {
			want(k.tag)
		}
	}
	t.apart = &record{name: "PRIVATE", root: true}
	t.patient, t.study, t.series = t.byName["PATIENT"], t.byName["STUDY"], t.byName["SERIES"]
	for _, d := range dates {
		want(d.date, d.time)
	}
	want(tagCharset, tagSOPClass, tagSOPInstance, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00287FE0)
	want(0x0040A073) // Verifying Observer Sequence, for (0040,A030)
	want(dental...)
	for _, c := range classes {
		t.byClass[classRoot+c.uid] = t.byName[c.record]
		t.names[classRoot+c.uid] = c.name
	}
	return t
}

// scanOptions is what every file of a set is read with.
func (t *tables) scanOptions() dicom.Options {
	return dicom.Options{
		Wanted: t.wanted,
		Only:   map[dicom.Tag]dicom.Match{tagContentSeq: {Tag: 0x0040A010, Value: "HAS CONCEPT MOD"}},
		Walk:   true,
	}
}
