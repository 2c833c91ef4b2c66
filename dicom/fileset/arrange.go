package fileset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"carepost/dicom"
)

// arranger walks the sorted members and makes records, File IDs and the tree.
type arranger struct {
	b     *builder
	p     *Plan
	nodes []node

	patient, study, series int // nodes
	patientNo, studyNo     int
	seriesNo, imageNo      int
	studyDate, studyTime   string
	scopes                 map[int]*scope
}

// scope is what stands under one record: the numbers that children bring are taken before one is made up.
type scope struct {
	ms    []*member
	taken map[string]bool
	last  int
}

// arrange gives every member its place. The members are sorted and free of conflicts.
func (b *builder) arrange() (*Plan, error) {
	a := &arranger{b: b, p: &Plan{Findings: b.findings, Instances: make([]Instance, 0, len(b.members))},
		scopes: map[int]*scope{0: {ms: b.members}}}
	a.nodes = append(a.nodes, node{}) // the root directory entity
	for i, m := range b.members {
		a.place(i, m)
		for _, f := range m.findings {
			f.Where = m.src.path
			a.p.Findings = append(a.p.Findings, f)
		}
		m.findings = nil
	}
	a.tree()
	id := b.o.FileSetID
	if id == "" {
		id = "CAREPOST"
	}
	if len(id) > 16 || !validComponent(id) {
		return nil, fmt.Errorf("fileset: %q is no File-set ID of up to 16 of A-Z 0-9 _ (PS3.10 8.5)", id)
	}
	a.p.UID = a.uid()
	var err error
	a.p.directory, err = writeDirectory(a.nodes, id, a.p.UID)
	if err != nil {
		return nil, err
	}
	return a.p, nil
}

// uid makes the File-set UID (PS3.10 8.6) out of the content: the same set packed twice is the same set. PS3.5 B.2: 2.25 and a UUID.
func (a *arranger) uid() string {
	h := sha256.New()
	for i, m := range a.b.members {
		fmt.Fprintf(h, "%s %s %d %08x\n", a.p.Instances[i].FileID, m.instance, m.src.size, m.src.head)
	}
	for _, n := range a.nodes {
		h.Write(n.body)
	}
	return "2.25." + new(big.Int).SetBytes(h.Sum(nil)[:16]).String()
}

// speaker finds the member whose keys go into the record of a parent: the one that has most values, the first of equals.
func speaker(ms []*member, of func(*member) keys) *member {
	best, most := ms[0], -1
	for _, m := range ms {
		n := 0
		for k := of(m); len(k) > 0; {
			var v string
			if _, _, v, k = k.next(); len(v) > 0 {
				n++
			}
		}
		if n > most {
			best, most = m, n
		}
	}
	return best
}

// place puts member i under its patient, study and series, which it opens where it is their first.
func (a *arranger) place(i int, m *member) {
	ms := a.b.members
	if m.record.root {
		if a.patientNo >= 0 {
			a.patientNo, a.imageNo = -1, 0
		}
		a.imageNo++
		a.leaf(m, 0, fmt.Sprintf("DICOM/OTHER/I%05d", a.imageNo))
		return
	}
	prev := &member{object: &object{}}
	if i > 0 {
		prev = ms[i-1]
	}
	newPatient := i == 0 || prev.patientID != m.patientID
	newStudy := newPatient || prev.study != m.study
	newSeries := newStudy || prev.series != m.series
	if newPatient {
		end := i
		for end < len(ms) && ms[end].patientID == m.patientID && !ms[end].record.root {
			end++
		}
		a.patientNo, a.studyNo = a.patientNo+1, 0
		a.patient = a.parent(0, a.b.t.patient, func(m *member) keys { return m.patient }, ms[i:end])
		a.p.Patients++
	}
	if newStudy {
		end := i
		for end < len(ms) && ms[end].study == m.study {
			end++
		}
		a.studyNo, a.seriesNo = a.studyNo+1, 0
		a.dateOf(ms[i:end])
		a.study = a.parent(a.patient, a.b.t.study, func(m *member) keys { return m.studyKeys }, ms[i:end])
		a.p.Studies++
	}
	if newSeries {
		end := i
		for end < len(ms) && ms[end].series == m.series {
			end++
		}
		a.seriesNo, a.imageNo = a.seriesNo+1, 0
		a.series = a.parent(a.study, a.b.t.series, func(m *member) keys { return m.seriesKeys }, ms[i:end])
		a.p.Series++
	}
	a.imageNo++
	a.leaf(m, a.series, fmt.Sprintf("DICOM/P%04d/S%04d/R%04d/I%05d", a.patientNo, a.studyNo, a.seriesNo, a.imageNo))
}

// dateOf finds the date and time that stand in for missing ones in a study.
func (a *arranger) dateOf(ms []*member) {
	a.studyDate, a.studyTime = ms[0].studyKeys.text(tagStudyDate), ms[0].studyKeys.text(tagStudyTime)
	for _, m := range ms {
		if a.studyDate == "" && m.date != "" {
			a.studyDate, a.studyTime = m.date, m.time
		}
	}
	if a.studyDate == "" {
		a.studyDate = a.b.o.NoDate
	}
	if a.studyDate == "" {
		a.studyDate = "19000101" // plainly no date of a study
	}
	if a.studyTime == "" {
		a.studyTime = "000000"
	}
}

// parent makes a PATIENT, STUDY or SERIES record from the keys of one of ms, and notes which of ms have others.
func (a *arranger) parent(up int, r *record, of func(*member) keys, ms []*member) int {
	m := speaker(ms, of)
	n := a.add(up, node{typ: r.name})
	a.scopes[n] = &scope{ms: ms}
	a.nodes[n].body = a.compose(r, of(m), m, up)
	told := map[keys]bool{of(m): true}
	for _, other := range ms {
		if k := of(other); !told[k] {
			told[k] = true
			a.p.Findings = append(a.p.Findings, ruleParents.at(other.src.path, "its %s keys differ from those of %s, which the record has",
				strings.ToLower(r.name), m.src.path))
		}
	}
	return n
}

func (a *arranger) leaf(m *member, up int, fileID string) {
	n := node{typ: m.record.name, fileID: fileID, class: m.class, instance: m.instance, syntax: m.syntax}
	n.body = a.compose(m.record, m.own, m, up)
	a.add(up, n)
	a.p.Instances = append(a.p.Instances, Instance{
		FileID: fileID, Type: m.record.name, Number: keys(n.body).text(tagInstanceNo), SOPClass: m.class, SOPInstance: m.instance,
		TransferSyntax: m.syntax, Size: m.src.size, Source: m.src.path, Image: m.image,
	})
	a.p.sources = append(a.p.sources, m.src)
	a.p.Bytes += m.src.size
}

func (a *arranger) add(up int, n node) int {
	i := len(a.nodes)
	n.up = up
	a.nodes = append(a.nodes, n)
	if last := a.nodes[up].last; last != 0 {
		a.nodes[last].next = i
	} else {
		a.nodes[up].first = i
	}
	a.nodes[up].last = i
	return i
}

// compose encodes a record's keys: those of the instance, and what the table supplies for the missing.
func (a *arranger) compose(r *record, ks keys, m *member, up int) []byte {
	var b []byte
	for _, k := range r.keys {
		v, ok := ks.find(k.tag)
		empty := len(v) == 0 || isText(k.tag) && dicom.Trim([]byte(v)) == ""
		switch {
		case k.need == required && empty:
			b = a.supply(b, r, k, m, up)
		case ok:
			b = appendElement(b, k.tag, dicom.VROf(k.tag), []byte(v))
		case k.need == present:
			b = appendElement(b, k.tag, dicom.VROf(k.tag), nil)
		}
	}
	if m.charset != "" && keys(b).extended() {
		b = append(appendText(nil, tagCharset, m.charset), b...)
	}
	return b
}

// isText says that only spaces in t are no value; numbers may be zero.
func isText(t dicom.Tag) bool {
	switch dicom.VROf(t).String() {
	case "US", "UL", "SQ":
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
	case clock:
		value, how = a.studyTime, "a time to go with the date"
	case unknownCode:
		value, how = string(unknown()), "a code that says unknown"
	case anyModality:
		item := appendText(nil, tagModality, "OT")
		item = appendElement(item, 0x00081032, dicom.VROf(0x00081032), unknown()) // procedure
		item = appendText(item, 0x00200060, "")                                   // laterality
		item = appendElement(item, 0x0040100A, dicom.VROf(0x0040100A), unknown()) // reason
		value, how = string(appendRawItem(nil, item)), "an item for other modalities"
	}
	a.p.Findings = append(a.p.Findings, ruleSupplied.at(m.src.path, "%s %v has no value; the %s record gets %s, the file stays as it is",
		keyNames[k.tag], k.tag, r.name, how))
	return appendElement(b, k.tag, dicom.VROf(k.tag), []byte(value))
}

// unknown is an item with a code that says unknown (PS3.3 Table 8.8-1).
func unknown() []byte {
	item := appendText(nil, 0x00080100, "UNKNOWN")
	item = appendText(item, 0x00080102, "99CAREPOST")
	item = appendText(item, 0x00080104, "Unknown")
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

// tree makes the listing for people from the records, which hold what was supplied too.
func (a *arranger) tree() {
	next := 0 // instances come in the order of their records
	for i := a.nodes[0].first; i != 0; i = a.nodes[i].next {
		n := &a.nodes[i]
		if n.typ != "PATIENT" {
			continue
		}
		p := treePatient(keys(n.body))
		for j := n.first; j != 0; j = a.nodes[j].next {
			st := treeStudy(keys(a.nodes[j].body))
			for k := a.nodes[j].first; k != 0; k = a.nodes[k].next {
				se := treeSeries(keys(a.nodes[k].body))
				from := next
				for l := a.nodes[k].first; l != 0; l = a.nodes[l].next {
					next++
				}
				se.Instances = a.p.Instances[from:next:next]
				st.Series = append(st.Series, se)
			}
			p.Studies = append(p.Studies, st)
		}
		a.p.Tree = append(a.p.Tree, p)
	}
}

func treePatient(k keys) Patient {
	cs := k.text(tagCharset)
	return Patient{ID: k.shown(tagPatientID, cs), Name: k.shown(tagName, cs)}
}

func treeStudy(k keys) Study {
	cs := k.text(tagCharset)
	return Study{UID: k.text(tagStudyUID), ID: k.shown(tagStudyID, cs), Date: k.shown(tagStudyDate, ""), Time: k.shown(tagStudyTime, ""),
		Description: k.shown(tagStudyDesc, cs), Accession: k.shown(tagAccession, cs)}
}

func treeSeries(k keys) Series {
	return Series{UID: k.text(tagSeriesUID), Number: k.shown(tagSeriesNo, ""), Modality: k.shown(tagModality, "")}
}

// shown decodes a value for people.
func (k keys) shown(t dicom.Tag, charset string) string {
	v, _ := k.find(t)
	return dicom.Text([]byte(v), charset)
}
