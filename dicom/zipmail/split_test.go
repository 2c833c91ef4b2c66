package zipmail

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"carepost/dicom/fileset"
)

// study writes images of a study into a folder: series of so many instances each, every one of about size bytes that do not get smaller.
func study(t testing.TB, dir string, no, size int, series ...int) {
	t.Helper()
	noise := make([]byte, size)
	state := uint32(no)
	for s, n := range series {
		for i := range n {
			for k := range noise {
				state = state*1664525 + 1013904223
				noise[k] = byte(state >> 24)
			}
			name := fmt.Sprintf("%d-%d-%d", no, s+1, i+1)
			if err := os.WriteFile(filepath.Join(dir, name), ctImage(no, s+1, i+1, noise), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// ctImage is a CT image as a file (PS3.10 7), in Explicit VR Little Endian.
func ctImage(study, series, number int, pixels []byte) []byte {
	put := func(b []byte, group, element uint16, vr, value string) []byte {
		if len(value)%2 > 0 {
			value += map[bool]string{true: "\x00", false: " "}[vr == "UI"]
		}
		b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, group), element)
		b = append(b, vr...)
		if vr == "OB" || vr == "OW" {
			b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(value)))
		} else {
			b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		}
		return append(b, value...)
	}
	const class = "1.2.840.10008.5.1.4.1.1.2"
	uid := fmt.Sprintf("1.2.3.%d.%d.%d", study, series, number)
	meta := put(nil, 2, 1, "OB", "\x00\x01")
	meta = put(put(put(put(meta, 2, 2, "UI", class), 2, 3, "UI", uid), 2, 0x10, "UI", "1.2.840.10008.1.2.1"), 2, 0x12, "UI", "1.2.3")
	b := append(make([]byte, 128), "DICM"...)
	b = append(put(b, 2, 0, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(len(meta))))), meta...)
	for _, e := range []struct {
		group, element uint16
		vr, value      string
	}{
		{8, 0x16, "UI", class}, {8, 0x18, "UI", uid}, {8, 0x20, "DA", "20260302"}, {8, 0x30, "TM", "110000"}, {8, 0x50, "SH", ""}, {8, 0x60, "CS", "CT"},
		{0x10, 0x10, "PN", "Sample^Ann"}, {0x10, 0x20, "LO", fmt.Sprint("ID", study)}, {0x20, 0xD, "UI", fmt.Sprint("1.2.3.", study)},
		{0x20, 0xE, "UI", fmt.Sprintf("1.2.3.%d.%d", study, series)}, {0x20, 0x10, "SH", fmt.Sprint(study)}, {0x20, 0x11, "IS", fmt.Sprint(series)},
		{0x20, 0x13, "IS", fmt.Sprint(number)}, {0x7FE0, 0x10, "OB", string(pixels)},
	} {
		b = put(b, e.group, e.element, e.vr, e.value)
	}
	return b
}

// DCM-16: a set that is too large goes as several, each complete, by study, then series, then instances; nothing is lost or twice.
func TestSplit(t *testing.T) {
	dir := t.TempDir()
	study(t, dir, 1, 30_000, 2, 1) // fits one archive
	study(t, dir, 2, 30_000, 3, 2) // its series do
	study(t, dir, 3, 30_000, 1, 9) // a series does not
	study(t, dir, 4, 30_000, 1, 1) // and a small one
	p, err := fileset.Scan(context.Background(), fileset.ScanOptions{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 190_000
	parts, err := Split(context.Background(), p, SplitOptions{Archive: limit})
	if err != nil {
		t.Fatal(err)
	}
	seen, shape := map[string]string{}, ""
	for _, part := range parts {
		var b bytes.Buffer
		if err := part.WriteZIP(context.Background(), &b, nil); err != nil {
			t.Fatal(err)
		}
		if b.Len() > limit {
			t.Errorf("an archive of %d bytes", b.Len())
		}
		r, err := fileset.CheckZIP(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()), fileset.CheckOptions{})
		if err != nil || r.Verdict != fileset.Complete || r.UID != part.UID {
			t.Errorf("%v %v %v", err, r.Verdict, r.Findings)
		}
		shape += fmt.Sprintf(" %d/%d/%d", part.Studies, part.Series, len(part.Instances))
		for _, x := range part.Instances {
			if seen[x.SOPInstance] != "" {
				t.Errorf("%s is in two parts", x.Source)
			}
			seen[x.SOPInstance] = part.UID
		}
	}
	if len(seen) != len(p.Instances) || len(parts) != 5 {
		t.Errorf("%d of %d instances in %d parts:%s", len(seen), len(p.Instances), len(parts), shape)
	}
	if shape != " 1/2/3 1/2/5 1/2/5 1/1/5 1/2/2" {
		t.Errorf("studies/series/instances of the parts:%s", shape)
	}
	again, err := Split(context.Background(), p, SplitOptions{Archive: limit})
	if err != nil || len(again) != len(parts) || again[2].UID != parts[2].UID {
		t.Errorf("another time: %v, %d parts", err, len(again))
	}
	if one, err := Split(context.Background(), p, SplitOptions{Archive: 10 << 20}); err != nil || len(one) != 1 || one[0] != p {
		t.Errorf("what fits: %v, %d parts", err, len(one))
	}
	var large *TooLargeError
	if _, err := Split(context.Background(), p, SplitOptions{Archive: 20_000}); !errors.As(err, &large) || large.Source == "" {
		t.Errorf("an instance that does not fit: %v", err)
	}
	if _, err := Split(context.Background(), p, SplitOptions{Archive: limit, First: 1000}); !errors.As(err, &large) {
		t.Errorf("a first mail that is full: %v", err)
	}
	first, err := Split(context.Background(), p, SplitOptions{Archive: limit, First: 90_000})
	if err != nil || len(first[0].Instances) > 2 {
		t.Errorf("a first mail with other files: %v", err)
	}
	if err := os.WriteFile(parts[1].Instances[0].Source, []byte("changed meanwhile"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Split(context.Background(), p, SplitOptions{Archive: limit}); !errors.Is(err, fileset.ErrChanged) {
		t.Errorf("a file that changed: %v", err)
	}
}
