package auditor

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"carepost/atna"
	"carepost/internal/audit"
	"carepost/internal/transit"
)

var us = Source{ID: "mx.north.example", Site: "north.example", Host: "mx.north.example"}

func entry(action string, detail map[string]string) audit.Record {
	return audit.Record{Entry: audit.Entry{Actor: "local:root", Action: action, Object: "thing:1", Detail: detail}, ID: "01J", Seq: 1,
		At: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), State: audit.Whole}
}

// What an act is told as; "" is nothing. Whatever is missing of its detail, what is told has all that its kind must have.
func TestKinds(t *testing.T) {
	for action, want := range map[string]string{
		"recipient.hand-over": "Export", "recipient.open": "Import", "intake.close": "DICOM Instances Transferred", "intake.send": "", "intake.show": "", "intake.drop": "",
		"study.hand-over": "DICOM Instances Transferred", "study.leave": "", "handover.show": "", "handover.retry": "",
		"recipient.set-aside": "Security Alert/Node Authentication",
		"account.sign-in":     "User Authentication/Login", "account.sign-in-refuse": "User Authentication/Login",
		"gateway.start": "Application Activity/Application Start", "gateway.stop": "Application Activity/Application Stop",
		"audit.export": "Audit Log Used", "key.export": "Security Alert/Use of Restricted Function",
		"backup.create": "Security Alert/Use of Restricted Function", "body.damaged": "Security Alert/Object Security Attributes Changed",
		"account.create": "Security Alert/User Security Attributes Changed", "anchor.add": "Security Alert/Security Configuration",
		"key.rotate": "Security Alert/Security Configuration", "certificate.revoke": "Security Alert/Security Configuration",
		"anchor.list": "", "account.list": "", "queue.show": "", "trust.explain": "", "mail.open": "", "message.accept": "", "nonsense": "", "": "",
	} {
		for _, state := range []audit.State{audit.Whole, audit.Erased} {
			r := entry(action, nil)
			r.State = state
			ms, err := us.Messages(r, atna.MaxMessage)
			got := ""
			for _, m := range ms {
				got = m.Event.ID.Meaning
				if len(m.Event.Types) > 0 {
					got += "/" + m.Event.Types[0].Meaning
				}
				if err := m.Check(); err != nil {
					t.Errorf("%s: %v", action, err)
				}
			}
			if err != nil || got != want || len(ms) > 1 {
				t.Errorf("%s: %q, want %q, %v", action, got, want, err)
			}
		}
	}
}

// An entry of the log that is not what was written is told, and nothing that it claims.
func TestBrokenEntry(t *testing.T) {
	r := entry("recipient.hand-over", map[string]string{"to": "desk@south.example"})
	r.Object, r.State = "recipient:forged", audit.Broken
	ms, err := us.Messages(r, atna.MaxMessage)
	if err != nil || len(ms) != 1 || ms[0].Event.Outcome != atna.SeriousFailure {
		t.Fatal(ms, err)
	}
	text, err := ms[0].XML()
	if err != nil || !strings.Contains(string(text), "urn:x-carepost:audit:01J") || strings.Contains(string(text), "forged") || strings.Contains(string(text), "south") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestReportsAreNoDisclosure(t *testing.T) {
	for _, action := range []string{"recipient.hand-over", "recipient.open"} {
		if ms, err := us.Messages(entry(action, map[string]string{"report": "yes"}), atna.MaxMessage); len(ms) != 0 || err != nil {
			t.Error(action, ms, err)
		}
	}
}

// What came before is told once; what somebody has put into a report is told; what a rule keeps from the mailbox is told as such. A password
// that was wrong is a minor failure (RFC 3881 §5.1.4). Exactly one participant began each.
func TestOutcomes(t *testing.T) {
	const subjects = `{"patients":[{"id":"4711"}]}`
	for i, tc := range []struct {
		action  string
		detail  map[string]string
		outcome int // -1: not told
	}{
		{"recipient.open", map[string]string{"repeat": "yes", "subjects": subjects}, -1},
		{"recipient.open", map[string]string{"report": "yes", "subjects": subjects}, 0},
		{"recipient.hand-over", map[string]string{"report": "yes", "subjects": subjects, "from": "a@north.example"}, 0},
		{"recipient.hand-over", map[string]string{"to": "a@north.example"}, 0},
		{"recipient.open", map[string]string{"refused": "no ZIP is taken"}, 8},
		{"account.sign-in", nil, 0},
		{"account.sign-in-refuse", nil, 4},
	} {
		ms, err := us.Messages(entry(tc.action, tc.detail), atna.MaxMessage)
		if err != nil || len(ms) != min(tc.outcome+1, 1) {
			t.Fatal(i, len(ms), err)
		}
		for _, m := range ms {
			if err := m.Check(); err != nil || int(m.Event.Outcome) != tc.outcome {
				t.Error(i, m.Event.Outcome, err)
			}
		}
	}
}

// A stranger's Message-ID and reason of any length leave room for the rest.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("\"ü", 40000)
	for action, detail := range map[string]map[string]string{
		"recipient.open":      {"message-id": long},
		"recipient.set-aside": {"reason": long},
	} {
		ms, err := us.Messages(entry(action, detail), atna.MaxMessage)
		if err != nil || len(ms) != 1 {
			t.Fatal(len(ms), err)
		}
		if text, err := ms[0].XML(); err != nil || len(text) > 8192 {
			t.Errorf("%s: %d octets, %v", action, len(text), err)
		}
	}
}

// A stranger's set of ten thousand studies, with texts of any length and kind, is told in messages that every receiver takes.
func TestHostileSubjects(t *testing.T) {
	var s transit.Subjects
	for range 100 {
		p := transit.Patient{ID: strings.Repeat("ü", 70000), Name: "<&\x00"}
		for range 100 {
			p.Studies = append(p.Studies, transit.Study{UID: strings.Repeat("9", 5000), Classes: map[string]int{"1.2": 3, "\xff": -1}})
		}
		s.Patients = append(s.Patients, p)
	}
	s = s.Bounded()
	text, err := json.Marshal(s)
	if err != nil || len(text) > 1<<20 || s.Left == 0 {
		t.Fatal(len(text), s.Left, err)
	}
	a, err := New(Options{Log: audit.Cursor{}, Server: "x:1", Source: us})
	if err != nil {
		t.Fatal(err)
	}
	frames := a.frames(entry("recipient.open", map[string]string{"from": "a@south.example", "to": "b@north.example", "subjects": string(text)}))
	for _, f := range frames {
		if len(f) > atna.MaxMessage+6 {
			t.Errorf("%d octets", len(f))
		}
	}
	if len(frames) < 2 || !strings.Contains(string(frames[0]), "more patients and studies") {
		t.Error(len(frames))
	}
	// What is kept does not read: it is told all the same that the letter came.
	if frames = a.frames(entry("recipient.open", map[string]string{"subjects": "{"})); len(frames) != 1 {
		t.Error(len(frames))
	}
}

func TestEvents(t *testing.T) {
	a, err := New(Options{Log: audit.Cursor{}, Server: "x:1", Source: us, Events: Events{NoExport: true, NoActivity: true}})
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]int{"recipient.hand-over": 0, "gateway.start": 0, "recipient.open": 1, "anchor.add": 1} {
		if got := a.frames(entry(action, nil)); len(got) != want {
			t.Errorf("%s: %d", action, len(got))
		}
	}
	for _, o := range []Options{{}, {Log: audit.Cursor{}, Server: "x:1"}, {Log: audit.Cursor{}, Server: "x:1", Source: Source{ID: "x", Host: "a b"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}

// A study that a device has handed in is told with both titles, the patient and what was transferred (A.5.3.7).
func TestTransferred(t *testing.T) {
	ms, err := us.Messages(entry("intake.close", map[string]string{"calling": "CT1", "called": "TO_SOUTH", "peer": "10.1.0.9", "via": "dimse",
		"subjects": `{"patients":[{"id":"4711","name":"Berg^Ann","studies":[{"uid":"2.25.1","classes":{"1.2.840.10008.5.1.4.1.1.2":3}}]}]}`}), atna.MaxMessage)
	if err != nil || len(ms) != 1 || ms[0].Check() != nil {
		t.Fatal(ms, err)
	}
	text, err := ms[0].XML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"110104", "AETITLES=CT1", "AETITLES=TO_SOUTH", "10.1.0.9", "4711", "2.25.1", "1.2.840.10008.5.1.4.1.1.2"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it does not tell %s: %s", want, text)
		}
	}
}

// A study that an archive took is told with both titles, its host and the patient; one that it took in part as a failure, and one that
// nobody took not at all (A.5.3.7).
func TestGiven(t *testing.T) {
	detail := func(more ...string) map[string]string {
		d := map[string]string{"calling": "CAREPOST", "called": "ARCHIVE", "host": "pacs.north.example", "destination": "pacs", "tls": "yes",
			"subjects": `{"patients":[{"id":"4711","name":"Berg^Ann","studies":[{"uid":"2.25.1","classes":{"1.2.840.10008.5.1.4.1.1.2":3}}]}]}`}
		for i := 0; i < len(more); i += 2 {
			d[more[i]] = more[i+1]
		}
		return d
	}
	told := func(action string, d map[string]string) string {
		t.Helper()
		ms, err := us.Messages(entry(action, d), atna.MaxMessage)
		if err != nil || len(ms) > 1 {
			t.Fatal(ms, err)
		}
		if len(ms) == 0 {
			return ""
		}
		text, err := ms[0].XML()
		if err != nil || ms[0].Check() != nil {
			t.Fatal(err, ms[0].Check())
		}
		return string(text)
	}
	done := told("study.hand-over", detail())
	for _, want := range []string{"110104", "AETITLES=CAREPOST", "AETITLES=ARCHIVE", "pacs.north.example", "4711", "2.25.1", "<Encrypted>true", `EventOutcomeIndicator="0"`} {
		if !strings.Contains(done, want) {
			t.Errorf("it does not tell %s: %s", want, done)
		}
	}
	if plain := told("study.hand-over", detail("tls", "", "host", "10.1.0.9", "called", "")); strings.Contains(plain, "<Encrypted>true") || !strings.Contains(plain, `UserID="pacs"`) ||
		!strings.Contains(plain, `NetworkAccessPointTypeCode="2"`) {
		t.Errorf("%s", plain)
	}
	if part := told("study.hand-over-fail", detail("taken", "2")); !strings.Contains(part, `EventOutcomeIndicator="4"`) || !strings.Contains(part, "2 instances") {
		t.Errorf("%s", part)
	}
	for _, taken := range []string{"", "0"} {
		if none := told("study.hand-over-fail", detail("taken", taken)); none != "" {
			t.Errorf("%s", none)
		}
	}
}
