package atna

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 11, 22, 10, 0, 0, 250_000_000, time.UTC)

func export() Message {
	return Message{
		Event: Event{ID: Export, Action: Read, At: at},
		Participants: []Participant{
			{UserID: "desk@north.example", Requestor: true, Place: "desk@north.example", PlaceType: Email, Roles: []Code{SourceRole}},
			{UserID: "mx.north.example", Alternative: "carepost", Roles: []Code{SourceRole}},
			{UserID: "desk@south.example", Place: "mx.south.example", PlaceType: Machine, Roles: []Code{Destination}},
			{UserID: "desk@south.example", Place: "desk@south.example", PlaceType: Email, Roles: []Code{DestinationMedia}, Media: &Media{Mail}},
		},
		Source: Source{ID: "mx.north.example", Site: "north.example", Type: &Kind{"4"}},
	}
}

func imported() Message {
	m := export()
	m.Event.ID, m.Event.Action, m.Event.Types = Import, Create, []Code{ITI32}
	m.Participants[3].Roles = []Code{SourceMedia}
	return m
}

func alert() Message {
	return Message{
		Event:        Event{ID: SecurityAlert, Action: Execute, At: at, Outcome: SeriousFailure, Types: []Code{NodeAuthentication}},
		Participants: []Participant{{UserID: "mx.north.example", Requestor: true}, {UserID: "x", Place: "192.0.2.7", PlaceType: IP}},
		Source:       Source{ID: "mx.north.example"},
		Objects:      []Object{Alert("urn:x-carepost:recipient:1", "the signer is not trusted <&\"> ü\x00\x0b")},
	}
}

func signIn() Message {
	return Message{
		Event:        Event{ID: UserAuthentication, Action: Execute, At: at, Types: []Code{Login}, Words: "wrong\x1b password"},
		Participants: []Participant{{UserID: "desk@north.example", Requestor: true, Place: "192.0.2.7", PlaceType: IP}, {UserID: "mx"}},
		Source:       Source{ID: "mx.north.example"},
	}
}

func activity() Message {
	return Message{
		Event:        Event{ID: ApplicationActivity, Action: Execute, At: at, Types: []Code{ApplicationStart}},
		Participants: []Participant{{UserID: "mx", Roles: []Code{Application}}},
		Source:       Source{ID: "mx.north.example"},
	}
}

// about is m about somebody.
func about(m Message) Message {
	m.Objects = []Object{Patient{ID: "4711"}.object(Disclosed)}
	return m
}

func logUsed() Message {
	return Message{
		Event:        Event{ID: AuditLogUsed, Action: Read, At: at},
		Participants: []Participant{{UserID: "local:root", Requestor: true}},
		Source:       Source{ID: "mx.north.example"},
		Objects:      []Object{Log("urn:x-carepost:audit")},
	}
}

var lee = Patient{ID: "4711", Name: "Lee^Kim ", Studies: []Study{
	{UID: "1.2.3", Accession: "A1", Classes: []Class{{"1.2.840.10008.5.1.4.1.1.2", 120}, {"1.2.840.10008.5.1.4.1.1.7", 1}}},
	{UID: "1.2.4"},
}}

// Everything that is composed is valid by the schema of PS3.15 A.5.1.1, whatever strangers have put into its texts: jing judges.
func TestSchema(t *testing.T) {
	if _, err := exec.LookPath("jing"); err != nil {
		t.Fatal("jing is missing: scripts/peers installs it")
	}
	dir := t.TempDir()
	all := []Message{alert(), signIn(), activity(), logUsed(), about(export()), about(imported())}
	hostile := Patient{ID: "]]><!--\x00\"'&", Name: "\ufffe\xff\xfe<x>", Studies: []Study{{UID: "", Accession: "\t\n", Classes: []Class{
		{"1.2 ", 1}, {"\xff", -1}, {"1.02", 3}, {"3.1", 1}, {"1..2", 1}, {strings.Repeat("1.", 40) + "1", 1}, {"", 2}}}}}
	for _, m := range []Message{export(), imported()} {
		m.Objects = []Object{Letter("<1@north.example>", Disclosed)}
		ms, err := m.About([]Patient{lee, hostile, {}}, Disclosed, true, 1500)
		if err != nil || len(ms) < 2 {
			t.Fatal(len(ms), err)
		}
		all = append(all, ms...)
	}
	args := []string{"-c", filepath.Join("testdata", "audit-message.rnc")}
	for i, m := range all {
		text, err := m.XML()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		name := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.Command("jing", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The schema says no at all.
	bad := filepath.Join(dir, "bad.xml")
	text, _ := about(export()).XML()
	if err := os.WriteFile(bad, bytes.Replace(text, []byte("csd-code"), []byte("code"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("jing", args[0], args[1], bad).Run(); err == nil {
		t.Error("the schema takes a message without a code")
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		m    Message
		do   func(*Message)
		want string
	}{
		"nothing":               {Message{}, func(*Message) {}, "event"},
		"another event":         {export(), func(m *Message) { m.Event.ID = dcm("110105", "DICOM Study Deleted") }, "110105"},
		"export that writes":    {export(), func(m *Message) { m.Event.Action = Create }, "A.5.3.4: another action"},
		"import that reads":     {imported(), func(m *Message) { m.Event.Action = Read }, "A.5.3.5: another action"},
		"no time":               {export(), func(m *Message) { m.Event.At = time.Time{} }, "no time"},
		"no source":             {export(), func(m *Message) { m.Source.ID = "" }, "no audit source"},
		"nobody began it":       {export(), func(m *Message) { m.Participants[0].Requestor = false }, "exactly one"},
		"two began it":          {export(), func(m *Message) { m.Participants[1].Requestor = true }, "exactly one"},
		"no medium":             {export(), func(m *Message) { m.Participants = m.Participants[:3] }, "medium"},
		"two media":             {export(), func(m *Message) { m.Participants[2] = m.Participants[3] }, "medium"},
		"medium without type":   {export(), func(m *Message) { m.Participants[3].Media = &Media{} }, "medium"},
		"medium that began it":  {export(), func(m *Message) { m.Participants[0].Requestor, m.Participants[3].Requestor = false, true }, "medium"},
		"nobody exported":       {export(), func(m *Message) { m.Participants[0].Roles, m.Participants[1].Roles = nil, nil }, "Source Role"},
		"nobody imported":       {imported(), func(m *Message) { m.Participants[2].Roles = nil }, "Destination Role"},
		"participant no name":   {export(), func(m *Message) { m.Participants[2].UserID = "" }, "without name"},
		"place without kind":    {export(), func(m *Message) { m.Participants[2].PlaceType = 0 }, "place"},
		"kind without place":    {export(), func(m *Message) { m.Participants[2].Place = "" }, "place"},
		"object without name":   {export(), func(m *Message) { m.Objects = append(m.Objects, Object{IDType: StudyUID}) }, "an object without name"},
		"object without type":   {export(), func(m *Message) { m.Objects = append(m.Objects, Object{ID: "1.2.3"}) }, "an object without name"},
		"export about nobody":   {export(), func(m *Message) { m.Objects = nil }, "A.5.3.4: no object"},
		"import of a study":     {imported(), func(m *Message) { m.Objects = []Object{{ID: "1.2.3", IDType: StudyUID}} }, "A.5.3.5: no object"},
		"alert without type":    {alert(), func(m *Message) { m.Event.Types = nil }, "A.5.3.11: no type"},
		"alert about nothing":   {alert(), func(m *Message) { m.Objects = nil }, "no object"},
		"alert about a patient": {alert(), func(m *Message) { m.Objects[0].IDType = PatientNumber }, "no object"},
		"sign-in by nobody":     {signIn(), func(m *Message) { m.Participants = nil }, "exactly one"},
		"start without role":    {activity(), func(m *Message) { m.Participants[0].Roles = nil }, "Application"},
		"log used, not named":   {logUsed(), func(m *Message) { m.Objects = nil }, "no object"},
	} {
		m := tc.m
		if id := m.Event.ID; id == Export || id == Import {
			m = about(m)
		}
		tc.do(&m)
		_, err := m.XML()
		if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "@") {
			t.Errorf("%s: the error names somebody: %v", name, err)
		}
	}
}

// A set of many patients and studies is told in messages of which each has its patient, and none is longer than it may be.
func TestAboutDivides(t *testing.T) {
	var many []Patient
	for i := range 40 {
		p := Patient{ID: fmt.Sprint("P", i)}
		for j := range i {
			p.Studies = append(p.Studies, Study{UID: fmt.Sprintf("1.2.%d.%d", i, j), Classes: []Class{{"1.2.840.10008.5.1.4.1.1.2", j}}})
		}
		many = append(many, p)
	}
	const most = 4000
	ms, err := export().About(many, Exported, true, most)
	if err != nil {
		t.Fatal(err)
	}
	patients, studies := map[string]bool{}, map[string]bool{}
	for i, m := range ms {
		text, err := m.XML()
		if err != nil || len(text) > most {
			t.Errorf("message %d: %d octets, %v", i, len(text), err)
		}
		if m.Objects[0].IDType != PatientNumber {
			t.Errorf("message %d begins with a study", i)
		}
		who := ""
		for _, o := range m.Objects {
			switch o.IDType {
			case PatientNumber:
				who = o.ID
				patients[who] = true
			case StudyUID:
				if studies[o.ID] || !strings.HasPrefix(o.ID, "1.2."+who[1:]+".") {
					t.Errorf("study %s is told under %s, or twice", o.ID, who)
				}
				studies[o.ID] = true
			}
		}
	}
	if len(patients) != 40 || len(studies) != 40*39/2 || len(ms) > 280 {
		t.Errorf("%d patients, %d studies in %d messages", len(patients), len(studies), len(ms))
	}
}

// Of whom nothing is known is told as a patient all the same: PS3.15 A.5.3.4 and A.5.3.5 want one.
func TestAboutNobody(t *testing.T) {
	m := export()
	m.Objects = []Object{Letter("<1@north.example>", Disclosed)}
	ms, err := m.About(nil, Disclosed, true, 4000)
	if err != nil || len(ms) != 1 || len(ms[0].Objects) != 2 || ms[0].Objects[1].ID != "unknown" || ms[0].Objects[1].IDType != PatientNumber || ms[0].Check() != nil {
		t.Errorf("%+v, %v", ms, err)
	}
}

// A study of very many SOP Classes is told in several objects: a server that takes what the standard demands takes every message. What is
// no UID is counted, and not repeated.
func TestAboutManyClasses(t *testing.T) {
	s := Study{UID: "1.2.3", Classes: []Class{{"no UID", 5}, {"1.2.", 6}}}
	for i := range 1000 {
		s.Classes = append(s.Classes, Class{fmt.Sprintf("1.2.840.10008.%d.%s9", i, strings.Repeat("1.", 20)), 1})
	}
	ms, err := export().About([]Patient{{ID: "4711", Studies: []Study{s}}}, Disclosed, true, MaxMessage-400)
	if err != nil || len(ms) < 2 {
		t.Fatal(len(ms), err)
	}
	n, classes := 0, 0
	for _, m := range ms {
		text, err := m.XML()
		if err != nil || len(text) > MaxMessage || m.Objects[0].ID != "4711" {
			t.Errorf("%d octets about %s, %v", len(text), m.Objects[0].ID, err)
		}
		for _, o := range m.Objects[1:] {
			for _, c := range o.About.Classes {
				n += c.Instances
				classes++
			}
		}
	}
	if n != 1011 || classes != 1001 {
		t.Errorf("%d instances of %d classes", n, classes)
	}
}

func TestFrame(t *testing.T) {
	b, err := Frame(Header{at, "mx.north.example", "carepost"}, []byte("<AuditMessage/>"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "<85>1 2026-11-22T10:00:00.250Z mx.north.example carepost - DICOM+RFC3881 - \xef\xbb\xbf<AuditMessage/>"
	if got := string(b); got != fmt.Sprintf("%d %s", len(want), want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if b, err = Frame(Header{At: at}, nil); err != nil || !strings.Contains(string(b), "Z - - - DICOM") {
		t.Errorf("%q, %v", b, err)
	}
	for _, h := range []Header{{Host: "a b"}, {Host: "ü"}, {App: "x\n"}, {Host: strings.Repeat("x", 256)}, {App: strings.Repeat("x", 49)}} {
		if _, err := Frame(h, nil); !errors.Is(err, ErrName) {
			t.Errorf("%.20q: %v", h, err)
		}
	}
	h := Header{at, strings.Repeat("h", 255), strings.Repeat("a", 48)}
	b, err = Frame(h, make([]byte, Room(h)))
	if n := len(b) - len("32768 "); err != nil || n > MaxMessage {
		t.Errorf("%d octets, %v", n, err)
	}
}

// Whatever the texts are, the result is one XML document that says what was meant.
func FuzzMessage(f *testing.F) {
	f.Add("4711", "Lee^Kim", "1.2.3", "A1")
	f.Add("\x00", "]]>", "\xff", "<!DOCTYPE x>")
	f.Fuzz(func(t *testing.T, id, name, uid, accession string) {
		ms, err := export().About([]Patient{{ID: id, Name: name, Studies: []Study{{UID: uid, Accession: accession}, {UID: uid}}}}, Disclosed, true, 2000)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			text, err := m.XML()
			if err != nil {
				t.Fatal(err)
			}
			var back Message
			if err := xml.Unmarshal(text, &back); err != nil {
				t.Fatalf("%v\n%q", err, text)
			}
			if len(back.Objects) != len(m.Objects) || len(back.Participants) != 4 || back.Event.ID != Export {
				t.Errorf("%d objects, want %d", len(back.Objects), len(m.Objects))
			}
		}
	})
}
