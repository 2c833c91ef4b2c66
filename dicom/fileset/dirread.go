package fileset

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"carepost/dicom"
)

// dirRecord is a directory record as it was read: links, reference, and the keys its table asks for.
type dirRecord struct {
	offset, next, lower     int64
	inactive                bool
	typ                     string
	fileID                  string // components joined by "/"; "" where no file is referenced
	class, instance, syntax string
	charset                 string
	keys                    keys

	up       int // index of the parent, -1 at the root
	children []int
}

// directory is a DICOMDIR that was read.
type directory struct {
	records    []dirRecord
	roots      []int
	uid, id    string // File-set UID, File-set ID
	descriptor string // (0004,1141), joined by "/"
	ours       bool   // written by this program
	findings   findings
}

func (d *directory) find(r rule, format string, args ...any) {
	d.findings.add(r.at(DirectoryName, format, args...))
}

// at gives the index of the record at an offset of the file, -1 when there is none. Records are in the order of their offsets.
func (d *directory) at(offset int64) int {
	i, ok := slices.BinarySearchFunc(d.records, offset, func(r dirRecord, at int64) int { return cmp.Compare(r.offset, at) })
	if !ok {
		return -1
	}
	return i
}

// directoryTags are the elements of PS3.3 F.3.2 outside the records.
var directoryTags = []dicom.Tag{0x00041130, 0x00041141, 0x00041142, 0x00041200, 0x00041202, 0x00041212}

// dirReader reads one DICOMDIR.
type dirReader struct {
	t    *tables
	in   *interner
	d    *directory
	most int // records
}

// readDirectory reads a DICOMDIR of any encoding, of at most so many records. An error means that it is none, or cannot be read to its
// end; of one that is cut, the records that came before are given with it.
func readDirectory(t *tables, r io.Reader, most int) (*directory, error) {
	x := &dirReader{t: t, in: newInterner(), d: &directory{}, most: most}
	s := dicom.NewScanner(dicom.Options{Wanted: directoryTags, Each: tagRecords, Item: x.record, Walk: true})
	f, err := s.Scan(r)
	if cut := errors.Is(err, dicom.ErrCut) || errors.Is(err, dicom.ErrSyntax); cut && len(x.d.records) > 0 {
		x.byOrder()
		x.tables()
		return x.d, err
	}
	if err != nil {
		return nil, err
	}
	if class := f.SOPClass; class != classDirectory {
		x.d.find(ruleDirMeta, "its Media Storage SOP Class UID is not Media Storage Directory Storage")
		if len(x.d.records) == 0 {
			return nil, fmt.Errorf("%w: no directory", dicom.ErrSyntax)
		}
	}
	if _, ok := f.Data.Get(tagRecords); !ok && len(x.d.records) == 0 { // even an empty one must be there (PS3.3 F.3.2.2): it ends before it
		return nil, fmt.Errorf("%w: it ends before its Directory Record Sequence", dicom.ErrCut)
	}
	x.header(f)
	x.link(f)
	x.tables()
	return x.d, nil
}

func (x *dirReader) header(f *dicom.File) {
	d := x.d
	d.uid, d.id = f.SOPInstance, f.Data.String(0x00041130)
	d.descriptor = fileIDOf(f.Data.String(0x00041141))
	d.ours = f.Meta.String(0x00020012) == implementationUID || strings.HasPrefix(f.Meta.String(0x00020013), "CAREPOST") || d.id == "CAREPOST"
	if f.Encoding != dicom.ExplicitLittle || f.TransferSyntax != dicom.ExplicitLittle {
		d.find(ruleDirEncoding, "it must be in Explicit VR Little Endian")
	}
	if v, ok := f.Meta.Get(0x00020001); !ok || string(v.Value) != "\x00\x01" {
		d.find(ruleDirMeta, "File Meta Information Version (0002,0001) must be 00H 01H")
	}
	for _, t := range []dicom.Tag{0x00020000, 0x00020003, 0x00020010, 0x00020012} {
		if e, ok := f.Meta.Get(t); !ok || len(e.Value) == 0 {
			d.find(ruleDirMeta, "%v must have a value", t)
		}
	}
	if !dicom.ValidUID(d.uid) {
		d.find(ruleDirMeta, "its File-set UID is not well formed")
	}
	if what := polyglot(f.Preamble); what != "" {
		d.find(rulePreamble, "the preamble looks like %s", what)
	}
	if _, ok := f.Data.Get(0x00041130); !ok {
		d.find(ruleKey, "no File-set ID (0004,1130), not even an empty one")
	}
	if len(d.id) > 16 || d.id != "" && !validComponent(d.id) {
		d.find(ruleFileID, "the File-set ID is not up to 16 of A-Z 0-9 _")
	}
	if e, ok := f.Data.Get(0x00041212); !ok || e.Int() != 0 {
		d.find(ruleConsistency, "the File-set Consistency Flag (0004,1212) must be 0000H")
	}
	if len(d.records) == 0 {
		d.find(ruleEmpty, "no directory records: these profiles do not allow it")
	}
}

// record takes one item of the Directory Record Sequence.
func (x *dirReader) record(offset int64, s dicom.DataSet) error {
	if len(x.d.records) >= x.most {
		return fmt.Errorf("%w: more than %d records", dicom.ErrLimit, x.most)
	}
	typ := s.String(0x00041430)
	r := dirRecord{offset: offset, next: s.Int(0x00041400), lower: s.Int(0x00041420), typ: x.in.string(typ), up: -1,
		fileID: fileIDOf(s.String(0x00041500)), class: x.in.string(s.String(0x00041510)), instance: s.String(0x00041511),
		syntax: x.in.string(s.String(0x00041512)), charset: x.in.string(s.String(tagCharset))}
	if e, ok := s.Get(0x00041410); ok && e.Int() == 0 {
		r.inactive = true
	}
	if t, twice := twice(s); twice {
		x.d.find(ruleElementTwice, "the record at %d has %v twice: two readers could see two sets", offset, t)
	}
	var b []byte
	if rec, ok := x.t.byName[typ]; ok {
		for _, k := range rec.keys {
			e, ok := s.Get(k.tag)
			if !ok || !fits(e) {
				e.Value, e.Items = nil, nil
			}
			switch {
			case r.inactive:
			case k.need == required && len(e.Items) == 0 && dicom.Trim(e.Value) == "" && !(len(e.Value) > 0 && !isText(k.tag)):
				x.d.find(ruleKey, "a %s record without %v, which must have a value (record at %d)", typ, k.tag, offset)
			case k.need == present && !ok:
				x.d.find(ruleKey, "a %s record without %v, which must be there (record at %d)", typ, k.tag, offset)
			}
			if ok && shownTag(k.tag) && len(e.Value) <= 4096 {
				b = appendElement(b, k.tag, dicom.VROf(k.tag), e.Value)
			}
		}
	}
	r.keys = keys(x.in.string(string(b)))
	x.d.records = append(x.d.records, r)
	return nil
}

// twice finds an element that a record has more than once (PS3.5 §7.1).
func twice(s dicom.DataSet) (dicom.Tag, bool) {
	tags := make([]dicom.Tag, len(s))
	for i, e := range s {
		tags[i] = e.Tag
	}
	slices.Sort(tags) // they should rise as they are
	for i, t := range tags[min(1, len(tags)):] {
		if t == tags[i] {
			return t, true
		}
	}
	return 0, false
}

// shownTag says which keys are kept for listing and comparing.
func shownTag(t dicom.Tag) bool {
	switch t {
	case tagPatientID, tagName, tagStudyDate, tagStudyTime, tagStudyDesc, tagStudyUID, tagStudyID, tagAccession, tagModality,
		tagSeriesUID, tagSeriesNo, tagInstanceNo:
		return true
	}
	return false
}

// fileIDOf joins the components of a File ID. Padding of each component goes.
func fileIDOf(v string) string {
	if v == "" {
		return ""
	}
	parts := strings.Split(v, `\`)
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.Join(parts, "/")
}

// tables checks what PS3.3 F.3.2.2 and F.4 ask of each record.
func (x *dirReader) tables() {
	d := x.d
	for i := range d.records {
		r := &d.records[i]
		if r.inactive {
			continue
		}
		if _, ok := x.t.byName[r.typ]; !ok {
			d.find(ruleType, "the record at %d has the type %q, which is none to be written", r.offset, short(r.typ))
		}
		want, have := x.level(r.typ)-1, -1
		if r.up >= 0 {
			have = x.level(d.records[r.up].typ)
		}
		if want != have && r.typ != "PRIVATE" {
			d.find(ruleHierarchy, "the %s record at %d does not stand where PS3.3 Table F.4-1 has it", short(r.typ), r.offset)
		}
		if r.fileID == "" {
			if want == 2 && r.typ != "PRIVATE" {
				d.find(ruleReference, "the %s record at %d names no file", short(r.typ), r.offset)
			}
			continue
		}
		if r.class == "" || r.instance == "" || r.syntax == "" {
			d.find(ruleReference, "the record at %d lacks one of (0004,1510), (0004,1511), (0004,1512)", r.offset)
		}
		if !validFileID(r.fileID) || strings.EqualFold(r.fileID, DirectoryName) {
			d.find(ruleFileID, "the File ID %q is not 1 to 8 components of 1 to 8 of A-Z 0-9 _", short(r.fileID))
		}
	}
}

// mostRecords bounds the records of the DICOMDIR of a set of so many files: what is there may need four each, and that there are
// files that are not there has to be told too.
func mostRecords(files int) int { return 100_000 + 4*files }

// listedMissing counts the instances that the DICOMDIR at path lists and have does not.
func listedMissing(path string, have map[string]bool) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() > defaultLimits.Directory {
		return 0, errors.New("fileset: DICOMDIR beyond the limit")
	}
	d, err := readDirectory(newTables(), bufio.NewReader(f), mostRecords(defaultLimits.Entries))
	if err != nil {
		return 0, err
	}
	missing := 0
	for _, r := range d.records {
		if !r.inactive && r.fileID != "" && r.instance != "" && !have[r.instance] {
			missing++
		}
	}
	return missing, nil
}
