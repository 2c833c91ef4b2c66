package fileset

import (
	"encoding/binary"
	"slices"
	"strconv"

	"carepost/dicom"
)

// compose encodes a record's keys: those of the instance, and what the table supplies for the missing.
func (a *arranger) compose(r *record, ks keys, m *member, up int) []byte {
	b := a.body[:0]
	for _, k := range r.keys {
		v, ok := ks.find(k.tag)
		empty := len(v) == 0 || isText(k.tag) && dicom.Trim([]byte(v)) == ""
		switch {
		case k.need == required && empty:
			b = a.supply(b, r, k, m, up)
			continue
		case ok:
			b = appendElement(b, k.tag, dicom.VROf(k.tag), []byte(v))
		case k.need == present:
			b = appendElement(b, k.tag, dicom.VROf(k.tag), nil)
		}
		a.valued(r, k, []byte(v), m)
	}
	if m.charset != "" && keys(b).extended() {
		b = slices.Insert(b, 0, appendText(nil, tagCharset, m.charset)...)
	}
	a.body = b
	return slices.Clone(b)
}

// isText says that only spaces in t are no value; numbers may be zero.
func isText(t dicom.Tag) bool {
	switch dicom.VROf(t).String() {
	case "US", "UL", "UV", "SQ":
		return false
	}
	return true
}

// supply gives a required key its value in the record, and says so.
func (a *arranger) supply(b []byte, r *record, k key, m *member, up int) []byte {
	value, how := k.fallback, "a stand-in"
	switch k.supply {
	case inventedID:
		value, how = m.patientID, "one of ours, marked NOID"
	case running:
		value, how = a.running(up, k.tag), "a running number"
	case date:
		value, how = a.studyDate, "the date of its study or of another element"
		if a.undated {
			how = a.studyDate + ", for nothing there has a date"
		}
	case clock:
		value, how = a.studyTime, "a time to go with the date"
	case unknownCode:
		value, how = string(unknown()), "a code that says unknown"
	case anyModality:
		value, how = string(otherModality()), "an item for other modalities"
	}
	lacks := "no value"
	if slices.Contains(m.strange, k.tag) {
		lacks = "no value that the standard allows"
	}
	a.p.Findings = append(a.p.Findings, ruleSupplied.at(m.src.path, "%s %v has %s; the %s record gets %s, the file stays as it is",
		keyNames[k.tag], k.tag, lacks, r.name, how))
	return appendElement(b, k.tag, dicom.VROf(k.tag), []byte(value))
}

// unknown is an item with a code that says unknown (PS3.3 Table 8.8-1).
func unknown() []byte {
	item := appendText(nil, 0x00080100, "UNKNOWN")
	item = appendText(item, 0x00080102, "99CAREPOST")
	item = appendText(item, 0x00080104, "Unknown")
	return appendRawItem(nil, item)
}

// otherModality is an item of a Hanging Protocol Definition Sequence (PS3.3 C.23.1) that says as little as one can.
func otherModality() []byte {
	item := appendText(nil, tagModality, "OT")
	item = appendElement(item, 0x00081032, dicom.VROf(0x00081032), unknown()) // procedure
	item = appendText(item, 0x00200060, "")                                   // laterality
	item = appendElement(item, 0x0040100A, dicom.VROf(0x0040100A), unknown()) // reason
	return appendRawItem(nil, item)
}

func appendRawItem(b, body []byte) []byte {
	b = append(b, 0xFE, 0xFF, 0x00, 0xE0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// running gives the lowest number that no sibling has, nor any that was given before.
func (a *arranger) running(up int, t dicom.Tag) string {
	sc := a.scopes[up]
	if sc.taken == nil {
		sc.taken = make(map[string]bool)
		for _, m := range sc.ms {
			for _, k := range []keys{m.studyKeys, m.seriesKeys, m.own} {
				if v := k.text(t); v != "" {
					sc.taken[v] = true
				}
			}
		}
	}
	for {
		sc.last++
		if s := strconv.Itoa(sc.last); !sc.taken[s] {
			return s
		}
	}
}
