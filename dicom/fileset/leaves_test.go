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
		"every class with all its keys, that every peer knows": func(t *testing.T) *Plan {
			return everyClass(t, whole, func(c class) bool {
				return !slices.Contains(unknownToDCMTK, c.record) && !slices.Contains(unknownToPydicom, c.record)
			})
		},
		"every class with all its keys, that dcmmkdir does not know": func(t *testing.T) *Plan {
			return everyClass(t, whole, func(c class) bool {
				return slices.Contains(unknownToDCMTK, c.record) && !slices.Contains(unknownToPydicom, c.record)
			})
		},
		"every class with all its keys, that pydicom does not know": func(t *testing.T) *Plan {
			return everyClass(t, whole, func(c class) bool {
				return !slices.Contains(unknownToDCMTK, c.record) && slices.Contains(unknownToPydicom, c.record)
			})
		},
		"every class with all its keys, that neither knows": func(t *testing.T) *Plan {
			return everyClass(t, whole, func(c class) bool {
				return slices.Contains(unknownToDCMTK, c.record) && slices.Contains(unknownToPydicom, c.record)
			})
		},
		poorest: func(t *testing.T) *Plan {
			return everyClass(t, bare, func(c class) bool { return !slices.Contains(unknownToPydicom, c.record) })
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
		"a part of a set": func(t *testing.T) *Plan {
			p := sharedFiles(t)
			part, err := p.Part(context.Background(), ScanOptions{}, []int{1, 4, 7, 8})
			if err != nil {
				t.Fatal(err)
			}
			return part
		},
		"names that contradict each other": func(t *testing.T) *Plan {
			dir := t.TempDir()
			writeFile(t, dir, "a", ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"))
			writeFile(t, dir, "b", ct("P1", "Dahl^Eva", "1.4", "1.5", "1.6"))
			p, err := Scan(context.Background(), ScanOptions{AllowNames: true}, dir)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		"classes that nobody knows": func(t *testing.T) *Plan {
			dir := t.TempDir()
			writeFile(t, dir, "a", bare("1.2.9.2", "1.2.3.2"))
			writeFile(t, dir, "b", ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"))
			return scan(t, dir)
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
			r, err := Unpack(context.Background(), bytes.NewReader(b), int64(len(b)), set, UnpackOptions{AllowViolations: len(p.Overruled) > 0})
			if want := map[bool]Verdict{false: Complete, true: Violations}[len(p.Overruled) > 0]; err != nil || r.Verdict != want {
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

// poorest is the set of instances that have nothing of their own: dcmmkdir supplies some keys (+I), but not those, and takes none of them.
const poorest = "every class, without any key"

// What the peers of Debian 12 do not know: their versions are older than these record types, or have none for them. Each is asked all the same,
// and has to say so; the other peers judge the set.
var (
	unknownToDCMTK   = []string{"WF PRESENTATION", "INVENTORY", "PRIVATE"}    // dcmmkdir 3.6.7: "invalid SOP class"
	unknownToPydicom = []string{"WF PRESENTATION", "INVENTORY", "ANNOTATION"} // FileSet of pydicom 2.3: KeyError
)

// sameLeaves has each program say what it finds in a set.
func sameLeaves(t *testing.T, p *Plan, set, name string) {
	var ids, loaded []string
	toDCMTK, toPydicom := 0, 0 // instances that these do not know
	for _, x := range p.Instances {
		ids = append(ids, x.FileID)
		loaded = append(loaded, x.FileID+" "+x.SOPInstance)
		toDCMTK += b2i(slices.Contains(unknownToDCMTK, x.Type))
		toPydicom += b2i(slices.Contains(unknownToPydicom, x.Type))
	}
	slices.Sort(ids)
	slices.Sort(loaded)
	out, _ := exec.Command("dciodvfy", filepath.Join(set, DirectoryName)).CombinedOutput() // its exit code says no more than its lines
	if len(out) == 0 {
		t.Fatal("dciodvfy says nothing")
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Error") && !(strings.HasPrefix(name, "every class") && slices.ContainsFunc(excused, func(s string) bool { return strings.Contains(line, s) })) {
			t.Errorf("dciodvfy: %s", strings.TrimSpace(line))
		}
	}
	if got := dumped(t, set); !slices.Equal(got, ids) {
		t.Errorf("dcdirdmp finds %v rather than %v", got, ids)
	}
	if toPydicom > 0 {
		if out, err := peer(set, "/usr/bin/python3", "-c", leavesOf, DirectoryName); err == nil || !strings.Contains(out, "KeyError") {
			t.Errorf("pydicom knows more than it did: unknownToPydicom is out of date: %v\n%s", err, out)
		}
	} else {
		got := strings.Split(strings.TrimSpace(run(t, set, "/usr/bin/python3", "-c", leavesOf, DirectoryName)), "\n")
		slices.Sort(got)
		if !slices.Equal(got, loaded) {
			t.Errorf("pydicom loads %v rather than %v", got, loaded)
		}
	}
	if name == poorest {
		return
	}
	update := []string{"+U", "-nb", "-W", "-Nxc", "-Nec", "+Nrs", "+I", "+r", "+id", ".", "DICOM"}
	if toDCMTK > 0 {
		if out, err := peer(set, "dcmmkdir", update...); strings.Count(out, "invalid SOP class") != toDCMTK {
			t.Errorf("dcmmkdir knows more than it did: unknownToDCMTK is out of date: %v\n%s", err, out)
		}
	} else {
		run(t, set, "dcmmkdir", update...)
	}
	for _, x := range p.Instances {
		if strings.HasPrefix(x.Type, "IMPLANT ") && toDCMTK == 0 { // it takes the type of each for that of the other, and adds the file as such
			ids = append(ids, x.FileID)
		}
	}
	slices.Sort(ids)
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
