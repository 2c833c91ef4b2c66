package fileset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ct makes an image of a patient and a study.
func ct(patient, name, study, series, instance string, more ...[]byte) []byte {
	const class = "1.2.840.10008.5.1.4.1.1.2"
	e := [][]byte{appendText(nil, tagSOPClass, class), appendText(nil, tagSOPInstance, instance)}
	e = append(e, more...)
	e = append(e, appendText(nil, tagModality, "CT"), appendText(nil, tagName, name), appendText(nil, tagPatientID, patient),
		appendText(nil, tagStudyUID, study), appendText(nil, tagSeriesUID, series))
	slices.SortFunc(e, func(a, b []byte) int {
		return bytes.Compare([]byte{a[1], a[0], a[3], a[2]}, []byte{b[1], b[0], b[3], b[2]})
	})
	return part10(class, instance, e...)
}

// DCM-07: each conflict stops; the one thing that was allowed goes on, is found, and is kept for the record (PS3.11 X.3.3, PS3.3 F.5).
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    [][]byte
		conflict Conflict
		allow    ScanOptions
		verdict  Verdict // of a reader
		packed   int
	}{
		{"one ID, two names", [][]byte{ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"), ct("P1", "Tal^Bo", "1.1", "1.2", "1.4")},
			Names, ScanOptions{AllowNames: true}, Violations, 2},
		{"one study, two patients", [][]byte{ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"), ct("P2", "Tal^Bo", "1.1", "1.5", "1.4")},
			Parents, ScanOptions{AllowParents: true}, Violations, 2},
		{"one study and series, two patients", [][]byte{ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"), ct("P2", "Tal^Bo", "1.1", "1.2", "1.4")},
			Parents, ScanOptions{AllowParents: true}, Violations, 2},
		{"one series, two studies", [][]byte{ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"), ct("P1", "Berg^Ann", "1.6", "1.2", "1.4")},
			Parents, ScanOptions{AllowParents: true}, Violations, 2},
		{"one instance, two versions", [][]byte{ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"), ct("P1", "Berg^Ann", "1.1", "1.2", "1.3", appendText(nil, tagStudyDate, "20260101"))},
			Versions, ScanOptions{AllowVersions: true}, Complete, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			for i, b := range c.files {
				paths = append(paths, writeFile(t, dir, fmt.Sprintf("%c.dcm", 'a'+i), b))
			}
			for _, o := range []ScanOptions{{}, {AllowNames: c.conflict != Names, AllowParents: c.conflict != Parents, AllowVersions: c.conflict != Versions}} {
				_, err := Scan(context.Background(), o, paths...)
				var bad *InputError
				if !errors.As(err, &bad) || bad.Problems[0].Conflict != c.conflict || !slices.Equal(bad.Problems[0].Files, paths) {
					t.Fatalf("%+v: %v", o, err)
				}
				if strings.Contains(bad.Error(), "Berg") || strings.Contains(bad.Error(), "P1") {
					t.Errorf("patient data in %v", bad)
				}
			}
			p, err := Scan(context.Background(), c.allow, paths...)
			if err != nil || len(p.Instances) != c.packed || !slices.Equal(p.Overruled, []Conflict{c.conflict}) {
				t.Fatalf("allowed: %v %+v", err, p)
			}
			if r := checkBytes(t, packed(t, p)); r.Verdict != c.verdict || r.Found != c.packed {
				t.Errorf("%v, %d found: %v", r.Verdict, r.Found, r.Findings)
			}
			if p.Instances[0].Source != paths[0] {
				t.Errorf("packed %s rather than what was given first", p.Instances[0].Source)
			}
			p, err = Scan(context.Background(), c.allow, paths[0])
			if err != nil || p.Overruled != nil {
				t.Errorf("nothing to overrule: %v %v", err, p.Overruled)
			}
		})
	}
}

// An instance without Patient ID in a study of two patients is nobody's: it gets an ID of its own (PS3.3 F.5.1).
func TestNobodysInstance(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a", ct("P1", "Berg^Ann", "1.1", "1.2", "1.3"))
	writeFile(t, dir, "b", ct("P2", "Tal^Bo", "1.1", "1.2", "1.4"))
	writeFile(t, dir, "c", ct("", "", "1.1", "1.2", "1.5"))
	p, err := Scan(context.Background(), ScanOptions{AllowParents: true}, dir)
	if err != nil || p.Patients != 3 {
		t.Errorf("%v %+v", err, p)
	}
}

// Instances of one study that disagree about its date, and of one series about its number, stay together: one record each.
func TestOneRecordForEach(t *testing.T) {
	dir := t.TempDir()
	at := func(date string, number string) [][]byte {
		return [][]byte{appendText(nil, tagStudyDate, date), appendText(nil, tagSeriesNo, number)}
	}
	writeFile(t, dir, "a", ct("P1", "Berg^Ann", "1.1", "1.1.1", "1.1.1.1", at("20260101", "1")...))
	writeFile(t, dir, "b", ct("P1", "Berg^Ann", "1.1", "1.1.1", "1.1.1.2", at("20260301", "3")...))
	writeFile(t, dir, "c", ct("P1", "Berg^Ann", "1.1", "1.1.2", "1.1.2.1", at("20260301", "2")...))
	writeFile(t, dir, "d", ct("P1", "Berg^Ann", "1.2", "1.2.1", "1.2.1.1", at("20260201", "1")...))
	p := scan(t, dir)
	if p.Studies != 2 || p.Series != 3 || len(p.Instances) != 4 {
		t.Errorf("%d studies, %d series, %d instances", p.Studies, p.Series, len(p.Instances))
	}
	if r := checkBytes(t, packed(t, p)); r.Verdict != Complete {
		t.Errorf("%v %v", r.Verdict, r.Findings)
	}
}

// Nothing is deflated where that is asked for, and the set is the same.
func TestStored(t *testing.T) {
	p, err := Scan(context.Background(), ScanOptions{Stored: true}, filepath.Join(shared(t), "fileset"))
	if err != nil {
		t.Fatal(err)
	}
	b := packed(t, p)
	for _, x := range p.Instances {
		if !bytes.Contains(b, readFile(t, x.Source)) {
			t.Errorf("%s is not there as it is", x.FileID)
		}
	}
	if r := checkBytes(t, b); r.Verdict != Complete || r.UID != scan(t, filepath.Join(shared(t), "fileset")).UID {
		t.Errorf("%v %v", r.Verdict, r.Findings)
	}
}
