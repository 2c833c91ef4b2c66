package statement

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"carepost/dicom"
	"carepost/dicom/deid"
	"carepost/dicom/dimse"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// DCM-03, PS3.11 X.3.1: what is supported is listed, all of it, and as the tables have it.
func TestSaysWhatTheTablesSay(t *testing.T) {
	s := New("1")
	var b bytes.Buffer
	if err := s.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	once := func(line string) {
		t.Helper()
		if n := strings.Count(text, line); n != 1 {
			t.Errorf("%d times: %q", n, line)
		}
	}
	tables := fileset.NewTables()
	records := make(map[string]bool)
	for _, r := range tables.Records {
		records[r.Type] = true
		_, part, ok := strings.Cut(text, "\n### "+r.Type+"\n")
		part, _, _ = strings.Cut(part, "\n#")
		if !ok {
			t.Errorf("no record %s", r.Type)
		}
		for _, k := range r.Keys {
			line := "| " + strings.Join([]string{k.Name, k.Tag.String(), k.Type, strings.ReplaceAll(k.Supplied, "|", `\|`)}, " | ") + " |"
			if k.Name == "" || !strings.Contains(part, line) {
				t.Errorf("%s: no %q", r.Type, line)
			}
		}
	}
	for _, c := range tables.Classes {
		once("| " + storage(c.Name) + " | " + c.UID + " | " + c.Record + " |")
		if !records[c.Record] || c.Name != fileset.ClassName(c.UID) {
			t.Errorf("%s has no record, or another name: %+v", c.UID, c)
		}
	}
	for _, o := range deid.Options() {
		once("| " + o.Code + " | " + o.Meaning + " | Yes |")
	}
	for _, o := range deid.NotOffered() {
		once("| " + o.Code + " | " + o.Meaning + " | No |")
	}
	for _, c := range tables.Classes {
		if !dimse.IsStorage(c.UID) {
			t.Errorf("%s is packed, and is not taken from devices", c.Name)
		}
	}
	for _, x := range dicom.Syntaxes() {
		once("| " + x.Name + " | " + x.UID + " | ")
	}
	for _, c := range dicom.CharacterSets() {
		once("| " + dash(c.Term) + " | " + dash(c.Extended) + " | " + c.Description + " |")
	}
	for _, p := range zipmail.Profiles() {
		once("| " + p.String() + " | " + p.Description() + " | FSC, FSR | ")
	}
	for i, c := range fileset.Conflicts() {
		if x := s.Conflicts[i]; x.Name != string(c) || x.Text == "" || x.Effect == "" {
			t.Errorf("%s is told in no words: %+v", c, x)
		}
	}
	for _, want := range []string{zipmail.ContentType, zipmail.Disposition, zipmail.SubjectPhrase, tables.ImplementationUID, tables.PrivateRecordUID} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile(`(?i)todo|owed|%!`).FindString(line); m != "" {
			t.Errorf("%s in %q", m, line)
		}
	}
}

// Every table has as many cells in each row as its head has, and JSON says what the text says.
func TestForms(t *testing.T) {
	s := New("1")
	if len(s.Network) == 0 || len(s.Privacy) == 0 {
		t.Error("nothing of the network, or of de-identification")
	}
	s.Network = []Entity{{Name: "STORE", Purpose: "takes images", Services: []Service{{Name: "Verification", UID: "1.2.840.10008.1.1", Provider: true}},
		Parameters: []Parameter{{"PDU", "16 KiB"}}}}
	s.Privacy = []Option{{"113100", "Basic Application Confidentiality Profile", true}}
	var b bytes.Buffer
	if err := s.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	cells := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if cells != 0 && n != cells {
			t.Errorf("%d bars rather than %d: %s", n, cells, line)
		}
		cells = n
	}
	for _, want := range []string{"| Verification | No | Yes |", "| PDU | 16 KiB |", "| 113100 | Basic"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Statement
	if err := json.Unmarshal(j, &back); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := back.Markdown(&again); err != nil || again.String() != b.String() {
		t.Errorf("JSON says something else: %v", err)
	}
}
