package fileset

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// smallSet packs a few small objects, one of them with compressed pixels, so that every byte of the archive can be tried.
func smallSet(t testing.TB) []byte {
	t.Helper()
	dir := filepath.Join(shared(t), "files")
	return packed(t, scan(t, filepath.Join(dir, "kos.dcm"), filepath.Join(dir, "gsps.dcm"), filepath.Join(dir, "encpdf.dcm"),
		filepath.Join(dir, "chrX1.dcm"), filepath.Join(dir, "SC_rgb_jpeg_dcmtk.dcm")))
}

// honest fails when b is called COMPLETE although DICOMDIR or an instance is not what was packed. archive/zip reads b for the
// comparison, or, where that refuses it, our own reader does.
func honest(t *testing.T, want map[string][]byte, b []byte, what string) Verdict {
	t.Helper()
	r := checkBytes(t, b)
	if r.Verdict != Complete {
		return r.Verdict
	}
	es, err := readEntries(b)
	if err != nil {
		t.Fatalf("%s: COMPLETE, but archive/zip does not read it: %v", what, err)
	}
	got := make(map[string][]byte)
	for _, e := range es {
		got[e.name] = e.data
	}
	for name, data := range want {
		if name != DescriptorName && !bytes.Equal(got[name], data) {
			t.Fatalf("%s: COMPLETE, but %s is not what was packed", what, name)
		}
	}
	return r.Verdict
}

// DCM-22: no byte of the archive can change so that a set that is not the one packed is called complete.
func TestEveryByteFlipped(t *testing.T) {
	t.Parallel()
	b := smallSet(t)
	want := unzipped(t, b)
	if v := honest(t, want, b, "untouched"); v != Complete {
		t.Fatalf("untouched: %v", v)
	}
	verdicts := make(map[Verdict]int)
	inside, step := insideData(t, b), pick(7, 1)
	for i := range b {
		if inside(i) && i%step != 0 { // every byte of every header, and of the data so many
			continue
		}
		m := bytes.Clone(b)
		m[i] ^= 1 << (i % 8)
		verdicts[honest(t, want, m, fmt.Sprintf("byte %d", i))]++
	}
	t.Logf("%d bytes: %v", len(b), verdicts)
}

// insideData says whether a byte belongs to the content of an entry, rather than to the structure of the archive.
func insideData(t *testing.T, b []byte) func(int) bool {
	t.Helper()
	a, err := readArchive(bytes.NewReader(b), int64(len(b)), defaultLimits)
	if err != nil || a.fatal {
		t.Fatal(err)
	}
	return func(i int) bool {
		return slices.ContainsFunc(a.entries, func(e entry) bool { return e.data <= int64(i) && int64(i) < e.data+e.packed })
	}
}

// DCM-22: a set cut anywhere is never complete.
func TestCutEverywhere(t *testing.T) {
	t.Parallel()
	b := smallSet(t)
	for n := 0; n < len(b); n += pick(3, 1) {
		if v := checkBytes(t, b[:n]).Verdict; v != Damaged {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), v)
		}
	}
	want := unzipped(t, b)
	for _, n := range []int{1, 2, 17, 100, 1000} {
		for i := 0; i+n < len(b); i += pick(97, 29) {
			honest(t, want, slices.Concat(b[:i], b[i+n:]), fmt.Sprintf("%d bytes gone at %d", n, i))
			honest(t, want, slices.Concat(b[:i], make([]byte, n), b[i:]), fmt.Sprintf("%d bytes put in at %d", n, i))
		}
	}
}

// DCM-22: an archive built anew around a changed file has right checksums; MANIFEST tells all the same.
func TestRebuiltAroundAChange(t *testing.T) {
	t.Parallel()
	es := entriesOf(t, smallSet(t))
	if v := checkBytes(t, rezip(t, es)).Verdict; v != Complete {
		t.Fatalf("rebuilt without a change: %v", v)
	}
	for k, e := range es {
		step := pick(3, 1) // DICOMDIR and MANIFEST: every element, every line
		if strings.HasPrefix(e.name, "DICOM/") {
			step = pick(17, 3)
		}
		for i := 0; i < len(e.data); i += step {
			changed := slices.Clone(es)
			changed[k].data = bytes.Clone(e.data)
			changed[k].data[i] ^= 1 << (i % 8)
			if v := checkBytes(t, rezip(t, changed)).Verdict; v == Complete {
				t.Fatalf("%s, byte %d: COMPLETE", e.name, i)
			}
		}
		for _, n := range []int{0, 1, len(e.data) / 2, len(e.data) - 1} {
			changed := slices.Clone(es)
			changed[k].data = e.data[:n]
			if v := checkBytes(t, rezip(t, changed)).Verdict; v == Complete {
				t.Fatalf("%s cut to %d: COMPLETE", e.name, n)
			}
		}
		changed := slices.Clone(es)
		changed[k].data = append(bytes.Clone(e.data), 0)
		if v := checkBytes(t, rezip(t, changed)).Verdict; v == Complete {
			t.Fatalf("%s with a byte more: COMPLETE", e.name)
		}
	}
}

// DCM-12, DCM-14, DCM-22: entries removed, renamed, exchanged, added.
func TestEntriesMoved(t *testing.T) {
	es := entriesOf(t, smallSet(t))
	for k, e := range es {
		r := checkBytes(t, rezip(t, slices.Delete(slices.Clone(es), k, k+1)))
		if r.Verdict != Incomplete {
			t.Errorf("%s removed: %v", e.name, r.Verdict)
		}
		if strings.HasPrefix(e.name, "DICOM/") && (len(r.Missing) != 1 || !strings.HasPrefix(r.Missing[0], e.name+":")) {
			t.Errorf("%s removed: missing %q", e.name, r.Missing)
		}
		for _, name := range []string{e.name + "X", "DICOM/OTHER", strings.ToLower(e.name), e.name + ".dcm"} {
			changed := slices.Clone(es)
			changed[k].name = name
			if v := checkBytes(t, rezip(t, changed)).Verdict; v == Complete {
				t.Errorf("%s renamed to %s: %v", e.name, name, v)
			}
		}
		for l := range es[:k] {
			changed := slices.Clone(es)
			changed[k].name, changed[l].name = es[l].name, es[k].name
			if v := checkBytes(t, rezip(t, changed)).Verdict; v == Complete {
				t.Errorf("%s and %s exchanged: %v", e.name, es[l].name, v)
			}
			changed = slices.Clone(es)
			changed[k].data = es[l].data
			if v := checkBytes(t, rezip(t, changed)).Verdict; v == Complete {
				t.Errorf("%s with the content of %s: %v", e.name, es[l].name, v)
			}
		}
	}
	extra := append(slices.Clone(es), zipped{"DICOM/EXTRA", readFile(t, filepath.Join(shared(t), "files", "CT_small.dcm"))})
	if r := checkBytes(t, rezip(t, extra)); r.Verdict != Violations || !hasRule(r.Findings, "instance-unreferenced") {
		t.Errorf("an instance more (DCM-12): %v %v", r.Verdict, r.Findings)
	}
	extra = append(slices.Clone(es), zipped{"README.TXT", []byte("hello")})
	if r := checkBytes(t, rezip(t, extra)); r.Verdict != Complete || len(r.Other) != 1 {
		t.Errorf("a file beside the set (DCM-12): %v %v", r.Verdict, r.Findings)
	}
	extra = append(slices.Clone(es), zipped{"SECOND/DICOMDIR", es[0].data})
	if r := checkBytes(t, rezip(t, extra)); r.Verdict != Violations || !hasRule(r.Findings, "two-file-sets") {
		t.Errorf("a second set (DCM-12): %v %v", r.Verdict, r.Findings)
	}
}

// A set unpacked into a folder is judged the same (DCM-22).
func TestFolderChanged(t *testing.T) {
	files := unzipped(t, smallSet(t))
	dir := t.TempDir()
	for name, data := range files {
		writeFile(t, dir, name, data)
	}
	check := func() *Report {
		r, err := CheckDir(context.Background(), dir, CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := check(); r.Verdict != Complete || !r.Hashed {
		t.Fatalf("untouched: %v %v", r.Verdict, r.Findings)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for i := 0; i < len(files[name]); i += 41 {
			m := bytes.Clone(files[name])
			m[i] ^= 0x04
			writeFile(t, dir, name, m)
			if r := check(); r.Verdict == Complete {
				t.Fatalf("%s, byte %d: COMPLETE", name, i)
			}
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if r := check(); r.Verdict != Incomplete {
			t.Errorf("%s removed: %v", name, r.Verdict)
		}
		writeFile(t, dir, name, files[name])
	}
}
