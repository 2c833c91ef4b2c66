package xdm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"carepost/dicom/fileset"
)

// An archive in which nothing stands is none of these packages, one with nothing but their folder is not whole, and one that names no document is
// not as it should be: none of them is whole.
func TestEmpty(t *testing.T) {
	b := archive(t)
	if _, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), Options{}); !errors.Is(err, ErrNoPackage) {
		t.Errorf("an empty archive: %v", err)
	}
	if r := check(t, archive(t, packed{"IHE_XDM/", ""}, packed{"IHE_XDM/SUBSET01/", ""})); r.Verdict != fileset.Incomplete {
		t.Errorf("folders alone: %v %s", r.Verdict, rules(r))
	}
	none := described("", body)
	none = none[:strings.Index(none, "<ns2:ExtrinsicObject")] + none[strings.Index(none, "<ns2:RegistryPackage"):]
	r := check(t, archive(t, packed{"INDEX.HTM", ""}, packed{"README.TXT", ""}, packed{"IHE_XDM/", ""}, packed{"IHE_XDM/SUBSET01/", ""},
		packed{"IHE_XDM/SUBSET01/METADATA.XML", none}, packed{"IHE_XDM/SUBSET01/DOC0001.XML", body}))
	if r.Verdict != fileset.Violations || !strings.Contains(rules(r), ruleSet.name) {
		t.Errorf("no document: %v %s", r.Verdict, rules(r))
	}
}

// Whatever we write, we read: a package whose metadata would be over the limits of a reader is refused before it is sent.
func TestManyWritten(t *testing.T) {
	docs := func(n int, title string) Letter {
		var out []Input
		for i := range n {
			out = append(out, input(fmt.Sprintf("%s %d", title, i), "text/plain", "x"))
		}
		return letter(t, out...)
	}
	l := docs(maxWritten, "A")
	if r := check(t, write(t, l)); r.Verdict != fileset.Complete || r.Found != len(l.Documents) {
		t.Errorf("%v, %d found, %s", r.Verdict, r.Found, rules(r))
	}
	l = docs(700, strings.Repeat("é", 1900))
	l.Patient.Name, l.Patient.Address = strings.Repeat("n", 4000), strings.Repeat("a", 4000)
	if _, err := Prepare(context.Background(), l); err == nil || !strings.Contains(err.Error(), "several packages") {
		t.Errorf("metadata without end: %v", err)
	}
}

// The limits are those of a package, however many submission sets it is cut into. ATT-32.
func TestManySets(t *testing.T) {
	one := described("gone", "other")
	i, j := strings.Index(one, "<ns2:ExtrinsicObject"), strings.Index(one, "<ns2:RegistryPackage")
	long := strings.Replace(one, "<ns2:RegistryPackage", "<!--"+strings.Repeat(" ", maxMetadata/5)+"--><ns2:RegistryPackage", 1)
	many := one[:i] + strings.Repeat(`<ExtrinsicObject/>`, maxDocuments/5) + one[j:]
	for name, metadata := range map[string]string{"octets": long, "documents": many} {
		var files []packed
		for n := range 6 {
			files = append(files, packed{fmt.Sprintf("IHE_XDM/S%d/METADATA.XML", n), metadata})
		}
		r := check(t, archive(t, files...))
		if r.Verdict != fileset.Damaged || r.Documents > maxDocuments {
			t.Errorf("%s: %v, %d documents, %s", name, r.Verdict, r.Documents, rules(r))
		}
	}
}

// Entries and files that are all the same document take no longer for being many: each file belongs to one entry.
func TestManyAlike(t *testing.T) {
	one := described("", "x")
	i, j := strings.Index(one, "<ns2:ExtrinsicObject"), strings.Index(one, "<ns2:RegistryPackage")
	const n = 1500
	files := []packed{{"IHE_XDM/SUBSET01/METADATA.XML", one[:i] + strings.Repeat(one[i:j], n) + one[j:]}}
	for k := range n {
		files = append(files, packed{fmt.Sprintf("IHE_XDM/SUBSET01/F%d", k), "x"})
	}
	r := check(t, archive(t, files...))
	if r.Found != n || len(r.Other) > 0 {
		t.Errorf("%d found, %d others", r.Found, len(r.Other))
	}
	for _, set := range r.Sets {
		seen := map[string]bool{}
		for _, d := range set.Documents {
			if seen[d.File] {
				t.Fatalf("%s belongs to two entries", d.File)
			}
			seen[d.File] = true
		}
	}
	// Identifiers of a patient without end.
	ids := strings.Repeat("a~b~c~", 10_000)
	var list strings.Builder
	for k := range 200 {
		fmt.Fprintf(&list, "<Value>PID-3|%d~%s</Value>", k, ids[:3000])
	}
	odd := strings.Replace(one, "<ns2:Slot", `<Slot name="sourcePatientInfo"><ValueList>`+list.String()+"</ValueList></Slot><ns2:Slot", 1)
	start := time.Now()
	check(t, archive(t, packed{"IHE_XDM/SUBSET01/METADATA.XML", odd}))
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

// Documents about several persons are not shown as if they were about one; what is said of one in many words and in few is.
func TestPatients(t *testing.T) {
	ann := Patient{Name: "Berg^Ann", Birth: "19800229", IDs: []Identifier{{"1.2.3", "4711"}}}
	for _, c := range []struct {
		set  Patient
		docs []Patient
		want string
	}{
		{Patient{}, []Patient{{Name: "Berg^Ann"}, {Name: "Olsen^Per Henrik"}}, "Ann Berg|Per Henrik Olsen"},
		{Patient{Name: "Berg^Ann"}, []Patient{ann, {IDs: ann.IDs}, {}}, "Ann Berg, born 1980-02-29, 4711"},
		{ann, []Patient{{Name: "BERG^ANN"}, {Name: "Berg^Ann", Birth: "19800301"}}, "Ann Berg, born 1980-02-29, 4711|Ann Berg, born 1980-03-01"},
		{ann, []Patient{{IDs: []Identifier{{"1.2.3", "4712"}}}}, "Ann Berg, born 1980-02-29, 4711|4712"},
		{Patient{}, []Patient{{}, {}}, ""},
	} {
		s, got := SubmissionSet{Patient: c.set}, []string(nil)
		for _, p := range c.docs {
			s.Documents = append(s.Documents, Document{Patient: p})
		}
		for _, p := range s.Patients() {
			got = append(got, p.Spoken())
		}
		if out := strings.Join(got, "|"); out != c.want {
			t.Errorf("%s, want %s", out, c.want)
		}
	}
}

// What makes a package unusable is told first, however much there is to say of its form.
func TestWorstFirst(t *testing.T) {
	r := check(t, archive(t, packed{"x/IHE_XDM/s/METADATA.XML", described("DOC0001.XML", "other")}, packed{"x/IHE_XDM/s/DOC0001.XML", body}))
	if r.Verdict != fileset.Damaged || len(r.Findings) < 3 || r.Findings[0].Severity != fileset.Damage {
		t.Errorf("%+v", r.Findings)
	}
}
