package flow_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/message"
)

// study is a mail from from to to with a File-set of one image, by a profile.
func study(t *testing.T, from, to addr.Address, p zipmail.Profile, subject string) string {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = "../../../shared/testdata"
	}
	plan, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, filepath.Join(dir, "dicom", "files", "io8.dcm"))
	if err != nil {
		t.Fatalf("the shared test data is wanted at %s; set CAREPOST_TESTDATA: %v", dir, err)
	}
	letters++
	id, err := message.NewMessageID(bytes.NewReader(bytes.Repeat([]byte{byte(letters), byte(letters >> 8)}, 64)), from.Domain)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = zipmail.Compose(t.Context(), &out, zipmail.Letter{From: from, To: []addr.Address{to}, Subject: subject, Text: "Please look at the left side.\n", Profile: p,
		Date: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), MessageID: id}, plan, "=_cut", nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Without protection leaves what a rule lets leave so and its sender has chosen to send so, a File-set; it says so in its header and its text,
// in the timeline and in the audit. All else is refused, with the remedy. PS3.11 X.1, DCM-01, DCM-08, DCM-32. ATT-43.
func TestUnprotectedLeaves(t *testing.T) {
	const remedy = "--profile gen"
	for name, tc := range map[string]struct {
		form    rule.Form
		profile zipmail.Profile
		subject string
		edit    func(string) string
		want    string // of the report that the sender gets; "clear": it goes so; "sealed"
	}{
		"as both have chosen": {rule.Plain, zipmail.Gen, "phantom", nil, "clear"},
		"by the subject":      {rule.Plain, zipmail.GenSec, "DICOM-ZIP STD-GEN-ZIP-MAIL phantom", nil, "clear"},
		"an answer to such":   {rule.Plain, zipmail.GenSec, "Re: DICOM-ZIP STD-GEN-ZIP-MAIL phantom", nil, remedy},
		"the sender has not":  {rule.Plain, zipmail.GenSec, "phantom", nil, remedy},
		"dental":              {rule.Plain, zipmail.Dental, "phantom", nil, remedy},
		"another profile is named": {rule.Plain, zipmail.Gen, "STD-GEN-ZIP-MAIL", func(s string) string {
			return strings.Replace(s, zipmail.ProfileField+": STD-GEN-ZIP-MAIL", zipmail.ProfileField+": STD-GEN-SEC-ZIP-MAIL", 1)
		}, remedy},
		"the operator has not": {rule.Direct, zipmail.Gen, "phantom", nil, "sealed"},
		"nothing is said":      {0, zipmail.Gen, "phantom", nil, "sealed"},
		"a letter":             {rule.Plain, zipmail.Gen, "", func(string) string { return zipmail.ProfileField + ": STD-GEN-ZIP-MAIL\r\n" + letter(desk, "x", lab) }, "File-set alone"},
		"a package": {rule.Plain, zipmail.Gen, "", func(string) string {
			return zipmail.ProfileField + ": STD-GEN-ZIP-MAIL\r\n" + parcelOf(t, "multipart/mixed", desk, lab, "4711")
		}, "alone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			r := packed(tc.form, lab.Domain)
			if tc.want == "names a patient" {
				r.Sets = rule.AsTheyAre // else it is refused when it is submitted (DCM-31)
			}
			s.Rules = rule.Rules{r}
			wire := s.wire()
			text := study(t, desk, lab, tc.profile, tc.subject)
			if tc.edit != nil {
				text = tc.edit(text)
			}
			if !strings.Contains(text, "Received") {
				text = "Received: from pc.inside.example by x; Sat, 21 Nov 2026 10:00:00 +0000\r\nX-Carepost-Protection: sealed\r\n" +
					"Thread-Topic: of one inside.example\r\nX-Originating-IP: inside.example\r\nKeywords: inside.example\r\nComments: inside.example\r\n" +
					"Disposition-Notification-To: desk@north.example\r\n" + text
			}
			id := s.submitText(text, lab)
			s.step("outbound")
			if tc.want != "clear" && tc.want != "sealed" {
				mails := s.inbox()
				if r := s.recipient(id, lab); r.State != transit.Failed || len(mails) != 1 ||
					!strings.Contains(strings.ReplaceAll(strings.ReplaceAll(s.text(mails[0]), "=\r\n", ""), "\r\n ", " "), tc.want) || s.works("deliver") != 0 {
					t.Errorf("%q, %d reports\n%s", r.State, len(mails), s.told(id))
				}
				return
			}
			s.step("deliver")
			if len(*wire) != 1 {
				t.Fatalf("%d letters", len(*wire))
			}
			got := (*wire)[0]
			if tc.want == "sealed" {
				if strings.Contains(got, "DICOMDIR") || !strings.Contains(got, "enveloped-data") || strings.Contains(got, zipmail.ProfileField) {
					t.Errorf("%.500s", got)
				}
				return
			}
			marked(t, got)
			if !strings.Contains(got, "Disposition-Notification-To: desk@") {
				t.Errorf("asks for no notice:\n%.800s", got)
			}
			if strings.Contains(got, "inside.example") || strings.Contains(got, "X-Carepost") {
				t.Errorf("tells of the house:\n%.800s", got)
			}
			if r := s.recipient(id, lab); r.State != transit.Relayed || !strings.Contains(s.told(id), "unprotected: neither encrypted nor signed") {
				t.Errorf("%q\n%s", r.State, s.told(id))
			}
			if d := s.detail("recipient.hand-over"); d["protection"] != "none" {
				t.Errorf("audited: %v", d)
			}
			if s.audited("recipient.expose") != 1 || s.audited("recipient.seal") != 0 {
				t.Error("the audit says otherwise")
			}
		})
	}
}

// marked says that a mail is what it was, with its marks.
func marked(t *testing.T, got string) {
	t.Helper()
	root, err := message.Parse(strings.NewReader(got), int64(len(got)), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if h := root.Header; h.Count(zipmail.ProfileField) != 1 || !strings.HasPrefix(h.Get(zipmail.ProfileField), "STD-GEN-ZIP-MAIL") || !zipmail.HasPhrase(h.Text("Subject")) || h.Count("Subject") != 1 {
		t.Errorf("%s", h.Bytes())
	}
	if !strings.Contains(got, "\r\n\r\n"+zipmail.UnprotectedNote+"Please look at the left side.") {
		t.Errorf("the text does not begin with the note:\n%.900s", got)
	}
	part, findings := zipmail.Find(root)
	if part == nil || len(findings) > 0 {
		t.Errorf("the set: %v", findings)
		return
	}
	at, err := part.At(strings.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := fileset.CheckZIP(t.Context(), at, at.Size(), fileset.CheckOptions{}); err != nil || r.Verdict != fileset.Complete {
		t.Errorf("%v %+v", err, r)
	}
}

// What comes unsealed is shown where a rule takes it from its sender, marked and never answered, and set aside otherwise. DCM-32. ATT-43.
func TestUnprotectedArrives(t *testing.T) {
	for name, tc := range map[string]struct {
		rules    rule.Rules
		envelope addr.Address
		edit     func(string) string
		want     transit.State
	}{
		"as a rule has it":         {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, nil, transit.Settled},
		"without a rule":           {nil, lab, nil, transit.Aside},
		"of another form":          {rule.Rules{packed(rule.SMIME, lab.Domain)}, lab, nil, transit.Aside},
		"the rule is for sending":  {rule.Rules{{Direction: transit.Outbound, With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}, Form: rule.Plain}}, lab, nil, transit.Aside},
		"in a stranger's envelope": {rule.Rules{packed(rule.Plain, lab.Domain)}, ward, nil, transit.Aside},
		"in another's name":        {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, func(s string) string { return strings.Replace(s, "From: lab@south", "From: lab@west", 1) }, transit.Aside},
		"in our own name":          {rule.Rules{packed(rule.Plain, desk.Domain), packed(rule.Plain, lab.Domain)}, lab, func(s string) string { return strings.Replace(s, "From: lab@south", "From: boss@north", 1) }, transit.Aside},
		"without a set":            {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, func(string) string { return letter(lab, "trust me", desk) }, transit.Aside},
		"cut":                      {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, func(s string) string { return s[:len(s)*2/3] }, transit.Settled},
		"with a mark of its own":   {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, func(s string) string { return "X-Carepost-Protection: sealed\r\n" + s }, transit.Settled},
		"a rule refuses it":        {rule.Rules{packed(rule.Plain, lab.Domain), {Refuse: "no"}}, lab, nil, transit.Settled},
		"asking for every notice":  {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, func(s string) string { return "Disposition-Notification-To: lab@south.example\r\n" + asksDelivery + s }, transit.Settled},
		"signed, but not encrypted": {rule.Rules{packed(rule.Plain, lab.Domain)}, lab, func(s string) string {
			return strings.Replace(s, "multipart/mixed;", "multipart/signed; protocol=\"application/pkcs7-signature\";", 1)
		}, transit.Settled},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.Rules = tc.rules
			text := study(t, lab, desk, zipmail.Gen, "phantom")
			if tc.edit != nil {
				text = tc.edit(text)
			}
			id := s.arrives(addr.Path{Address: tc.envelope}, []byte(text), desk)
			if r := s.recipient(id, desk); r.State != tc.want {
				t.Fatalf("%q\n%s", r.State, s.told(id))
			}
			if n := s.works("notice") + s.works("failure") + s.works("delivery"); n != 0 {
				t.Errorf("%d answers are owed", n)
			}
			mails := s.inbox()
			if tc.want == transit.Aside || name == "a rule refuses it" {
				if len(mails) != 0 {
					t.Error("it is shown")
				}
				return
			}
			if len(mails) != map[bool]int{true: 2, false: 1}[name == "cut"] { // of what is cut a letter of ours warns besides
				t.Fatalf("%d mails", len(mails))
			}
			got := s.text(mails[0])
			if !strings.HasPrefix(got, "X-Carepost-Protection: none; ") || strings.Contains(got, "Protection: sealed") || !strings.Contains(got, zipmail.UnprotectedNote) {
				t.Errorf("%.500s", got)
			}
			if int64(len(got)) != mails[0].Size {
				t.Errorf("%d bytes, said to be %d", len(got), mails[0].Size)
			}
			told := s.told(id)
			if !strings.Contains(told, "unprotected: neither encrypted nor signed") || strings.Contains(told, "verified") || strings.Contains(told, "COMPLETE") != (name != "cut") {
				t.Errorf("told:\n%s", told)
			}
			if d := s.detail("recipient.open"); d["protection"] != "none" {
				t.Errorf("audited: %v", d)
			}
			if name != "as a rule has it" {
				return
			}
			again := s.arrives(addr.Path{Address: tc.envelope}, []byte("X-Way: another\r\n"+text), desk)
			if again == id || len(s.inbox()) != 1 {
				t.Error("shown twice")
			}
		})
	}
}

// Sealed mail from a partner who may send without protection is read as ever: as Direct has it. ATT-43.
func TestUnprotectedPartnerSeals(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{packed(rule.Plain, lab.Domain)}
	id := s.arrives(addr.Path{Address: lab}, s.seal(study(t, lab, desk, zipmail.Gen, "phantom"), s.others[lab.Domain]), desk)
	if r := s.recipient(id, desk); r.State != transit.Opened || strings.Contains(s.told(id), "unprotected") {
		t.Errorf("%q\n%s", r.State, s.told(id))
	}
}
