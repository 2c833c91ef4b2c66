package fileset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"carepost/dicom"
)

// object is what a set needs to know of one file: small, because a study may have 100,000 of them.
type object struct {
	class, instance, syntax string
	study, series           string // UIDs; "" for records that stand at the root
	charset                 string // trimmed (0008,0005)
	record                  *record
	own                     keys // of the record that names the file
	patient                 keys
	studyKeys               keys
	seriesKeys              keys
	date, time              string // for a study without date: of the first other date there is
	image                   Image
	strange                 []dicom.Tag // keys whose value is none that the standard allows: taken for missing
	signed                  bool        // it carries digital signatures
	findings                []Finding   // Where left empty
}

// reader makes objects. It is for one goroutine.
type reader struct {
	t  *tables
	s  *dicom.Scanner
	in *interner

	keys    []byte      // being encoded
	strange []dicom.Tag // of the object that is
	head    []byte      // of the file looked at

	files opener
}

// newReader makes one. inflated is what deflated data sets may still grow to, all readers together; nil where they are trusted.
func newReader(t *tables, in *interner, inflated *atomic.Int64) *reader {
	o := t.scanOptions()
	o.Inflated, o.Brief = inflated, true
	return &reader{t: t, s: dicom.NewScanner(o), in: in}
}

var errDirectory = errors.New("fileset: a DICOMDIR") // not an instance

// unusable is a Part 10 file that cannot be referenced.
type unusable struct{ reason, source string }

func (u *unusable) Error() string { return "fileset: " + u.reason }

// object condenses f. *unusable says why it cannot belong to a set; errDirectory that it is a directory itself.
func (r *reader) object(f *dicom.File) (*object, error) {
	d := f.Data
	o := &object{
		class: d.String(tagSOPClass), instance: d.String(tagSOPInstance), syntax: f.TransferSyntax,
		study: d.String(tagStudyUID), series: d.String(tagSeriesUID), charset: d.String(tagCharset),
	}
	if o.class == classDirectory || f.SOPClass == classDirectory {
		return nil, errDirectory
	}
	var known bool
	o.record, known = recordFor(r.t, o.class, f.Pixels.Tag != 0 && d.Int(0x00280010) > 0)
	if known && o.record.name == r.t.apart.name && o.study == "" && o.series == "" {
		o.record = r.t.apart
	}
	if err := o.complete(f); err != nil {
		return nil, err
	}
	if !known && o.class != "" {
		o.find(ruleUnknown, "SOP Class %s is none that this program knows; its record is %s", o.class, o.record.name)
	}
	o.checkMeta(f)
	if _, provider := d.Get(0x00287FE0); known && o.record.name == "IMAGE" && f.Pixels.Tag == 0 && !provider {
		o.find(rulePixels, "no pixel data, which images of its class have: it may have been cut")
	}
	o.signed = f.Signed
	for _, uid := range []string{o.class, o.instance, o.study, o.series} {
		if uid != "" && !dicom.ValidUID(uid) {
			o.find(ruleUID, "a UID is not well formed; it is kept as it is")
		}
	}
	r.takeKeys(o, d)
	o.image = Image{BitsAllocated: int(d.Int(0x00280100)), BitsStored: int(d.Int(0x00280101))}
	for _, t := range dental {
		if _, ok := d.Get(t); !ok {
			o.image.Absent = append(o.image.Absent, t)
		}
	}
	return o, nil
}

const classDirectory = "1.2.840.10008.1.3.10"

// complete refuses what no record can name (PS3.3 F.3.2.2, PS3.10 7.1), and an image whose pixels are gone.
func (o *object) complete(f *dicom.File) error {
	missing := map[string]string{"SOP Class UID": o.class, "SOP Instance UID": o.instance}
	if !o.record.root {
		missing["Study Instance UID"], missing["Series Instance UID"] = o.study, o.series
	}
	var names []string
	for name, v := range missing {
		if v == "" {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		return &unusable{"a DICOM file without " + strings.Join(names, ", "), "PS3.10 7.1"}
	}
	_, provider := f.Data.Get(0x00287FE0)
	if f.Pixels.Tag == 0 && !provider && f.Data.Int(0x00280010) > 0 && f.Data.Int(0x00280011) > 0 && o.record.name == "IMAGE" {
		return &unusable{"an image without pixel data: cut before them", "PS3.3 C.7.6.3"}
	}
	return nil
}

// checkMeta compares the file meta group with the data set (PS3.10 7.1).
func (o *object) checkMeta(f *dicom.File) {
	if f.Lied {
		o.find(ruleSyntaxLie, "the transfer syntax named is not the one used")
	}
	if f.TransferSyntax == "" {
		o.syntax = f.Encoding
		o.find(ruleMeta, "no Transfer Syntax UID (0002,0010); the data set is in %s", f.Encoding)
	}
	if f.SOPClass != o.class {
		o.find(ruleMeta, "(0002,0002) is not the SOP Class UID of the data set")
	}
	if f.SOPInstance != o.instance {
		o.find(ruleMeta, "(0002,0003) is not the SOP Instance UID of the data set")
	}
	if _, ok := f.Meta.Get(0x00020000); !ok {
		o.find(ruleMeta, "no File Meta Information Group Length (0002,0000)")
	}
	if what := polyglot(f.Preamble); what != "" {
		o.find(rulePreamble, "the preamble looks like %s", what)
	}
	if f.Unordered {
		o.find(ruleUnordered, "tags do not rise")
	}
}

// polyglot names what else a file claims to be by its first bytes. TIFF is legitimate (PS3.10 7.1 note).
func polyglot(p [128]byte) string {
	for _, x := range magics {
		if string(p[:len(x.first)]) == x.first {
			return x.what
		}
	}
	return ""
}

var magics = []struct{ first, what string }{
	{"MZ", "a Windows program"}, {"\x7fELF", "a program"}, {"#!", "a script"}, {"PK\x03\x04", "a ZIP archive"},
	{"%PDF", "a PDF"}, {"\xca\xfe\xba\xbe", "a program"}, {"<", "HTML or XML"},
}

func (o *object) find(r rule, format string, args ...any) {
	o.findings = append(o.findings, r.at("", format, args...))
}

// takeKeys encodes the keys of each level from the data set.
func (r *reader) takeKeys(o *object, d dicom.DataSet) {
	r.strange = r.strange[:0]
	defer func() { o.strange = slices.Clone(r.strange) }()
	o.own = r.encode(o.record, d)
	if o.record.root {
		return
	}
	o.patient, o.studyKeys, o.seriesKeys = r.encode(r.t.patient, d), r.encode(r.t.study, d), r.encode(r.t.series, d)
	o.class, o.syntax, o.charset = r.in.string(o.class), r.in.string(o.syntax), r.in.string(o.charset)
	o.study, o.series = r.in.string(o.study), r.in.string(o.series)
	if o.studyKeys.text(tagStudyDate) == "" || o.studyKeys.text(tagStudyTime) == "" {
		date, time := anyDate(d)
		o.date, o.time = r.in.string(date), r.in.string(time)
	}
}

// encode takes the keys of rec that d has, and supplies dates from other dates of d.
func (r *reader) encode(rec *record, d dicom.DataSet) keys {
	b := r.keys[:0]
	for _, k := range rec.keys {
		e, ok := d.Get(k.tag)
		if !ok && k.tag == 0x0040A030 {
			e, ok = verified(d)
		}
		switch {
		case !ok || !fits(e):
			continue
		case k.tag == tagContentSeq && len(e.Items) == 0: // 1C: no modifiers, no sequence
			continue
		case k.tag == tagConceptName && len(e.Items) > 1:
			e.Items = e.Items[:1]
		case len(e.Value) > 0:
			if e.Value, ok = usable(dicom.VROf(k.tag).String(), e.Value); !ok {
				r.strange = append(r.strange, k.tag)
				continue
			}
		}
		b = appendKept(b, e)
	}
	r.keys = b
	return keys(r.in.bytes(b))
}

// fits says that e is encoded as its tag wants it. What is not would break the directory, and counts as absent.
func fits(e dicom.Element) bool {
	switch dicom.VROf(e.Tag).String() {
	case "SQ":
		return e.VR.String() == "SQ"
	case "US":
		return e.VR.String() == "US" && len(e.Value)%2 == 0
	case "UL":
		return e.VR.String() == "UL" && len(e.Value)%4 == 0
	case "UV":
		return e.VR.String() == "UV" && len(e.Value)%8 == 0
	}
	return e.VR.String() != "SQ"
}

// verified finds the latest Verification DateTime of a VERIFIED document (PS3.3 F.5.25).
func verified(d dicom.DataSet) (dicom.Element, bool) {
	var latest dicom.Element
	if d.String(0x0040A493) != "VERIFIED" {
		return latest, false
	}
	seq, _ := d.Get(0x0040A073)
	for _, item := range seq.Items {
		if e, ok := item.Get(0x0040A030); ok && string(e.Value) > string(latest.Value) {
			latest = e
		}
	}
	return latest, latest.Tag != 0
}

// anyDate finds the first date of d, and the time that goes with it.
func anyDate(d dicom.DataSet) (date, time string) {
	for _, c := range dates {
		if date, ok := plainDay(d.String(c.date)); ok {
			time, _ := plainTime(d.String(c.time))
			return date, time
		}
	}
	return "", ""
}

// reason says in words for people why a scan failed, and by which clause.
func reason(err error) (text, source string) {
	var u *unusable
	switch {
	case errors.As(err, &u):
		return u.reason, u.source
	case errors.Is(err, dicom.ErrNotDICOM):
		text := strings.TrimPrefix(err.Error(), dicom.ErrNotDICOM.Error())
		return "no DICOM Part 10 file" + text, "PS3.10 7.1"
	case errors.Is(err, dicom.ErrCut):
		return "cut or damaged DICOM file: " + detail(err, dicom.ErrCut), "PS3.5 7.1"
	case errors.Is(err, dicom.ErrSyntax):
		return "broken DICOM file: " + detail(err, dicom.ErrSyntax), "PS3.5 7"
	case errors.Is(err, dicom.ErrLimit):
		return "DICOM file beyond our limits: " + detail(err, dicom.ErrLimit), "own"
	}
	return fmt.Sprint(err), ""
}

func detail(err, sentinel error) string {
	return strings.ReplaceAll(err.Error(), sentinel.Error()+": ", "")
}
