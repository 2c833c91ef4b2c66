package fileset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/dicom"
)

// foreign strips what a set of ours has beyond the standard, so that its directory can be bent without MANIFEST speaking first.
func foreign(t *testing.T) []zipped {
	t.Helper()
	es := entriesOf(t, packed(t, scan(t, filepath.Join(shared(t), "fileset"))))
	es = slices.DeleteFunc(es, func(e zipped) bool { return e.name == DescriptorName })
	d := es[0].data
	for _, s := range []string{"CAREPOST_1", "CAREPOST"} {
		d = bytes.ReplaceAll(d, []byte(s), bytes.Repeat([]byte("X"), len(s)))
	}
	d = bytes.ReplaceAll(d, []byte(implementationUID), []byte(strings.Repeat("1", len(implementationUID))))
	d = bytes.Replace(d, appendText(nil, 0x00041141, DescriptorName), appendText(nil, 0x00041141, "DICOM\\P1"), 1)
	es[0].data = bytes.Replace(d, []byte("DICOM\\P1"), []byte("        "), 1)
	return es
}

// value finds the n-th element with a tag in a directory of ours, and gives its value to be changed in place.
func value(t *testing.T, d []byte, tag dicom.Tag, n int) []byte {
	t.Helper()
	head := []byte{byte(tag >> 16), byte(tag >> 24), byte(tag), byte(tag >> 8)}
	at := 0
	for {
		i := bytes.Index(d[at:], head)
		if i < 0 {
			t.Fatalf("no %v number %d", tag, n)
		}
		at += i + 8
		if n--; n < 0 {
			size := int(binary.LittleEndian.Uint16(d[at-2:]))
			return d[at : at+size]
		}
	}
}

func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// Malformed directories, by the rule they break (DCM-06, DCM-07, DCM-12, DCM-13, DCM-14; PS3.3 F.3 to F.5). Each is read to its end,
// in no time, and is not complete.
func TestMalformedDirectories(t *testing.T) {
	base := foreign(t)
	if r := checkBytes(t, rezip(t, base)); r.Verdict != Complete || r.Hashed {
		t.Fatalf("the base: %v %v", r.Verdict, r.Findings)
	}
	for _, c := range []struct {
		name, rule string
		want       Verdict
		bend       func(d []byte)
	}{
		{"self loop", "record-loop", Violations, func(d []byte) {
			put32(value(t, d, 0x00041400, 0), binary.LittleEndian.Uint32(value(t, d, 0x00041200, 0)))
		}},
		{"cycle over two", "record-loop", Violations, func(d []byte) {
			put32(value(t, d, 0x00041420, 1), binary.LittleEndian.Uint32(value(t, d, 0x00041200, 0)))
		}},
		{"offset into nowhere", "record-offset", Violations, func(d []byte) { put32(value(t, d, 0x00041400, 0), 77) }},
		{"offsets all shifted", "record-offset", Violations, func(d []byte) {
			put32(value(t, d, 0x00041200, 0), binary.LittleEndian.Uint32(value(t, d, 0x00041200, 0))+2)
		}},
		{"no first record", "record-offset", Violations, func(d []byte) { put32(value(t, d, 0x00041200, 0), 0) }},
		{"wrong last record", "record-offset", Violations, func(d []byte) { put32(value(t, d, 0x00041202, 0), 400) }},
		{"orphans", "record-orphan", Violations, func(d []byte) { put32(value(t, d, 0x00041420, 0), 0) }},
		{"inactive record", "instance-unreferenced", Violations, func(d []byte) { clear(value(t, d, 0x00041410, 3)) }},
		{"consistency flag", "consistency-flag", Violations, func(d []byte) { copy(value(t, d, 0x00041212, 0), "\xFF\xFF") }},
		{"lower case File ID (DCM-13)", "file-id", Violations, func(d []byte) { copy(value(t, d, 0x00041500, 0), "dicom") }},
		{"dot in a File ID (DCM-13)", "file-id", Incomplete, func(d []byte) { copy(value(t, d, 0x00041500, 0), "DICO.") }},
		{"File ID leads out", "file-id", Incomplete, func(d []byte) { copy(value(t, d, 0x00041500, 0), `..\..\etc`) }},
		{"two records, one file", "file-id-unique", Incomplete, func(d []byte) { copy(value(t, d, 0x00041500, 1), value(t, d, 0x00041500, 0)) }},
		{"another SOP instance", "instance-missing", Incomplete, func(d []byte) { value(t, d, 0x00041511, 0)[5]++ }},
		{"another SOP class", "record-is-not-the-file", Violations, func(d []byte) { copy(value(t, d, 0x00041510, 0)[22:], ".4") }},
		{"another transfer syntax", "record-is-not-the-file", Violations, func(d []byte) { copy(value(t, d, 0x00041512, 0)[17:], " ") }},
		{"another Patient ID", "record-is-not-the-file", Violations, func(d []byte) { value(t, d, tagPatientID, 0)[0]++ }},
		{"another patient name", "record-is-not-the-file", Violations, func(d []byte) { value(t, d, tagName, 0)[0]++ }},
		{"another study", "record-is-not-the-file", Violations, func(d []byte) { copy(value(t, d, tagStudyUID, 0), "2") }},
		{"another series", "record-is-not-the-file", Violations, func(d []byte) { copy(value(t, d, tagSeriesUID, 0), "2") }},
		{"one Patient ID twice (DCM-07)", "patient-id-unique", Violations, func(d []byte) { copy(value(t, d, tagPatientID, 1), "1CT1") }},
		{"wrong record type", "record-type", Violations, func(d []byte) { copy(value(t, d, 0x00041430, 3), "CURVE ") }},
		{"STUDY at the root", "record-hierarchy", Violations, func(d []byte) { copy(value(t, d, 0x00041430, 0), "STUDY  ") }},
		{"empty Type 1 key", "record-key", Violations, func(d []byte) { copy(value(t, d, tagModality, 0), "  ") }},
		{"DICOMDIR names itself", "file-id", Incomplete, func(d []byte) { copy(value(t, d, 0x00041500, 0), "DICOMDIR                              ") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			es := slices.Clone(base)
			es[0].data = bytes.Clone(es[0].data)
			c.bend(es[0].data)
			start := time.Now()
			r := checkBytes(t, rezip(t, es))
			if r.Verdict != c.want || !hasRule(r.Findings, c.rule) {
				t.Errorf("%v rather than %v with %s:\n%v", r.Verdict, c.want, c.rule, r.Findings)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if n := r.Instances; n < 9 {
				t.Errorf("%d of 10 instances are listed", n)
			}
			for _, f := range r.Findings {
				if strings.Contains(f.String(), "CompressedSamples") || strings.Contains(f.String(), "1CT1") {
					t.Errorf("patient data in %v", f)
				}
			}
		})
	}
}

// DCM-06: an empty DICOMDIR is refused. DCM-03: so is one that is not Explicit VR Little Endian; it is read all the same.
func TestDirectoryForms(t *testing.T) {
	d, err := writeDirectory([]node{{}}, "EMPTY", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if r := checkBytes(t, rezip(t, []zipped{{DirectoryName, d}})); r.Verdict == Complete || !hasRule(r.Findings, "dicomdir-empty") {
		t.Errorf("empty: %v %v", r.Verdict, r.Findings)
	}
	base := foreign(t)
	implicit := slices.Clone(base)
	implicit[0].data = asImplicit(t, base[0].data)
	r := checkBytes(t, rezip(t, implicit))
	if r.Verdict != Violations || !hasRule(r.Findings, "dicomdir-encoding") || r.Instances != 10 {
		t.Errorf("implicit: %v %v", r.Verdict, r.Findings)
	}
}

// asImplicit writes a directory of ours as Implicit VR Little Endian with undefined lengths.
func asImplicit(t *testing.T, d []byte) []byte {
	t.Helper()
	i := bytes.Index(d, []byte{0x04, 0x00, 0x30, 0x11, 'C', 'S'})
	out := bytes.Replace(d[:i:i], []byte("1.2.840.10008.1.2.1\x00"), []byte("1.2.840.10008.1.2\x00\x00\x00"), 1)
	for k := keys(d[i:]); len(k) > 0; {
		tag, vr, v, rest := k.next()
		k = rest
		if vr.String() != "SQ" {
			out = implicitElement(out, tag, v)
			continue
		}
		out = append(out, 0x04, 0x00, 0x20, 0x12, 0xFF, 0xFF, 0xFF, 0xFF)
		for len(v) > 0 {
			n := 8 + int(binary.LittleEndian.Uint32([]byte(v[4:])))
			out = append(out, 0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF)
			for item := keys(v[8:n]); len(item) > 0; {
				var tag dicom.Tag
				var inner string
				if tag, vr, inner, item = item.next(); vr.String() != "SQ" {
					out = implicitElement(out, tag, inner)
				}
			}
			out = append(out, 0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0)
			v = v[n:]
		}
		out = append(out, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
	}
	return out
}

func implicitElement(b []byte, t dicom.Tag, v string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(t>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(t))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// Names as other systems change them: read, and said (DCM-13, DCM-14, DCM-28).
func TestLenientNames(t *testing.T) {
	base := foreign(t)
	rename := func(f func(string) string) []zipped {
		es := slices.Clone(base)
		for i := range es {
			es[i].name = f(es[i].name)
		}
		return es
	}
	for _, c := range []struct {
		name, rule string
		want       Verdict
		es         []zipped
	}{
		{"wrapping folder", "wrapping-folder", Violations, rename(func(s string) string { return "study 1/" + s })},
		{"lower case", "file-name-case", Violations, rename(strings.ToLower)},
		{"extensions", "file-name-extension", Violations, rename(func(s string) string {
			if s == DirectoryName {
				return s
			}
			return s + ".dcm"
		})},
		{"backslashes", "zip-backslash", Violations, rename(func(s string) string { return strings.ReplaceAll(s, "/", `\`) })},
		{"litter of a Mac", "system-litter", Complete, append(slices.Clone(base), zipped{"__MACOSX/DICOM/._P0001", []byte("x")}, zipped{".DS_Store", []byte("y")})},
		{"wrapped with litter beside", "wrapping-folder", Violations, append(rename(func(s string) string { return "a/" + s }), zipped{"__MACOSX/a/._DICOMDIR", []byte("x")})},
		{"folders as entries (DCM-15)", "manifest-absent", Complete, append(slices.Clone(base), zipped{"DICOM/", nil})},
		{"two wrapping folders", "no-dicomdir", Incomplete, rename(func(s string) string { return "a/b/" + s })},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := checkBytes(t, rezip(t, c.es))
			if r.Verdict != c.want || !hasRule(r.Findings, c.rule) {
				t.Errorf("%v rather than %v with %s:\n%v", r.Verdict, c.want, c.rule, r.Findings)
			}
			if c.want != Incomplete && len(r.Missing) > 0 {
				t.Error(fmt.Sprint(r.Missing))
			}
		})
	}
}
