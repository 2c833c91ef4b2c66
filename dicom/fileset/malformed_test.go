package fileset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
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
func value(t testing.TB, d []byte, tag dicom.Tag, n int) []byte {
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
			return d[at : at+size : len(d)]
		}
	}
}

func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// malformation is a line of testdata/malformed.
type malformation struct {
	name, rule string
	want       string
	ops        [][]string
}

// malformations reads a file of cases: lines "name | verdict | rule | operation; operation".
func malformations(t testing.TB, file string) (out []malformation) {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, filepath.Join("testdata", "malformed", file)))) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != 4 {
			t.Fatalf("not a case: %s", line)
		}
		m := malformation{name: fields[0], want: fields[1], rule: fields[2]}
		for op := range strings.SplitSeq(fields[3], "; ") {
			m.ops = append(m.ops, words(t, op))
		}
		out = append(out, m)
	}
	return out
}

// words splits an operation at blanks; what stands in quotes is a word as Go has it.
func words(t testing.TB, s string) (out []string) {
	t.Helper()
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if q, err := strconv.QuotedPrefix(s); err == nil {
			word, err := strconv.Unquote(q)
			if err != nil {
				t.Fatal(err)
			}
			out, s = append(out, word), s[len(q):]
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		out, s = append(out, word), rest
	}
	return out
}

// bender does operations to a set.
type bender struct {
	t    testing.TB
	es   []zipped
	ours []zipped
}

// element finds the value of "TAG#n" in the directory.
func (b *bender) element(s string) []byte {
	tag, n, _ := strings.Cut(s, "#")
	v, err := strconv.ParseUint(tag, 16, 32)
	at, err2 := strconv.Atoi(n)
	if err != nil || err2 != nil {
		b.t.Fatalf("not an element: %s", s)
	}
	return value(b.t, b.es[0].data, dicom.Tag(v), at)
}

func (b *bender) int(s string) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		b.t.Fatal(err)
	}
	return int(n)
}

// number reads "77", "TAG#n" or "TAG#n + 8".
func (b *bender) number(words []string) uint32 {
	if !strings.Contains(words[0], "#") {
		return uint32(b.int(words[0]))
	}
	n := binary.LittleEndian.Uint32(b.element(words[0]))
	if len(words) == 3 {
		n += uint32(b.int(words[2]))
	}
	return n
}

// head is the header in front of the value of an element.
func (b *bender) head(s string) []byte {
	d, v := b.es[0].data, b.element(s)
	at := len(d) - cap(v)
	return d[at-8 : at]
}

// do does one operation. Elements: "number E = N", "value E S" (over its beginning), "fill E S" (padded with blanks), "copy E E", "bump E I" (one
// byte), "retag E" (it is no longer there), "tag E TAG" (it is another), "length TAG#0 N" of the sequence, "item I N". The directory: "implicit", "empty", "put I S". Files by
// number, 0 is DICOMDIR: "cut", "flip", "text", "content", "exchange", "drop", "keep", "rename", "add NAME FILE".
func (b *bender) do(op []string) {
	switch op[0] {
	case "ours":
		b.es = b.ours
	case "number":
		put32(b.element(op[1]), b.number(op[3:]))
	case "value":
		copy(b.element(op[1]), op[2])
	case "fill":
		v := b.element(op[1])
		copy(v, op[2]+strings.Repeat(" ", len(v)))
	case "copy":
		v := b.element(op[1])
		copy(v, string(b.element(op[2]))+strings.Repeat(" ", len(v)))
	case "bump":
		b.element(op[1])[b.int(op[2])]++
	case "retag":
		b.head(op[1])[2] ^= 0x0F
	case "tag":
		v, err := strconv.ParseUint(op[2], 16, 32)
		if err != nil {
			b.t.Fatal(err)
		}
		copy(b.head(op[1]), []byte{byte(v >> 16), byte(v >> 24), byte(v), byte(v >> 8)})
	case "length":
		put32(b.head(op[1])[8:12:12], uint32(b.int(op[2])))
	case "item":
		at := bytes.Index(b.es[0].data, []byte{0xFE, 0xFF, 0x00, 0xE0})
		put32(b.es[0].data[at+4:], uint32(b.int(op[2])))
	case "implicit":
		b.es[0].data = asImplicit(b.t, b.es[0].data)
	case "empty":
		d, err := writeDirectory([]node{{}}, "EMPTY", "1.2.3")
		if err != nil {
			b.t.Fatal(err)
		}
		b.es = []zipped{{DirectoryName, bytes.Replace(d, appendText(nil, 0x00041141, DescriptorName), nil, 1)}}
	case "put":
		copy(b.es[0].data[b.int(op[1]):], op[2])
	default:
		b.file(op)
	}
}

// file does an operation on a file.
func (b *bender) file(op []string) {
	i := 0
	if op[0] != "add" {
		i = b.int(op[1])
	}
	switch op[0] {
	case "cut":
		b.es[i].data = b.es[i].data[:b.int(op[2])]
	case "flip":
		b.es[i].data[b.int(op[2])] ^= 1
	case "text":
		b.es[i].data = []byte(op[2])
	case "content":
		b.es[i].data = bytes.Clone(b.es[b.int(op[2])].data)
	case "exchange":
		j := b.int(op[2])
		b.es[i].data, b.es[j].data = b.es[j].data, b.es[i].data
	case "drop":
		b.es = slices.Delete(b.es, i, i+1)
	case "keep":
		b.es = b.es[:i]
	case "rename":
		b.es[i].name = op[2]
	case "add":
		data := b.es[0].data
		if op[2] != DirectoryName {
			data = readFile(b.t, filepath.Join(shared(b.t), "files", op[2]))
		}
		b.es = append(b.es, zipped{op[1], data})
	default:
		b.t.Fatalf("no operation %q", op)
	}
}

// deep copies entries with their data.
func deep(es []zipped) []zipped {
	es = slices.Clone(es)
	for i := range es {
		es[i].data = bytes.Clone(es[i].data)
	}
	return es
}

// Malformed File-sets, by the rule they break (DCM-03, DCM-06, DCM-07, DCM-12, DCM-13, DCM-14, DCM-22; PS3.3 F.3 to F.5). Each is read to its end, in no
// time and little memory, is not complete, and nobody's data are told in the findings. ATT-39.
func TestMalformedSets(t *testing.T) {
	base := foreign(t)
	if r := checkBytes(t, rezip(t, base)); r.Verdict != Complete || r.Hashed {
		t.Fatalf("the base: %v %v", r.Verdict, r.Findings)
	}
	ours := entriesOf(t, packed(t, scan(t, filepath.Join(shared(t), "fileset"))))
	cases := malformations(t, "sets.txt")
	if len(cases) < 40 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := &bender{t: t, es: deep(base), ours: deep(ours)}
			for _, op := range c.ops {
				b.do(op)
			}
			judgedAs(t, c, rezip(t, b.es))
		})
	}
}

// judgedAs checks an archive and holds the verdict against the expected one, and the cost against bounds.
func judgedAs(t *testing.T, c malformation, b []byte) {
	t.Helper()
	start := time.Now()
	var r *Report
	if grown := peakOf(func() { r = checkBytes(t, b) }); grown > 64<<20 {
		t.Errorf("it took %d MiB", grown>>20)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if r.Verdict == Complete || r.Verdict.String() != c.want || !hasRule(r.Findings, c.rule) {
		t.Errorf("%v rather than %v with %s:\n%v", r.Verdict, c.want, c.rule, r.Findings)
	}
	for _, f := range r.Findings {
		if strings.Contains(f.String(), "CompressedSamples") || strings.Contains(f.String(), "1CT1") {
			t.Errorf("patient data in %v", f)
		}
	}
}

// A directory whose links are wrong is read by the order of its records: the listing is that of the good one.
func TestRepairedInMemory(t *testing.T) {
	base := foreign(t)
	want := checkBytes(t, rezip(t, base)).Tree
	for _, ops := range []string{"number 00041400#0 = 00041200#0", "number 00041200#0 = 0", "number 00041420#1 = 77", "number 00041400#0 = 0"} {
		b := &bender{t: t, es: deep(base)}
		b.do(words(t, ops))
		sent := bytes.Clone(b.es[0].data)
		archive := rezip(t, b.es)
		r := checkBytes(t, archive)
		if r.Verdict != Violations || !reflect.DeepEqual(r.Tree, want) {
			t.Errorf("%s: %v, and another listing", ops, r.Verdict)
		}
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := Unpack(t.Context(), bytes.NewReader(archive), int64(len(archive)), dir, UnpackOptions{AllowViolations: true}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readFile(t, filepath.Join(dir, DirectoryName)), sent) { // DCM-02: no Updater
			t.Errorf("%s: DICOMDIR was rewritten", ops)
		}
	}
}

// asImplicit writes a directory of ours as Implicit VR Little Endian with undefined lengths.
func asImplicit(t testing.TB, d []byte) []byte {
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
