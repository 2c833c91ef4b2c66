package zipmail

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"carepost/dicom/fileset"
)

// DCM-05, DCM-16: a part says which it is in its subject and text, and lists all; programs read it from the attachment, which is signed.
func TestPart(t *testing.T) {
	all := []*fileset.Plan{plan(t, "io8"), plan(t, "io12", "dx10")}
	list := List(all)
	digest := SetsDigest(list[0].UID, list[1].UID)
	for _, c := range []struct{ subject, want string }{
		{"", "DICOM-ZIP (2/2)"}, {"for Dr Fred", "DICOM-ZIP (2/2) for Dr Fred"}, {"Re: DICOM-ZIP for Dr Fred", "Re: DICOM-ZIP (2/2) for Dr Fred"},
	} {
		l := letter(t)
		l.Subject, l.Part, l.Parts = c.subject, Part{Transfer: "T1", N: 2, Of: 2, Sets: digest}, list
		l.Fields = l.Part.Telemedicine()
		b := compose(t, l, all[1])
		root := parse(t, b)
		if got := root.Header.Text("Subject"); got != c.want || !HasPhrase(got) {
			t.Errorf("subject %q rather than %q", got, c.want)
		}
		attachment, findings := Find(root)
		got, err := ReadPart(root, attachment)
		if err != nil || got != l.Part || len(findings) > 0 {
			t.Errorf("%v %+v %v", err, got, findings)
		}
		if got, err := ReadPart(root, nil); err != nil || got.Transfer != "T1" || got.N != 2 || got.Of != 2 || got.Sets != "" {
			t.Errorf("by the other fields: %v %+v", err, got)
		}
		text, err := io.ReadAll(root.Parts[0].Open(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"This is part 2 of 2 of one transfer (T1).", list[0].UID, list[1].UID, "  1 of 2       1 instances", "  2 of 2       2 instances", "<- this mail", "Größe"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the text lacks %q:\n%s", want, text)
			}
		}
	}
	for _, bad := range []Part{{Transfer: "a b", N: 1, Of: 2}, {Transfer: "a", N: 3, Of: 2}, {Transfer: "a", N: 0, Of: 2}, {Transfer: "a;of=3", N: 1, Of: 2},
		{Transfer: "a", N: 1, Of: maxParts + 1}, {Transfer: "a", N: 1, Of: 2, Sets: "zz"}, {Transfer: "a\r\nBcc: x@evil.example", N: 1, Of: 2}} {
		l := letter(t)
		l.Part = bad
		if err := Compose(context.Background(), io.Discard, l, all[0], "b", nil); err == nil {
			t.Errorf("%+v was written", bad)
		}
	}
}

// What a stranger writes into the fields names a part, or nothing.
func TestReadPart(t *testing.T) {
	for field, want := range map[string]Part{
		"": {}, "X-Other: 1\r\n": {},
		"X-TELEMEDICINE-SETID: abc\r\nX-Telemedicine-SetPart: 1\r\nx-telemedicine-settotal: 3\r\n":                {Transfer: "abc", N: 1, Of: 3},
		"X-TELEMEDICINE-SETID: <12.34@h.example>\r\nX-TELEMEDICINE-SETPART: 2 \r\nX-TELEMEDICINE-SETTOTAL: 2\r\n": {Transfer: "12.34@h.example", N: 2, Of: 2},
	} {
		if got, err := ReadPart(parse(t, []byte("Subject: x\r\n"+field+"\r\n")), nil); err != nil || got != want {
			t.Errorf("%q: %+v %v", field, got, err)
		}
	}
	for _, bad := range []string{"X-TELEMEDICINE-SETID: a\r\n", "X-TELEMEDICINE-SETPART: 1\r\nX-TELEMEDICINE-SETTOTAL: 2\r\n",
		"X-TELEMEDICINE-SETID: a\r\nX-TELEMEDICINE-SETPART: 4\r\nX-TELEMEDICINE-SETTOTAL: 2\r\n", "X-TELEMEDICINE-SETID: a\r\nX-TELEMEDICINE-SETPART: 01\r\nX-TELEMEDICINE-SETTOTAL: 2\r\n",
		"X-TELEMEDICINE-SETID: a; part=1\r\nX-TELEMEDICINE-SETPART: -1\r\nX-TELEMEDICINE-SETTOTAL: 99999999999999999999\r\n"} {
		if got, err := ReadPart(parse(t, []byte("Subject: x\r\n"+bad+"\r\n")), nil); err == nil || !got.IsZero() {
			t.Errorf("%q: %+v %v", bad, got, err)
		}
	}
}

func FuzzReadPart(f *testing.F) {
	f.Add("id=a; part=1; of=2; sets=")
	f.Add("id=5f0c; part=2; of=5; sets=" + SetsDigest("1"))
	f.Fuzz(func(t *testing.T, value string) {
		p, err := parsePart(value)
		if (err == nil) == p.IsZero() {
			t.Fatalf("%q: %+v %v", value, p, err)
		}
		if err == nil {
			if _, err := p.Field(); err != nil {
				t.Fatalf("%+v is read and cannot be written", p)
			}
		}
	})
}
