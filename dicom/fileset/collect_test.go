package fileset

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What lies in folders beside files: a pipe is not waited for, a link that was named is followed, litter is said.
func TestOddFolders(t *testing.T) {
	dir := demoStudy(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if p := scan(t, link); len(p.Instances) != 4 || !strings.HasPrefix(p.Instances[0].Source, link) {
		t.Errorf("by a link: %v", p.Instances)
	}
	writeFile(t, dir, "__MACOSX/._left.dcm", []byte("x"))
	writeFile(t, dir, "__MACOSX/kept.dcm", readFile(t, filepath.Join(shared(t), "files", "CT_small.dcm")))
	if p := scan(t, dir); len(p.Instances) != 5 || !hasRule(p.Findings, "foreign-file-left-out") {
		t.Errorf("a folder of a Mac: %d, %v", len(p.Instances), p.Findings)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() {
		_, err := Scan(context.Background(), ScanOptions{}, dir)
		told <- err
	}()
	select {
	case err := <-told:
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "pipe")+": neither a file nor a folder") {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for a pipe")
	}
}

// A folder is judged through a link that was named, and whatever the names beside the set are (DCM-12, DCM-22).
func TestOddSetFolders(t *testing.T) {
	b := smallSet(t)
	set := t.TempDir()
	for name, data := range unzipped(t, b) {
		writeFile(t, set, name, data)
	}
	writeFile(t, set, "Gr\xf6sse.txt", []byte("x"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(set, link); err != nil {
		t.Fatal(err)
	}
	r, err := CheckDir(context.Background(), link, CheckOptions{})
	if err != nil || r.Verdict != Complete || !r.Hashed || !slices.Equal(r.Other, []string{"Gr?sse.txt"}) {
		t.Errorf("%v %v", err, r)
	}
	inside := filepath.Join(set, "DICOM", "MORE")
	if err := os.Symlink("/etc/hostname", inside); err != nil {
		t.Fatal(err)
	}
	if r, err = CheckDir(context.Background(), set, CheckOptions{}); err != nil || r.Verdict != Damaged || !hasRule(r.Findings, "zip-symlink") {
		t.Errorf("a link inside: %v %v", err, r)
	}
	r = checkBytes(t, rezip(t, append(entriesOf(t, b), zipped{"Gr\x94\xe1e.txt", []byte("x")})))
	if r.Verdict != Complete || !slices.Equal(r.Other, []string{"Größe.txt"}) {
		t.Errorf("a name of an old PC: %v %v", r.Verdict, r.Findings)
	}
	r = checkBytes(t, rezip(t, append(entriesOf(t, b), zipped{"..\x5cGr\x94\xe1e.txt", []byte("x")})))
	if r.Verdict != Damaged {
		t.Errorf("such a name that leads out: %v %v", r.Verdict, r.Findings)
	}
}

// person makes a report of a patient.
func person(id, name, charset string, n string) []byte {
	class := "1.2.840.10008.5.1.4.1.1.88.11"
	var e [][]byte
	if charset != "" {
		e = append(e, appendText(nil, tagCharset, charset))
	}
	e = append(e, appendText(nil, tagSOPClass, class), appendText(nil, tagSOPInstance, "1.2."+n), appendText(nil, tagName, name),
		appendText(nil, tagPatientID, id), appendText(nil, tagStudyUID, "1.3."+n), appendText(nil, tagSeriesUID, "1.4."+n))
	return part10(class, "1.2."+n, e...)
}

// Two patients are never taken for one because a program cannot read their names (DCM-07, PS3.11 X.3.3).
func TestWrongPatient(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    [][]byte
		patients int // 0: refused
	}{
		{"names that cannot be decoded", [][]byte{person("P1", "M\xfcller^A", "", "1"), person("P1", "M\xf6ller^A", "", "2")}, 0},
		{"one such name", [][]byte{person("P1", "M\xfcller^A", "", "1"), person("P1", "M\xfcller^A", "", "2")}, 1},
		{"IDs that cannot be decoded", [][]byte{person("\xfc1", "M^A", "", "1"), person("\xf61", "M^A", "", "2")}, 2},
		{"IDs that differ by what cannot be seen", [][]byte{person("P\x011", "M^A", "", "1"), person("P1", "M^A", "", "2")}, 2},
		{"groups that contradict each other behind one that says nothing",
			[][]byte{person("P1", "Yamada^Tarou", "", "1"), person("P1", "=X^Y", "", "2"), person("P1", "=Z^Y", "", "3")}, 0},
		{"groups that go together", [][]byte{person("P1", "Yamada^Tarou", "", "1"), person("P1", "=X^Y", "", "2"), person("P1", "YAMADA^TAROU=X^Y", "", "3")}, 1},
		{"one name in two character sets", [][]byte{person("P1", "M\xfcller^A", "ISO_IR 100", "1"), person("P1", "Müller^A", "ISO_IR 192", "2")}, 1},
	} {
		dir := t.TempDir()
		for i, b := range c.files {
			writeFile(t, dir, string(rune('a'+i)), b)
		}
		p, err := Scan(context.Background(), ScanOptions{}, dir)
		switch {
		case c.patients == 0 && (err == nil || !strings.Contains(err.Error(), "different patient names")):
			t.Errorf("%s: %v", c.name, err)
		case c.patients == 0:
		case err != nil || p.Patients != c.patients:
			t.Errorf("%s: %v %v", c.name, err, p)
		default:
			if r := checkBytes(t, packed(t, p)); r.Verdict != Complete || r.Patients != c.patients {
				t.Errorf("%s: %v %v", c.name, r.Verdict, r.Findings)
			}
		}
	}
}

// The record of a patient takes the keys of an instance that has the ID, whatever else another instance has (PS3.3 F.5.1).
func TestAdoptedPatient(t *testing.T) {
	dir := t.TempDir()
	without := person("", "M\xfcller^A", "ISO_IR 100", "1")
	with := []byte(strings.NewReplacer("1.3.2", "1.3.1", "1.4.2", "1.4.1").Replace(string(person("\xc41", "", "ISO_IR 100", "2"))))
	writeFile(t, dir, "a", without)
	writeFile(t, dir, "b", with)
	p := scan(t, dir)
	if len(p.Tree) != 1 || p.Tree[0].ID != "Ä1" {
		t.Errorf("%+v", p.Tree)
	}
	for _, f := range p.Findings {
		if f.Rule == "key-supplied" && strings.Contains(f.Text, "Patient ID") {
			t.Error(f)
		}
	}
	if v, _ := keys(p.directory[strings.Index(string(p.directory), "\x10\x00\x20\x00LO"):]).find(tagPatientID); v != "\xc41" {
		t.Errorf("%q", v)
	}
}
