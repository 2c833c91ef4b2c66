package fileset

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// member is an object on its way into the set.
type member struct {
	*object
	src       source
	patientID string // as dicom.Exact has it; the key of its PATIENT record
	invented  bool   // patientID is ours
	first     string // the earliest Study Date in its study
	seriesNo  int64  // the lowest in its series
	number    int64
}

// builder turns objects into a Plan.
type builder struct {
	o        ScanOptions
	t        *tables
	members  []*member
	findings []Finding
	problems []Problem

	overruled map[Conflict]bool
	adopted   map[string]string // Patient IDs, by study, that were given to instances without one
}

func (b *builder) note(f Finding) { b.findings = append(b.findings, f) }

func (b *builder) problem(reason, source string, files ...string) {
	b.problems = append(b.problems, Problem{Files: files, Reason: reason, Source: source})
}

func (b *builder) take(src source, o *object) {
	b.members = append(b.members, &member{object: o, src: src,
		seriesNo: number(o.seriesKeys.text(tagSeriesNo)), number: number(o.own.text(tagInstanceNo))})
}

// number reads an IS for sorting; what is none sorts last.
func number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 1 << 40
	}
	return n
}

func (b *builder) plan(ctx context.Context, paths, directories []string) (*Plan, error) {
	if len(b.members) == 0 && len(b.problems) == 0 {
		b.problem("no DICOM instance here", "PS3.11 X.3.3", paths...)
	}
	if err := b.duplicates(ctx); err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	b.patients()
	b.names()
	b.oneParent(ruleStudyTwice, "Study Instance UID", "patients", func(m *member) (string, string) { return m.study, m.patientID })
	b.oneParent(ruleSeriesTwice, "Series Instance UID", "studies", func(m *member) (string, string) { return m.series, m.study })
	if err := b.listed(directories); err != nil {
		return nil, err
	}
	if len(b.problems) > 0 {
		return nil, &InputError{Problems: b.problems}
	}
	b.together()
	slices.SortFunc(b.members, (*member).compare)
	p, err := b.arrange()
	if err != nil {
		return nil, err
	}
	signed := 0
	for i := range p.Instances {
		if p.Instances[i].Signed {
			signed++
		}
	}
	if signed > 0 {
		p.Findings = append(p.Findings, signedNote(signed))
	}
	return p, nil
}

// together gives the instances of a study, and of a series, one place in the order: what they say of date and number may differ.
func (b *builder) together() {
	type study struct{ patient, uid string }
	type series struct {
		study
		uid string
	}
	dates, numbers := make(map[study]string), make(map[series]int64)
	for _, m := range b.members {
		st := study{m.patientID, m.study}
		if d, ok := dates[st]; !ok || m.studyKeys.text(tagStudyDate) < d {
			dates[st] = m.studyKeys.text(tagStudyDate)
		}
		se := series{st, m.series}
		if n, ok := numbers[se]; !ok || m.seriesNo < n {
			numbers[se] = m.seriesNo
		}
	}
	for _, m := range b.members {
		st := study{m.patientID, m.study}
		m.first, m.seriesNo = dates[st], numbers[series{st, m.series}]
	}
}

// compare gives the order of the set: it depends on the instances alone, not on where their files lie.
func (m *member) compare(n *member) int {
	return cmp.Or(
		cmp.Compare(b2i(m.record.root), b2i(n.record.root)), strings.Compare(m.record.rootName(), n.record.rootName()),
		strings.Compare(m.patientID, n.patientID),
		strings.Compare(m.first, n.first), strings.Compare(m.study, n.study),
		cmp.Compare(m.seriesNo, n.seriesNo), strings.Compare(m.series, n.series),
		cmp.Compare(m.number, n.number), strings.Compare(m.instance, n.instance))
}

func (r *record) rootName() string {
	if r.root {
		return r.name
	}
	return ""
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// duplicates drops files that are the same instance and the same bytes, and stops at the same UID with other bytes (PS3.3 F.5.4); where
// that is allowed, the file that was given first is the one.
func (b *builder) duplicates(ctx context.Context) error {
	first := make(map[string]*member, len(b.members))
	bad := make(map[string]int) // instance → index of its problem
	kept := b.members[:0]
	for _, m := range b.members {
		was, twice := first[m.instance]
		if !twice {
			first[m.instance] = m
			kept = append(kept, m)
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		same, err := sameBytes(was.src, m.src)
		switch i, known := bad[m.instance]; {
		case err != nil:
			b.problem(plainReason(err), "", m.src.path)
		case same:
			b.note(ruleDuplicate.at(m.src.path, "the same instance, byte for byte, as %s: packed once", was.src.path))
		case b.o.AllowVersions:
			b.overrule(Versions, ruleVersion.at(m.src.path, "other bytes than %s under the same SOP Instance UID; left out as asked", was.src.path))
		case known:
			b.problems[i].Files = append(b.problems[i].Files, m.src.path)
		default:
			bad[m.instance] = len(b.problems)
			b.conflict(Versions, "the same SOP Instance UID "+m.instance+" with different bytes", "PS3.3 F.5.4", was.src.path, m.src.path)
		}
	}
	b.members = kept
	return nil
}

func sameBytes(a, b source) (bool, error) {
	if a.size != b.size || a.head != b.head {
		return false, nil
	}
	var files opener
	defer files.close()
	fa, err := a.open(&files)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := b.open(&files)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	ra, rb := io.NewSectionReader(fa, 0, a.size), io.NewSectionReader(fb, 0, b.size)
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(ra, x)
		m, errB := io.ReadFull(rb, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return errA == errB, nil
		}
	}
}

// patients gives each member the Patient ID it goes under. An empty one takes that of its study, which is a UID; it is never joined by
// name, and without such a study it gets an ID of its own (PS3.3 F.5.1).
func (b *builder) patients() {
	ofStudy := make(map[string]string)
	type written struct {
		patient keys
		charset string
	}
	ids := make(map[written]string)
	for _, m := range b.members {
		w := written{m.patient, m.charset}
		id, ok := ids[w]
		if !ok {
			id = m.patient.exact(tagPatientID, m.charset)
			ids[w] = id
		}
		m.patientID = id
		if m.patientID == "" || m.record.root {
			continue
		}
		if id, ok := ofStudy[m.study]; ok && id != m.patientID {
			ofStudy[m.study] = "" // of two patients: nobody's guess
			continue
		}
		ofStudy[m.study] = m.patientID
	}
	for _, m := range b.members {
		if m.patientID != "" || m.record.root {
			continue
		}
		id := ofStudy[m.study]
		if b.o.adopted != nil { // the other instances of the study may be in another part
			id = b.o.adopted[m.study]
		}
		if id != "" {
			if b.adopted == nil {
				b.adopted = make(map[string]string)
			}
			m.patientID, b.adopted[m.study] = id, id
			b.note(ruleAdopted.at(m.src.path, "no Patient ID; listed under that of the other instances of its study"))
			continue
		}
		sum := sha256.Sum256([]byte(m.study))
		m.patientID, m.invented = "NOID-"+strings.ToUpper(hex.EncodeToString(sum[:4])), true
	}
}

// listed reads the DICOMDIRs that were passed over: what they list and nobody found is said, for the set would be short of it.
func (b *builder) listed(directories []string) error {
	have := make(map[string]bool, len(b.members))
	for _, m := range b.members {
		have[m.instance] = true
	}
	for _, path := range directories {
		missing, err := listedMissing(path, have)
		switch {
		case err != nil:
			b.note(ruleListed.at(path, "this DICOMDIR cannot be read, so nothing says whether the folder is whole"))
		case missing > 0:
			what := "1 instance that is"
			if missing > 1 {
				what = fmt.Sprintf("%d instances that are", missing)
			}
			b.problem("this DICOMDIR lists "+what+" not among the files given: the study may not be whole", "PS3.12 Y.1.2.2", path)
		}
	}
	return nil
}
