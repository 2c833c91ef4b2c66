package fileset

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"carepost/dicom"
)

// undirected judges files without a DICOMDIR. Objects among them may be taken over, but nothing says whether they are all or as they were:
// PS3.12 Y.1.2.2 makes the DICOMDIR the manifest of what was sent. Where there was one once, it is missing.
func (c *checker) undirected() error {
	lost, err := c.madeHere()
	if err != nil {
		return err
	}
	objects := 0
	for i := range c.contents {
		if x := &c.contents[i]; !c.l.skip[i] && (x.isInstance() || x.cut()) {
			objects++
		}
	}
	switch {
	case lost:
		c.miss(DirectoryName)
		c.find(ruleNoDirectory, "", "no DICOMDIR, though a MANIFEST: it was lost on the way")
	case objects == 0 || c.l.elsewhere:
		c.find(ruleNoDirectory, "", "no DICOMDIR, so nothing says what belongs to the set")
	default:
		c.find(ruleUndirected, "", "no DICOMDIR: nothing says whether these objects are all that were sent, or unchanged")
	}
	c.loose()
	return nil
}

// madeHere says that a MANIFEST of ours lies among the files.
func (c *checker) madeHere() (bool, error) {
	i := c.l.lookup(DescriptorName)
	if i < 0 {
		return false, nil
	}
	b, err := c.slurp(i, 16<<20+256*int64(len(c.v.files)))
	return bytes.HasPrefix(b, []byte(manifestTitle[:len("CAREPOST")])), err
}

// cut says that a file is a DICOM object, or was one.
func (c *content) cut() bool {
	return c.obj == nil && c.damaged == nil && c.err != nil && !errors.Is(c.err, dicom.ErrNotDICOM) && !errors.Is(c.err, errDirectory)
}

// loose lists the objects that are there, by what they say of themselves, and tells where they contradict one another.
func (c *checker) loose() {
	l := &looseTree{c: c, studies: make(map[string]*looseStudy), instances: make(map[string]int)}
	for i := range c.v.files {
		x, name := &c.contents[i], c.v.files[i].name
		switch {
		case c.l.skip[i]:
		case x.obj != nil:
			c.idOf[i] = name
			for _, n := range x.obj.findings {
				n.Where = name
				c.found.add(n)
			}
			l.add(i)
		case x.cut():
			c.idOf[i] = name
			text, _ := reason(x.err)
			c.find(x.fault(), name, "%s", text)
		}
	}
	c.report.Tree = l.patients()
	c.report.Instances = c.report.Found
}

// looseTree builds the listing of objects that have no directory. A patient is known by his ID, or without one by his study: never by name.
type looseTree struct {
	c         *checker
	order     []string // patients
	byPatient map[string][]*looseStudy
	person    map[string]Patient
	names     map[string]string      // of patients, for comparing
	studies   map[string]*looseStudy // by UID
	instances map[string]int         // SOP Instance UID → file
}

type looseStudy struct {
	patient string
	study   Study
	series  map[string]int // UID → index
}

func (l *looseTree) add(i int) {
	c, o := l.c, l.c.contents[i].obj
	name := c.v.files[i].name
	if j, twice := l.instances[o.instance]; twice {
		if c.contents[i].sum == c.contents[j].sum {
			c.find(ruleDuplicate, name, "the same object again; it is counted once")
			return
		}
		c.find(ruleInstanceTwice, name, "another object with the SOP Instance UID of %s", short(c.v.files[j].name))
	}
	l.instances[o.instance] = i
	patient := o.patient.exact(tagPatientID, o.charset)
	if patient == "" {
		patient = "\x00" + o.study
	}
	st := l.studies[o.study]
	switch {
	case st == nil:
		st = l.begin(patient, o)
	case st.patient != patient:
		c.find(ruleStudyTwice, name, "it belongs to a study of another Patient ID")
	}
	k, ok := st.series[o.series]
	if !ok {
		k = len(st.study.Series)
		st.series[o.series] = k
		st.study.Series = append(st.study.Series, Series{UID: clean(o.series), Number: o.seriesKeys.shown(tagSeriesNo, ""),
			Modality: o.seriesKeys.shown(tagModality, "")})
		c.report.Series++
	}
	st.study.Series[k].Instances = append(st.study.Series[k].Instances, Instance{FileID: clean(name), Type: o.record.name,
		Number: o.own.shown(tagInstanceNo, ""), SOPClass: clean(o.class), SOPInstance: clean(o.instance), TransferSyntax: clean(o.syntax),
		Size: c.contents[i].size, SHA256: fmt.Sprintf("%x", c.contents[i].sum), Image: o.image, Signed: o.signed})
	c.report.Found++
	c.report.Bytes += c.contents[i].size
}

func (l *looseTree) begin(patient string, o *object) *looseStudy {
	cs := o.charset
	st := &looseStudy{patient: patient, series: make(map[string]int), study: Study{UID: clean(o.study), ID: o.studyKeys.shown(tagStudyID, cs),
		Date: o.studyKeys.shown(tagStudyDate, ""), Time: o.studyKeys.shown(tagStudyTime, ""), Description: o.studyKeys.shown(tagStudyDesc, cs),
		Accession: o.studyKeys.shown(tagAccession, cs)}}
	if l.byPatient == nil {
		l.byPatient, l.person, l.names = make(map[string][]*looseStudy), make(map[string]Patient), make(map[string]string)
	}
	name := o.patient.exact(tagName, cs)
	if before, known := l.names[patient]; !known {
		l.names[patient] = name
		l.order = append(l.order, patient)
		l.person[patient] = Patient{ID: o.patient.shown(tagPatientID, cs), Name: o.patient.shown(tagName, cs)}
		l.c.report.Patients++
	} else if !dicom.SameName(before, name) {
		l.c.find(ruleNames, "", "one Patient ID stands with different patient names")
	}
	l.studies[o.study] = st
	l.byPatient[patient] = append(l.byPatient[patient], st)
	l.c.report.Studies++
	return st
}

func (l *looseTree) patients() (out []Patient) {
	for _, id := range l.order {
		p := l.person[id]
		for _, st := range l.byPatient[id] {
			p.Studies = append(p.Studies, st.study)
		}
		out = append(out, p)
	}
	return out
}

// looseName makes a name that came with an object harmless: a File ID as it is (RFC 3240 §2), anything else one element of a path that means
// nothing to any system.
func looseName(name string, n int) string {
	if validFileID(name) && unsafeName(name) == "" {
		return name
	}
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unprintable(r) || strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if name = strings.TrimSpace(strings.Trim(name, " .")); len(name) > 120 || unsafeName(name) != "" {
		return fmt.Sprintf("object-%d.dcm", n)
	}
	return name
}
