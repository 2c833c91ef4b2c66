package fileset

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// leavesOf prints what pydicom's FileSet finds, each instance loaded: File ID and SOP Instance UID.
const leavesOf = `
import os, sys
from pydicom.fileset import FileSet
for i in FileSet(sys.argv[1]):
    print(os.path.relpath(i.path, os.path.dirname(os.path.abspath(sys.argv[1]))), i.load().SOPInstanceUID)`

// Must show of the sets that are shared and of those that we make, DCM-02, DCM-03, DCM-06: validators find no error in any, and three makers' programs find
// the leaves that we put there. dcmmkdir takes the directory over and adds every file to it once more: nothing comes twice.
func TestEverySet(t *testing.T) {
	sets := map[string]func(t *testing.T) *Plan{
		"shared file-set": func(t *testing.T) *Plan { return scan(t, filepath.Join(shared(t), "fileset")) },
		"shared archive": func(t *testing.T) *Plan {
			dir := t.TempDir()
			for name, b := range unzipped(t, readFile(t, filepath.Join(shared(t), "DICOM.ZIP"))) {
				if !strings.HasSuffix(name, "/") {
					writeFile(t, dir, name, b)
				}
			}
			return scan(t, dir)
		},
		"shared files": sharedFiles,
		"the demo's":   func(t *testing.T) *Plan { return scan(t, filepath.FromSlash("../../internal/demo/study/files")) },
		"dental":       func(t *testing.T) *Plan { return scan(t, demoStudy(t)) },
		"every class": func(t *testing.T) *Plan {
			dir := t.TempDir()
			for i, c := range classes {
				if !slices.Contains(strangeToPydicom, c.record) {
					writeFile(t, dir, fmt.Sprintf("%03d", i), bare(classRoot+c.uid, fmt.Sprintf("1.2.3.4.%d", i+1)))
				}
			}
			return scan(t, dir)
		},
		"every charset": everyCharset,
		"stored, with files beside it": func(t *testing.T) *Plan {
			p, err := Scan(context.Background(), ScanOptions{Stored: true}, demoStudy(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.AddExtras(extra("OTHER/LETTER.PDF", "x")); err != nil {
				t.Fatal(err)
			}
			if err := p.AddPDI(PDI{}); err != nil {
				t.Fatal(err)
			}
			return p
		},
		"a study whose series and dates disagree": func(t *testing.T) *Plan {
			dir := t.TempDir()
			for i := range 20 {
				writeFile(t, dir, fmt.Sprint(i), ct("P1", "Berg^Ann", fmt.Sprintf("1.1.%d", i%3), fmt.Sprintf("1.1.%d.%d", i%3, i%2), fmt.Sprintf("1.2.%d", i),
					appendText(nil, tagStudyDate, fmt.Sprintf("202601%02d", 1+i))))
			}
			return scan(t, dir)
		},
	}
	for name, make := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := make(t)
			b, set := packed(t, p), filepath.Join(t.TempDir(), "set")
			r, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), set, UnpackOptions{})
			if err != nil || r.Verdict != Complete {
				t.Fatalf("our own reader: %v %v", err, r)
			}
			sameLeaves(t, p, set, name)
		})
	}
}

// sharedFiles are all shared objects that can be packed together.
func sharedFiles(t *testing.T) *Plan {
	var paths []string
	entries, err := os.ReadDir(filepath.Join(shared(t), "files"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "MR_truncated.dcm", "nested_priv_SQ.dcm", "no_meta_group_length.dcm": // cut; without UIDs
		case "MR_small_implicit.dcm": // the same instance as the one in big endian
		default:
			paths = append(paths, filepath.Join(shared(t), "files", e.Name()))
		}
	}
	if len(paths) < 20 {
		t.Fatalf("%d files", len(paths))
	}
	return scan(t, paths...)
}

// everyCharset has a patient for each way of writing names that we decode.
func everyCharset(t *testing.T) *Plan {
	dir := t.TempDir()
	for i, c := range []struct{ charset, name string }{
		{"", "Berg^Ann"}, {"ISO_IR 100", "M\xfcller^J\xfcrgen"}, {"ISO_IR 101", "Wa\xb3\xeasa^Lech"}, {"ISO_IR 144", "\xbb\xee\xda\xe1\xd5\xdc\xd1\xe3\xe0\xd3"},
		{"ISO_IR 126", "\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"}, {"ISO_IR 127", "\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1"}, {"ISO_IR 138", "\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"},
		{"ISO_IR 192", "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"}, {"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"},
		{"ISO 2022 IR 6\\ISO 2022 IR 87", "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"}, {"ISO 2022 IR 6\\ISO 2022 IR 149", "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"},
	} {
		writeFile(t, dir, fmt.Sprintf("%02d", i), ct(fmt.Sprintf("P%02d", i), c.name, fmt.Sprintf("1.1.%d", i), fmt.Sprintf("1.2.%d", i), fmt.Sprintf("1.3.%d", i),
			appendText(nil, tagCharset, c.charset)))
	}
	return scan(t, dir)
}

// sameLeaves has each program say what it finds in a set.
func sameLeaves(t *testing.T, p *Plan, set, name string) {
	var ids, loaded []string
	unknown := 0 // record types that the peers of today do not know
	for _, x := range p.Instances {
		ids = append(ids, x.FileID)
		loaded = append(loaded, x.FileID+" "+x.SOPInstance)
		if !slices.Contains(ofDCMTK, x.Type) {
			unknown++
		}
	}
	slices.Sort(ids)
	slices.Sort(loaded)
	out, _ := exec.Command("dciodvfy", filepath.Join(set, DirectoryName)).CombinedOutput() // its exit code says no more than its lines
	if len(out) == 0 {
		t.Fatal("dciodvfy says nothing")
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Error") && !(name == "every class" && slices.ContainsFunc(excused, func(s string) bool { return strings.Contains(line, s) })) {
			t.Errorf("dciodvfy: %s", strings.TrimSpace(line))
		}
	}
	if got := dumped(t, set); !slices.Equal(got, ids) {
		t.Errorf("dcdirdmp finds %v rather than %v", got, ids)
	}
	got := strings.Split(strings.TrimSpace(run(t, set, "/usr/bin/python3", "-c", leavesOf, DirectoryName)), "\n")
	slices.Sort(got)
	if !slices.Equal(got, loaded) {
		t.Errorf("pydicom loads %v rather than %v", got, loaded)
	}
	if unknown > 0 {
		return // it would leave them out, and say so
	}
	run(t, set, "dcmmkdir", "+U", "-nb", "-W", "-Nxc", "-Nec", "+Nrs", "+I", "+r", "+id", ".", "DICOM")
	if got := dumped(t, set); !slices.Equal(got, ids) {
		t.Errorf("after dcmmkdir +U there are %v rather than %v", got, ids)
	}
}

// dumped gives the File IDs that dcdirdmp comes by, following the offsets.
func dumped(t *testing.T, set string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(run(t, set, "dcdirdmp", DirectoryName)) {
		if _, id, ok := strings.Cut(line, "-> "); ok {
			ids = append(ids, strings.ReplaceAll(strings.TrimSpace(id), `\`, "/"))
		}
	}
	slices.Sort(ids)
	return ids
}

// strangeToPydicom are the record types that the pydicom of Debian 12 takes for an error.
var strangeToPydicom = []string{"ANNOTATION", "WF PRESENTATION"}

// ofDCMTK are the record types that the dcmmkdir of Debian 12 writes below SERIES.
var ofDCMTK = []string{"IMAGE", "RT DOSE", "RT STRUCTURE SET", "RT PLAN", "RT TREAT RECORD", "PRESENTATION", "WAVEFORM", "SR DOCUMENT", "KEY OBJECT DOC", "SPECTROSCOPY",
	"RAW DATA", "REGISTRATION", "FIDUCIAL", "VALUE MAP", "ENCAP DOC", "STEREOMETRIC"}
