package fileset

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// arranger walks the sorted members and makes records, File IDs and the tree.
type arranger struct {
	b     *builder
	p     *Plan
	nodes []node
	body  []byte // being encoded

	patient, study, series int // nodes
	patientNo, studyNo     int
	seriesNo, imageNo      int
	studyDate, studyTime   string
	undated                bool // nothing in the study has a date: studyDate is ScanOptions.NoDate, or plainly none
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
	a := &arranger{b: b, p: &Plan{Findings: b.findings, adopted: b.adopted, Instances: make([]Instance, 0, len(b.members)), stored: b.o.Stored,
		sources: make([]source, 0, len(b.members)), Overruled: slices.Sorted(maps.Keys(b.overruled))},
		scopes: map[int]*scope{0: {ms: b.members}}}
	a.nodes = make([]node, 1, len(b.members)+len(b.members)/8+16) // the first is the root directory entity
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

// speaker finds the member whose keys go into the record of a parent: the one that has most of the required values, then most of the
// others, the first of equals. So nothing is made up that an instance has.
func speaker(r *record, ms []*member, of func(*member) keys) *member {
	best, most := ms[0], -1
	said := make(map[keys]bool)
	for _, m := range ms {
		ks := of(m)
		if said[ks] {
			continue
		}
		said[ks] = true
		n := 0
		for _, k := range r.keys {
			switch {
			case ks.text(k.tag) == "":
			case k.need == required:
				n += 100
			default:
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
			a.dateOf(nil)
		}
		a.imageNo++
		a.p.apart++
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
		for end < len(ms) && ms[end].patientID == m.patientID && ms[end].study == m.study {
			end++
		}
		a.studyNo, a.seriesNo = a.studyNo+1, 0
		a.dateOf(ms[i:end])
		a.study = a.parent(a.patient, a.b.t.study, func(m *member) keys { return m.studyKeys }, ms[i:end])
		a.p.Studies++
	}
	if newSeries {
		end := i
		for end < len(ms) && ms[end].patientID == m.patientID && ms[end].study == m.study && ms[end].series == m.series {
			end++
		}
		a.seriesNo, a.imageNo = a.seriesNo+1, 0
		a.series = a.parent(a.study, a.b.t.series, func(m *member) keys { return m.seriesKeys }, ms[i:end])
		a.p.Series++
	}
	a.imageNo++
	a.leaf(m, a.series, fmt.Sprintf("DICOM/P%04d/S%04d/R%04d/I%05d", a.patientNo, a.studyNo, a.seriesNo, a.imageNo))
}

// dateOf finds the date and time that stand in for missing ones in a study. What stands at the root has no study, and takes none from those before it.
func (a *arranger) dateOf(ms []*member) {
	a.studyDate, a.studyTime = "", ""
	for i, m := range ms {
		if i == 0 {
			a.studyDate, a.studyTime = m.studyKeys.text(tagStudyDate), m.studyKeys.text(tagStudyTime)
		}
		if a.studyDate == "" && m.date != "" {
			a.studyDate, a.studyTime = m.date, m.time
		}
	}
	if a.undated = a.studyDate == ""; a.undated {
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
	m := speaker(r, ms, of)
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
		TransferSyntax: m.syntax, Size: m.src.size, Source: m.src.path, Image: m.image, Signed: m.signed,
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
