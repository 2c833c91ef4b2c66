package fileset

import (
	"fmt"
	"strconv"

	"carepost/dicom"
)

// compare holds a record against its file. What a record supplies where the file has nothing is no difference.
func (c *checker) compare(i, f int) {
	r, x := &c.d.records[i], &c.contents[f]
	if x.obj == nil {
		if x.damaged == nil {
			text, _ := reason(x.err)
			c.find(x.fault(), r.fileID, "%s", text)
		}
		return
	}
	for _, n := range x.obj.findings {
		n.Where = r.fileID
		c.found.add(n)
	}
	x.obj.findings = nil
	if r.instance != "" && r.instance != x.obj.instance {
		c.find(ruleMissing, r.fileID, "it holds another SOP instance than the one the DICOMDIR names")
		c.report.Found--
		c.miss(fmt.Sprintf("%s: %s, SOP Instance UID %s", short(clean(r.fileID)), short(clean(r.typ)), short(clean(r.instance))))
		return
	}
	if r.class != "" && r.class != x.obj.class {
		c.find(ruleRecord, r.fileID, "(0004,1510) is not the SOP Class UID of the file")
	}
	if r.syntax != "" && r.syntax != x.obj.syntax {
		c.find(ruleRecord, r.fileID, "(0004,1512) is not the transfer syntax of the file")
	}
	if want, known := recordFor(c.t, x.obj.class, true); known && want.name != r.typ {
		c.find(ruleType, r.fileID, "a %s record for an instance that takes %s", clean(r.typ), want.name)
	}
	c.keys(i, x.obj)
	for up := r.up; up >= 0; up = c.d.records[up].up {
		switch p := &c.d.records[up]; p.typ {
		case "SERIES":
			c.differ(r, "Series Instance UID", p.keys.text(tagSeriesUID), x.obj.series)
		case "STUDY":
			c.differ(r, "Study Instance UID", p.keys.text(tagStudyUID), x.obj.study)
		case "PATIENT":
			c.differ(r, "Patient ID", p.keys.exact(tagPatientID, p.charset), x.obj.patient.exact(tagPatientID, x.obj.charset))
			if !dicom.SameName(p.keys.exact(tagName, p.charset), x.obj.patient.exact(tagName, x.obj.charset)) {
				c.find(ruleNames, r.fileID, "the patient name of the record is not that of the file")
			}
		}
	}
}

// keys compares the other keys that people go by. What a study or a series record says need not be what each of its files says (PS3.3 F.5.2,
// F.5.3: they are those of the entity): that is told once.
func (c *checker) keys(i int, o *object) {
	r := &c.d.records[i]
	if file, record := o.own.plain(tagInstanceNo), r.keys.plain(tagInstanceNo); file != "" && record != "" && file != record {
		c.find(ruleRecord, r.fileID, "the Instance Number of the record is not that of the file")
	}
	for up := r.up; up >= 0; up = c.d.records[up].up {
		p := &c.d.records[up]
		of, tags := o.studyKeys, []dicom.Tag{tagStudyDate, tagStudyID}
		if p.typ == "SERIES" {
			of, tags = o.seriesKeys, []dicom.Tag{tagModality, tagSeriesNo}
		} else if p.typ != "STUDY" {
			continue
		}
		for _, t := range tags {
			if file, record := of.plain(t), p.keys.plain(t); file != "" && record != "" && file != record && !c.told[up] {
				c.told[up] = true
				c.find(ruleParents, r.fileID, "the %s record has another %v than this file", p.typ, t)
			}
		}
	}
}

// plain gives the value of t in one form, whole numbers too; "" where it is none that the standard allows.
func (k keys) plain(t dicom.Tag) string {
	v, _ := usable(dicom.VROf(t).String(), []byte(k.text(t)))
	s := dicom.Trim(v)
	if n, err := strconv.Atoi(s); err == nil && dicom.VROf(t).String() != "DA" {
		return strconv.Itoa(n)
	}
	return s
}

func (c *checker) differ(r *dirRecord, what, record, file string) {
	if file != "" && file != record {
		c.find(ruleRecord, r.fileID, "the %s of the record is not that of the file", what)
	}
}
