package zipmail

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carepost/dicom"
	"carepost/dicom/fileset"
)

// image is a Part 10 file in Explicit VR Little Endian that is changed element by element.
type image []byte

// span is where a top-level element lies: its header, its value, its end.
type span struct{ head, value, end int }

// find gives the span of a top-level element; ok is false where it is not there.
func (m image) find(want dicom.Tag) (s span, ok bool) {
	for at := 132; at+8 <= len(m); at = s.end {
		tag := dicom.Tag(uint32(binary.LittleEndian.Uint16(m[at:]))<<16 | uint32(binary.LittleEndian.Uint16(m[at+2:])))
		n := int(binary.LittleEndian.Uint16(m[at+6:]))
		s = span{at, at + 8, at + 8 + n}
		switch string(m[at+4 : at+6]) {
		case "OB", "OW", "SQ", "UN", "UT", "OF", "OD", "OL", "UC", "UR":
			n = int(binary.LittleEndian.Uint32(m[at+8:]))
			s = span{at, at + 12, at + 12 + n}
			if uint32(n) == 0xFFFFFFFF { // up to its delimiter
				s.end = at + 12 + bytes.Index(m[at+12:], []byte{0xFE, 0xFF, 0xDD, 0xE0}) + 8
			}
		}
		if tag == want {
			return s, true
		}
		if tag > want {
			break
		}
	}
	return s, false
}

func (m image) without(t dicom.Tag) image {
	s, ok := m.find(t)
	if !ok {
		return m
	}
	return slices.Concat(m[:s.head], m[s.end:])
}

func (m image) number(t dicom.Tag, v uint16) image {
	m = bytes.Clone(m)
	if s, ok := m.find(t); ok {
		binary.LittleEndian.PutUint16(m[s.value:], v)
	}
	return m
}

// text gives an element of a short VR another value.
func (m image) text(t dicom.Tag, v string) image {
	s, ok := m.find(t)
	if !ok {
		return m
	}
	if len(v)%2 == 1 {
		v += map[bool]string{true: "\x00", false: " "}[string(m[s.head+4:s.head+6]) == "UI"]
	}
	out := slices.Concat(m[:s.value], []byte(v), m[s.end:])
	binary.LittleEndian.PutUint16(out[s.head+6:], uint16(len(v)))
	return out
}

// bits makes the pixels so deep, and the pixel data as long as that takes.
func (m image) bits(allocated, stored uint16) image {
	m = m.number(0x00280100, allocated).number(0x00280101, stored).number(0x00280102, stored-1)
	rows, _ := m.find(0x00280010)
	columns, _ := m.find(0x00280011)
	n := int(binary.LittleEndian.Uint16(m[rows.value:])) * int(binary.LittleEndian.Uint16(m[columns.value:])) * int(allocated/8)
	s, ok := m.find(0x7FE00010)
	if !ok {
		return m
	}
	out := slices.Concat(m[:s.value], make([]byte, n+n%2), m[s.end:])
	binary.LittleEndian.PutUint32(out[s.value-4:], uint32(n+n%2))
	return out
}

// dentalCases are good and bad images made of a good one.
func dentalCases(m image) map[string]image {
	cases := map[string]image{
		"as it is":        m,
		"8 in 8":          m.bits(8, 8),
		"8 in 16":         m.bits(16, 8),
		"10 in 16":        m.bits(16, 10),
		"12 in 16":        m.bits(16, 12),
		"16 in 16":        m.bits(16, 16),
		"14 in 16":        m.bits(16, 14),
		"9 in 16":         m.bits(16, 9),
		"15 in 16":        m.bits(16, 15),
		"7 in 8":          m.bits(8, 7),
		"a CT, it says":   m.text(0x00080016, "1.2.840.10008.5.1.4.1.1.2").text(0x00020002, "1.2.840.10008.5.1.4.1.1.2"),
		"for processing":  m.text(0x00080016, "1.2.840.10008.5.1.4.1.1.1.3.1").text(0x00020002, "1.2.840.10008.5.1.4.1.1.1.3.1"),
		"another charset": m.text(0x00080005, "ISO_IR 192"),
	}
	for t, name := range dentalNames {
		cases["without "+name], cases["empty "+name] = m.without(t), m.text(t, "")
	}
	return cases
}

// dentalErrors are what dciodvfy finds wrong by the dental profile alone.
func dentalErrors(t *testing.T, path string) (out []string) {
	t.Helper()
	lines := func(args ...string) []string {
		b, err := exec.Command("dciodvfy", append(args, path)...).CombinedOutput()
		if len(b) == 0 {
			t.Fatal(err)
		}
		return strings.Split(string(b), "\n")
	}
	general := lines()
	for _, line := range lines("-profile", "Dental") {
		if strings.HasPrefix(line, "Error") && !slices.Contains(general, line) {
			out = append(out, line)
		}
	}
	return out
}

// DCM-09, DCM-10, DCM-11: our dental verdict is that of dciodvfy -profile Dental, on good and bad images made of good ones.
func TestDentalAgrees(t *testing.T) {
	dir := t.TempDir()
	good, bad := 0, 0
	bases := []string{"io8"}
	if os.Getenv("CAREPOST_FULL") != "" {
		bases = append(bases, "io12", "dx10")
	}
	for _, base := range bases {
		b, err := os.ReadFile(filepath.Join(objects(t), base+".dcm"))
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range dentalCases(b) {
			path := filepath.Join(dir, "x.dcm")
			if err := os.WriteFile(path, m, 0o666); err != nil {
				t.Fatal(err)
			}
			p, err := fileset.Scan(context.Background(), fileset.ScanOptions{}, path)
			if err != nil {
				t.Fatalf("%s, %s: %v", base, name, err)
			}
			ours, theirs := CheckProfile(Dental, p.Instances), dentalErrors(t, path)
			if (len(ours) > 0) != (len(theirs) > 0) {
				t.Errorf("%s, %s: %v, but dciodvfy %q", base, name, ours, theirs)
			}
			if len(ours) > 0 {
				bad++
			} else {
				good++
			}
		}
	}
	if good < 9*len(bases) || bad < 9*len(bases) {
		t.Errorf("%d good, %d bad", good, bad)
	}
}
