package damage

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"carepost/dicom/fileset"
)

// packed gives the files of a set of ours, by File ID.
func packed(t *testing.T, paths ...string) map[string][]byte {
	t.Helper()
	plan, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := plan.WriteZIP(t.Context(), &b, nil); err != nil {
		t.Fatal(err)
	}
	files, err := contents(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// altered copies objects, each with another last byte: the same instances, of which somebody has sent another version.
func altered(t *testing.T, paths []string) (out []string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		to := filepath.Join(dir, filepath.Base(p))
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, to)
	}
	return out
}

// anothers packs objects as other programs do: dcmmkdir (dcmtk) makes the DICOMDIR, archive/zip an archive whose lengths stand behind the data.
func anothers(t *testing.T, paths []string) []byte {
	t.Helper()
	dir := t.TempDir()
	args := []string{"+I", "-Nxc"}
	for i, p := range paths {
		name := "IM" + strconv.Itoa(i+1)
		b, err := os.ReadFile(p)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		args = append(args, name)
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "dcmmkdir", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dcmmkdir: %v\n%s", err, out)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// last names the instance that fewer does not list.
func (s *sent) last() string {
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		if name != fileset.DirectoryName && !bytes.Contains(s.fewer, instance(s.files[name])) {
			return name
		}
	}
	return ""
}

// instance is the SOP Instance UID in the meta group of an object (0002,0003).
func instance(object []byte) []byte {
	at := bytes.Index(object, []byte{2, 0, 3, 0, 'U', 'I'})
	n := int(object[at+6]) | int(object[at+7])<<8
	return bytes.TrimRight(object[at+8:at+8+n], "\x00")
}
