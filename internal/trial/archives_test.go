package trial_test

import (
	"bytes"
	le "encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"carepost/dicom"
	"carepost/dicom/dimse"
	"carepost/dicom/stow/stowtest"
)

// archives are DCMTK's storescp and Orthanc.
type archives struct {
	dir     string // of storescp
	plain   string // where it listens
	orthanc *stowtest.Orthanc
}

func startArchives(t *testing.T) *archives {
	t.Helper()
	a := &archives{dir: t.TempDir(), orthanc: stowtest.Start(t, nil)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.plain = l.Addr().String()
	_, port, _ := net.SplitHostPort(a.plain)
	l.Close()
	var said bytes.Buffer
	cmd := exec.Command("storescp", "+xa", "+B", "-fe", ".dcm", "-aet", "ARCHIVE", "-od", a.dir, port)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	until(t, func() bool {
		conn, err := net.Dial("tcp", a.plain)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, func() string { return "storescp to listen" })
	return a
}

// has is how many instances storescp has.
func (a *archives) has(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(a.dir, "*.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// received are its files, by SOP Instance UID.
func (a *archives) received(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(a.dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		i, _, err := dimse.OpenPart10(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
		out[i.SOPInstance] = b
	}
	return out
}

// dataSet is what follows the file meta information of a file.
func dataSet(t *testing.T, file []byte) []byte {
	t.Helper()
	_, r, err := dimse.OpenPart10(bytes.NewReader(file))
	if err != nil {
		t.Error(err)
		return nil
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return b
}

// object is a Secondary Capture image, of a patient with the name of a canary.
type object struct {
	study        string
	number, size int // size of the pixels, even
}

func (x object) uid() string { return x.study + ".1." + strconv.Itoa(x.number) }

// file makes a Part 10 file, its data set as DCMTK would write it: Explicit VR Little Endian, no group lengths.
func (x object) file() []byte {
	const class = "1.2.840.10008.5.1.4.1.1.7"
	meta := elements(nil, "0002,0001 OB", "\x00\x01", "0002,0002 UI", class, "0002,0003 UI", x.uid(), "0002,0010 UI", dicom.ExplicitLittle,
		"0002,0012 UI", "2.25.77")
	b := append(make([]byte, 128), "DICM"...)
	b = elements(b, "0002,0000 UL", string(le.LittleEndian.AppendUint32(nil, uint32(len(meta)))))
	b = append(b, meta...)
	columns, rows := 64, x.size/64
	short := func(n int) string { return string([]byte{byte(n), byte(n >> 8)}) }
	pixels := make([]byte, rows*columns)
	for i := range pixels {
		pixels[i] = byte(rand.Uint32())
	}
	return elements(b, "0008,0005 CS", "ISO_IR 192", "0008,0016 UI", class, "0008,0018 UI", x.uid(), "0008,0020 DA", "20261122", "0008,0030 TM", "120000",
		"0008,0050 SH", "", "0008,0060 CS", "OT", "0008,0064 CS", "WSD", "0008,0090 PN", "", "0010,0010 PN", strings.ToUpper(canaryBody)+"^"+canarySubject,
		"0010,0020 LO", "P1", "0010,0030 DA", "", "0010,0040 CS", "", "0020,000D UI", x.study, "0020,000E UI", x.study+".1", "0020,0010 SH", "1",
		"0020,0011 IS", "1", "0020,0013 IS", fmt.Sprint(x.number), "0020,0020 CS", "", "0028,0002 US", short(1), "0028,0004 CS", "MONOCHROME2",
		"0028,0010 US", short(rows), "0028,0011 US", short(columns), "0028,0100 US", short(8), "0028,0101 US", short(8), "0028,0102 US", short(7),
		"0028,0103 US", short(0), "7FE0,0010 OB", string(pixels))
}

// elements writes pairs of "gggg,eeee VR" and a value.
func elements(b []byte, pairs ...string) []byte {
	for i := 0; i < len(pairs); i += 2 {
		var group, element uint16
		var vr string
		if _, err := fmt.Sscanf(pairs[i], "%04X,%04X %s", &group, &element, &vr); err != nil {
			panic(err)
		}
		v := pairs[i+1]
		if len(v)%2 == 1 {
			v += map[bool]string{true: "\x00", false: " "}[vr == "UI" || vr == "OB"]
		}
		b = le.LittleEndian.AppendUint16(le.LittleEndian.AppendUint16(b, group), element)
		b = append(b, vr...)
		if vr == "OB" {
			b = le.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(v)))
		} else {
			b = le.LittleEndian.AppendUint16(b, uint16(len(v)))
		}
		b = append(b, v...)
	}
	return b
}

// samples are files of other makers and ours, of many classes, transfer syntaxes and character sets, as DCMTK writes them: an Orthanc
// would write others anew.
func samples(t *testing.T) map[string][]byte {
	t.Helper()
	from := os.Getenv("CAREPOST_TESTDATA")
	if from == "" {
		from = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	out, to := map[string][]byte{}, filepath.Join(t.TempDir(), "file")
	for _, name := range []string{"CT_small", "JPEG2000", "SC_rgb_jpeg_dcmtk", "chrH32", "chrX1", "waveform_ecg", "test-SR", "dx10", "io12",
		"encpdf", "kos", "gsps"} {
		if said, err := exec.Command("dcmconv", "-g", "-p", filepath.Join(from, "dicom", "files", name+".dcm"), to).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, said)
		}
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		i, _, err := dimse.OpenPart10(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[i.SOPInstance] = b
	}
	return out
}
