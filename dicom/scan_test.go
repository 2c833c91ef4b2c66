package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	patientName Tag = 0x00100010
	patientID   Tag = 0x00100020
	content     Tag = 0x0040A730
)

// shared is the folder of real objects by other makers. Without it nothing is proven: the test fails.
func shared(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
	}
	if _, err := os.Stat(filepath.Join(dir, "dicom", "fileset", "DICOMDIR")); err != nil {
		t.Fatalf("the shared test data is not at %s; set CAREPOST_TESTDATA", dir)
	}
	return filepath.Join(dir, "dicom", "files")
}

func object(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var keysAndAll = Options{Wanted: []Tag{0x00080005, 0x00080016, 0x00080018, patientName, patientID, content, 0x00280010}, Walk: true}

// both scans b as a file and as a stream; they must agree.
func both(t testing.TB, b []byte, o Options) (*File, error) {
	t.Helper()
	f, err := NewScanner(o).ScanAt(bytes.NewReader(b), int64(len(b)))
	g, streamErr := NewScanner(o).Scan(bytes.NewReader(b))
	if (err == nil) != (streamErr == nil) {
		t.Fatalf("file: %v, stream: %v", err, streamErr)
	}
	if err == nil && (f.Pixels != g.Pixels || f.Data.String(patientID) != g.Data.String(patientID) || len(f.Data) != len(g.Data)) {
		t.Fatalf("file %v, stream %v", f, g)
	}
	return f, err
}

// A brief scanner says of each file what another says, whatever it has read before.
func TestBrief(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(shared(t), "*"))
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	o := keysAndAll
	o.Brief = true
	brief, read := NewScanner(o), 0
	for _, name := range append(names, names...) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := NewScanner(keysAndAll).ScanAt(bytes.NewReader(b), int64(len(b)))
		got, err := brief.ScanAt(bytes.NewReader(b), int64(len(b)))
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Errorf("%s: %v, and brief: %v", filepath.Base(name), wantErr, err)
		} else if err == nil {
			if read++; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, and brief: %v", filepath.Base(name), want, got)
			}
		}
	}
	if read < 20 {
		t.Errorf("%d files were read", read)
	}
}

// Every transfer syntax that decides how a header is read (PS3.5 Annex A), on real objects.
func TestTransferSyntaxes(t *testing.T) {
	for _, c := range []struct {
		file, encoding, id string
		pixels             Pixels
	}{
		{"CT_small.dcm", ExplicitLittle, "1CT1", Pixels{Tag: 0x7FE00010, Length: 32768}},
		{"MR_small_implicit.dcm", ImplicitLittle, "4MR1", Pixels{Tag: 0x7FE00010, Length: 8192}},
		{"MR_small_bigendian.dcm", ExplicitBig, "4MR1", Pixels{Tag: 0x7FE00010, Length: 8192}},
		{"image_dfl.dcm", Deflated, "", Pixels{Tag: 0x7FE00010, Length: 262144}},
		{"JPEG2000.dcm", ExplicitLittle, "8NM1", Pixels{Tag: 0x7FE00010, Length: -1, Fragments: 1, Encapsulated: true}},
		{"waveform_ecg.dcm", ExplicitLittle, "642341", Pixels{}},
		{"kos.dcm", ExplicitLittle, "DENT01", Pixels{}},
		{"rtplan.dcm", ImplicitLittle, "id00001", Pixels{}},
	} {
		f, err := both(t, object(t, c.file), keysAndAll)
		if err != nil || f.Encoding != c.encoding || f.Lied || f.Data.String(patientID) != c.id || f.Pixels != c.pixels {
			t.Errorf("%s: %v %+v", c.file, err, f)
		}
	}
	big, err := both(t, object(t, "MR_small_bigendian.dcm"), keysAndAll)
	if err != nil || big.Data.Int(0x00280010) != 64 {
		t.Errorf("a big endian number: %v %d", err, big.Data.Int(0x00280010))
	}
}

// The file meta group may lie about the data set: the bytes decide.
func TestLyingMeta(t *testing.T) {
	ct := object(t, "CT_small.dcm")
	lie := bytes.Replace(ct, []byte("1.2.840.10008.1.2.1\x00"), []byte("1.2.840.10008.1.2\x00\x00\x00"), 1)
	f, err := both(t, lie, keysAndAll)
	if err != nil || !f.Lied || f.Encoding != ExplicitLittle || f.Data.String(patientID) != "1CT1" {
		t.Errorf("says implicit, is explicit: %v %+v", err, f)
	}
	mr := object(t, "MR_small_implicit.dcm")
	lie = bytes.Replace(mr, []byte("1.2.840.10008.1.2\x00"), []byte("1.2.840.10008.1.9\x00"), 1)
	f, err = both(t, lie, keysAndAll)
	if err != nil || !f.Lied || f.Encoding != ImplicitLittle || f.Data.String(patientID) != "4MR1" {
		t.Errorf("says another, is implicit: %v %+v", err, f)
	}
}

// A file cut anywhere but between two elements of the tail is found out; what is found out is never half kept.
func TestCutAnywhere(t *testing.T) {
	for _, name := range []string{"io8.dcm", "JPEG2000.dcm", "kos.dcm", "MR_small_implicit.dcm", "image_dfl.dcm"} {
		b := object(t, name)
		whole, err := both(t, b, keysAndAll)
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(b)/2000)
		for n := 0; n < len(b); n += step {
			f, err := both(t, b[:n], keysAndAll)
			switch {
			case err != nil && !errors.Is(err, ErrCut) && !errors.Is(err, ErrNotDICOM):
				t.Fatalf("%s cut to %d: %v", name, n, err)
			case err == nil && whole.Pixels.Tag != 0 && f.Pixels.Tag != 0 && n < len(b)-8: // the deflated one has a trailer of 8
				t.Fatalf("%s cut to %d of %d: its pixels seem whole", name, n, len(b))
			}
		}
	}
	b := object(t, "MR_truncated.dcm")
	if _, err := both(t, b, keysAndAll); !errors.Is(err, ErrCut) {
		t.Errorf("the truncated file: %v", err)
	}
}

// element writes an element of explicit VR, long form where long.
func element(t Tag, v string, length uint32, value ...byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(t>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(t))
	b = append(b, v...)
	if vr(v).short() {
		b = binary.LittleEndian.AppendUint16(b, uint16(length))
	} else {
		b = append(b, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, length)
	}
	return append(b, value...)
}

// raw writes a tag and a 32-bit length: an item, a delimiter, an implicit element.
func raw(t Tag, length uint32, value ...byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(t>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(t))
	b = binary.LittleEndian.AppendUint32(b, length)
	return append(b, value...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// file puts a preamble and a meta group without its length in front.
func file(parts ...[]byte) []byte {
	return join(make([]byte, 128), []byte("DICM"), element(0x00020010, "UI", 20, []byte(ExplicitLittle+"\x00")...), join(parts...))
}

var first = element(0x00080005, "CS", 10, []byte("ISO_IR 100")...)

// Data sets that are odd but can be read.
func TestOddDataSets(t *testing.T) {
	id := element(patientID, "LO", 4, []byte("ID1 ")...)
	for name, b := range map[string][]byte{
		"no group length":                    file(first, id),
		"zero padding at the end":            file(first, id, make([]byte, 517)),
		"stray delimiters":                   file(first, raw(tagItemEnd, 0), raw(tagSeqEnd, 0), id),
		"sequence of undefined length":       file(first, element(0x00081140, "SQ", undefined), raw(tagItem, undefined), element(0x00081150, "UI", 2, '1', 0), raw(tagItemEnd, 0), raw(tagSeqEnd, 0), id),
		"UN of undefined length is implicit": file(first, element(0x00091001, "UN", undefined), raw(tagItem, undefined), raw(0x00081150, 2, '1', 0), raw(tagItemEnd, 0), raw(tagSeqEnd, 0), id),
		"private SQ inside UN inside SQ": file(first, element(0x00091001, "SQ", undefined), raw(tagItem, undefined), element(0x00091002, "UN", undefined),
			raw(tagItem, 10), raw(0x00091003, 2, 'x', ' '), raw(tagSeqEnd, 0), raw(tagItemEnd, 0), raw(tagSeqEnd, 0), id),
		"a key sent as UN":           file(first, element(patientID, "UN", 4, []byte("ID1 ")...)),
		"an element without VR":      file(first, raw(patientID, 4, []byte("ID1 ")...)),
		"a VR of the future":         file(first, element(0x00090010, "ZZ", 4, 1, 2, 3, 4), id),
		"tags that fall":             file(first, id, element(0x00080060, "CS", 2, 'C', 'T')),
		"a NUL where a space should": file(first, element(patientID, "LO", 4, 'I', 'D', '1', 0)),
	} {
		f, err := both(t, b, keysAndAll)
		if err != nil || f.Data.String(patientID) != "ID1" {
			t.Errorf("%s: %v %+v", name, err, f)
		}
	}
}

// Data sets that are refused, at once and without memory (PS3.5 §7).
func TestHostileDataSets(t *testing.T) {
	deep := first
	for range MaxDepth + 1 {
		deep = join(deep, element(content, "SQ", undefined), raw(tagItem, undefined))
	}
	deepUnwanted := bytes.Repeat(join(element(0x00091001, "SQ", undefined), raw(tagItem, undefined)), 100_000)
	overrun := join(element(0x00091002, "SQ", undefined), raw(tagItem, 40<<10, make([]byte, 40<<10)...), raw(tagSeqEnd, 0))
	var zeros bytes.Buffer
	fw, err := flate.NewWriter(&zeros, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fw.Write(join(first, element(0x00091001, "UN", 0xFFFFFFF0), make([]byte, 8<<20))); err != nil {
		t.Fatal(err)
	}
	if err := fw.Close(); err != nil {
		t.Fatal(err)
	}
	deflated := join(make([]byte, 128), []byte("DICM"), element(0x00020010, "UI", 22, []byte(Deflated)...), zeros.Bytes())
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"a length beyond the file":             {file(first, element(patientID, "UT", 0xFFFFFFF0)), nil},
		"pixels longer than the file":          {file(first, element(0x7FE00010, "OW", 1<<31, 1, 2)), ErrCut},
		"fragments without end":                {file(first, element(0x7FE00010, "OB", undefined), raw(tagItem, 2, 1, 2)), ErrCut},
		"a fragment of undefined length":       {file(first, element(0x7FE00010, "OB", undefined), raw(tagItem, undefined)), ErrSyntax},
		"sequences too deep":                   {file(deep), ErrLimit},
		"sequences too deep, not wanted":       {file(first, deepUnwanted), ErrLimit},
		"a sequence that overruns its item":    {file(first, element(0x00091001, "SQ", undefined), raw(tagItem, 20), overrun, raw(tagSeqEnd, 0)), ErrSyntax},
		"the same, in a kept sequence":         {file(first, element(content, "SQ", undefined), raw(tagItem, 20), overrun, raw(tagSeqEnd, 0)), ErrSyntax},
		"an item longer than its sequence":     {file(first, element(content, "SQ", 8), raw(tagItem, 100), make([]byte, 100)), ErrSyntax},
		"an element longer than its item":      {file(first, element(content, "SQ", 20), raw(tagItem, 12), element(patientID, "LO", 100), make([]byte, 104)), ErrSyntax},
		"no item in a sequence":                {file(first, element(content, "SQ", undefined), element(patientID, "LO", 2, 'x', ' ')), ErrSyntax},
		"a string of undefined length":         {file(first, element(patientID, "UT", undefined)), ErrSyntax},
		"one key twice":                        {file(first, element(patientID, "LO", 2, 'A', ' '), element(patientID, "LO", 2, 'B', ' ')), ErrSyntax},
		"a key of 5 MB":                        {file(first, element(content, "UT", 5<<20, make([]byte, 5<<20)...)), ErrLimit},
		"deflated, ends too early":             {deflated[:len(deflated)-100], ErrCut},
		"deflated, a length beyond everything": {deflated, nil},
		"deflated, broken":                     {join(deflated[:200], []byte{0xFF, 0xFF, 0xFF}), ErrCut},
		"text":                                 {[]byte(strings.Repeat("Dear colleague, ", 50)), ErrNotDICOM},
		"nothing":                              {nil, ErrNotDICOM},
		"data set without preamble":            {join(first, element(patientID, "LO", 2, 'A', ' ')), ErrNotDICOM},
		"data after padding":                   {file(first, make([]byte, 64), []byte("surprise")), ErrSyntax},
		"endless meta":                         {join(file(), bytes.Repeat(element(0x00020016, "AE", 0), 300)), ErrSyntax},
	} {
		start := time.Now()
		_, err := both(t, c.b, keysAndAll)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// MaxKept holds for each item that goes to Item, not for all of them: a directory has as many records as the set has files.
func TestManyItems(t *testing.T) {
	value := make([]byte, 60<<10)
	one := raw(tagItem, uint32(12+len(value)), element(0x00081190, "UT", uint32(len(value)), value...)...)
	n := 0
	o := Options{Each: content, Walk: true, Item: func(int64, DataSet) error { n++; return nil }}
	if _, err := both(t, file(first, element(content, "SQ", undefined), bytes.Repeat(one, 200), raw(tagSeqEnd, 0)), o); err != nil || n != 400 {
		t.Errorf("%d of 400 items: %v", n, err)
	}
	large := raw(tagItem, 12+5<<20, element(0x00081190, "UT", 5<<20, make([]byte, 5<<20)...)...)
	if _, err := both(t, file(first, element(content, "SQ", undefined), large, raw(tagSeqEnd, 0)), o); !errors.Is(err, ErrLimit) {
		t.Errorf("an item of 5 MB: %v", err)
	}
}

// Only some items of a sequence are kept: the rest of a report stays out.
func TestOnlyMatchingItems(t *testing.T) {
	item := func(relation, text string) []byte {
		v := join(element(0x0040A010, "CS", uint32(len(relation)), []byte(relation)...), element(0x0040A160, "UT", uint32(len(text)), []byte(text)...))
		return raw(tagItem, uint32(len(v)), v...)
	}
	b := file(first, element(content, "SQ", undefined), item("CONTAINS", "secret"), item("HAS CONCEPT MOD ", "kept"), item("CONTAINS", "secret"), raw(tagSeqEnd, 0))
	o := keysAndAll
	o.Only = map[Tag]Match{content: {0x0040A010, "HAS CONCEPT MOD"}}
	f, err := both(t, b, o)
	e, _ := f.Data.Get(content)
	if err != nil || len(e.Items) != 1 || e.Items[0].String(0x0040A160) != "kept" {
		t.Errorf("%v %v", err, e.Items)
	}
}

// Without Walk the scan ends after the highest wanted tag, whatever follows.
func TestStopsEarly(t *testing.T) {
	b := object(t, "CT_small.dcm")
	f, err := NewScanner(Options{Wanted: []Tag{patientID}}).Scan(bytes.NewReader(b[:len(b)-30000]))
	if err != nil || f.Data.String(patientID) != "1CT1" || f.Pixels.Tag != 0 {
		t.Errorf("%v %+v", err, f)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"chrGerm.dcm", "Äneas^Rüdiger"},
		{"chrX1.dcm", "Wang^XiaoDong=王^小東="},
		{"chrH32.dcm", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
		{"io8_utf8.dcm", "Żółć^Łucja"},
	} {
		f, err := both(t, object(t, c.file), keysAndAll)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := f.Data.Get(patientName)
		if got := Text(e.Value, f.Data.String(0x00080005)); got != c.want {
			t.Errorf("%s: %q rather than %q", c.file, got, c.want)
		}
	}
	for _, c := range []struct{ in, charset, want string }{
		{"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf", `\ISO 2022 IR 149`, "Hong^Gildong=洪^吉洞=홍^길동"},
		{"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "GB18030", "Wang^XiaoDong=王^小东"},
		{"\xbb\xee\xda\x63", "ISO-IR 144", "Люкc"},
		{"a\x07b\x1b[2Jc\u202e", "ISO_IR 192", "ab[2Jc"},
		{"\xff\xfe", "", "\uFFFD"},
	} {
		if got := Text([]byte(c.in), c.charset); got != c.want {
			t.Errorf("%q: %q rather than %q", c.in, got, c.want)
		}
	}
}

func TestSameName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Doe^John", "DOE^JOHN^^", true}, {"Doe^John", "Doe^John=x", true}, {"Doe^John ", "Doe^ John", true}, {"", "Doe", true},
		{"Doe^John", "Doe^Jane", false}, {"Doe^John", "Doe John", false}, {"A=山田", "A=山本", false},
	} {
		if SameName(c.a, c.b) != c.same {
			t.Errorf("%q %q", c.a, c.b)
		}
	}
}

// Values that people cannot tell apart are not the same.
func TestExact(t *testing.T) {
	for _, c := range []struct {
		a, ca, b, cb string
		same         bool
	}{
		{"M\xfcller", "ISO_IR 100", "Müller", "ISO_IR 192", true}, {"12 ", "", "12\x00", "ISO_IR 100", true},
		{"M\xfcller", "", "M\xf6ller", "", false}, {"12\x01", "", "12", "", false}, {"a\u202eb", "ISO_IR 192", "ab", "", false},
		{"M\xfcller", "", "M\xfcller", "", true},
	} {
		x, y := Exact([]byte(c.a), c.ca), Exact([]byte(c.b), c.cb)
		if (x == y) != c.same || SameName(x, y) != c.same {
			t.Errorf("%q %q: %q %q", c.a, c.b, x, y)
		}
	}
	if got := FullerName(FullerName("Doe^John", "=X^Y"), "A=B=C"); got != "Doe^John=X^Y=C" {
		t.Errorf("%q", got)
	}
}

func TestValidUID(t *testing.T) {
	for s, want := range map[string]bool{"1.2.840.10008.1.2": true, "2.25.0": true, "": false, "1..2": false, "1.02": false, "1.a": false, "1.2.": false,
		strings.Repeat("1.", 32) + "1": false} {
		if ValidUID(s) != want {
			t.Errorf("%q", s)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, name := range []string{"kos.dcm", "gsps.dcm", "JPEG2000.dcm", "MR_small_implicit.dcm", "image_dfl.dcm", "nested_priv_SQ.dcm", "chrH32.dcm"} {
		f.Add(object(f, name))
	}
	o := keysAndAll
	o.Only = map[Tag]Match{content: {0x0040A010, "HAS CONCEPT MOD"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := both(t, b, o)
		if err != nil {
			return
		}
		if s := Text([]byte(x.Data.String(patientName)), x.Data.String(0x00080005)); strings.ContainsAny(s, "\x1b\x00\n") {
			t.Errorf("%q", s)
		}
	})
}
