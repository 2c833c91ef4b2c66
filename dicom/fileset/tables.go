package fileset

import (
	"fmt"
	"slices"

	"carepost/dicom"
)

// Tables is what a set is made and judged by, for a conformance statement (PS3.2): the very data that the code uses.
type Tables struct {
	Classes []ClassRow
	Records []RecordRow // those that are written, from the root down

	ImplementationUID  string // (0002,0012)
	ImplementationName string // (0002,0013)
	PrivateRecordUID   string // (0004,1432)
	Limits             Limits // of reading, where the caller sets none
}

// ClassRow is a Media Storage SOP Class.
type ClassRow struct{ UID, Name, Record string }

// RecordRow is a Directory Record Type.
type RecordRow struct {
	Type  string
	Under string // the type above; empty: the root directory entity
	Keys  []KeyRow
}

// KeyRow is a key of a record.
type KeyRow struct {
	Tag      dicom.Tag
	Name     string
	Type     string // "1", "2", or "1C, 3": copied where the instance has it
	Supplied string // what the record gets where the instance has no value; empty for what is never supplied
}

// NewTables copies the tables.
func NewTables() Tables {
	t := Tables{ImplementationUID: implementationUID, ImplementationName: implementationName, PrivateRecordUID: privateRecordUID, Limits: defaultLimits}
	for _, c := range classes {
		t.Classes = append(t.Classes, ClassRow{classRoot + c.uid, c.name, c.record})
	}
	for _, r := range slices.Concat(upper, leaves) {
		row := RecordRow{Type: r.name, Under: above(r)}
		for _, k := range r.keys {
			row.Keys = append(row.Keys, KeyRow{Tag: k.tag, Name: keyNames[k.tag], Type: k.need.typeName(), Supplied: k.supplied()})
		}
		t.Records = append(t.Records, row)
	}
	return t
}

func above(r record) string {
	switch {
	case r.root:
		return ""
	case r.name == "STUDY":
		return "PATIENT"
	case r.name == "SERIES":
		return "STUDY"
	}
	return "SERIES"
}

func (n need) typeName() string {
	return [...]string{optional: "1C, 3", present: "2", required: "1"}[n]
}

// supplied says in words what supply puts into a record.
func (k key) supplied() string {
	if k.need != required {
		return ""
	}
	switch k.supply {
	case inventedID:
		return "NOID- and eight hexadecimal digits of the SHA-256 of the Study Instance UID"
	case running:
		return "the lowest number that no sibling has"
	case date:
		return "the study's date, else that of its series, acquisition, content or instance creation, else 19000101"
	case clock:
		return "the time that goes with the date, else 000000"
	case unknownCode:
		return "one item (UNKNOWN, 99CAREPOST, Unknown)"
	case anyModality:
		return "one item: modality OT, procedure and reason (UNKNOWN, 99CAREPOST, Unknown)"
	}
	switch {
	case k.fallback == "": // a UID without which an object is refused
		return ""
	case !isText(k.tag):
		n := 0
		for i := len(k.fallback) - 1; i >= 0; i-- {
			n = n<<8 | int(k.fallback[i])
		}
		return fmt.Sprint(n)
	}
	return k.fallback
}
