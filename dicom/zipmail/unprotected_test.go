package zipmail_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"carepost/dicom/zipmail"
	"carepost/message"
)

const headOfAll = "From: lab@north.example\r\nX-Inside: yes\r\nSubject: DICOM-ZIP\r\nMIME-Version: 1.0\r\n"

const zipPart = "Content-Type: application/zip; id=\"DICOM.ZIP\"; name=\"DICOM.ZIP\"\r\nContent-Transfer-Encoding: base64\r\n" +
	"Content-Disposition: attachment; filename=\"DICOM.ZIP\"\r\n\r\nUEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==\r\n"

// The note stands where every reader sees it first, whatever program has made the mail, and the rest stays as it was. DCM-01, DCM-32. ATT-43.
func TestWriteUnprotected(t *testing.T) {
	note := zipmail.UnprotectedNote
	mixed := func(first string) string {
		return headOfAll + "Content-Type: multipart/mixed;\r\n boundary=cut\r\n\r\npreamble\r\n--cut\r\n" + first + "--cut\r\n" + zipPart + "--cut--\r\n"
	}
	for name, tc := range map[string]struct{ mail, want string }{
		"a text":                  {mixed("Content-Type: text/plain\r\n\r\nHello.\r\n"), "\r\n\r\n" + note + "Hello.\r\n"},
		"no type":                 {mixed("\r\nHello.\r\n"), "\r\n\r\n" + note + "Hello.\r\n"},
		"quoted-printable":        {mixed("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"), "\r\n\r\n" + note + "=C3=A4\r\n"},
		"LF":                      {strings.ReplaceAll(mixed("Content-Type: text/plain\r\n\r\nHello.\r\n"), "\r\n", "\n"), "\r\n\r\n" + note + "Hello.\r\n"},
		"base64":                  {mixed("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n"), "--cut\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n" + note + "--cut\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"},
		"UTF-16":                  {mixed("Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: 8bit\r\n\r\nH\x00\r\n"), note + "--cut\r\nContent-Type: text/plain; charset=utf-16le"},
		"two forms of a text":     {mixed("Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nHello.\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>Hello.\r\n--in--\r\n"), note + "--cut\r\nContent-Type: multipart/alternative"},
		"a text that is attached": {mixed("Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nHello.\r\n"), note + "--cut\r\nContent-Type: text/plain\r\nContent-Disposition: attachment"},
		"the set alone":           {headOfAll + zipPart, note + "--"},
		"the set first":           {headOfAll + "Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\n" + zipPart + "--cut--\r\n", note + "--cut\r\nContent-Type: application/zip"},
		"the note is there":       {mixed("Content-Type: text/plain\r\n\r\n" + note + "Hello.\r\n"), "\r\n\r\n" + note + "Hello.\r\n"},
		"never closed":            {strings.TrimSuffix(mixed("\r\nHello.\r\n"), "--cut--\r\n"), "\r\n\r\n" + note + "Hello.\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := unprotect(t, tc.mail)
			if strings.Count(got, note) != 1 || !strings.Contains(got, tc.want) {
				t.Errorf("%q\nwant in it %q", got, tc.want)
			}
			if strings.Contains(got, "X-Inside") || !strings.HasPrefix(got, "X-Mark: none\r\nFrom: lab@north.example\r\n") || strings.Contains(strings.ReplaceAll(got, "\r\n", ""), "\n") {
				t.Errorf("%q", got)
			}
			root := parse(t, got)
			part, findings := zipmail.Find(root)
			if part == nil || len(findings) > 0 != (name == "never closed") || root.Header.Count("MIME-Version") != 1 || root.Header.Count("Content-Type") != 1 {
				t.Fatalf("the set: %v\n%q", findings, got)
			}
			if b, err := io.ReadAll(part.Open(strings.NewReader(got))); err != nil || len(b) != 22 {
				t.Errorf("%d bytes of the set: %v", len(b), err)
			}
			if again := unprotect(t, got); strings.Count(again, note) != 1 {
				t.Errorf("marked twice: %q", again)
			}
		})
	}
}

func parse(t *testing.T, mail string) *message.Part {
	t.Helper()
	root, err := message.Parse(strings.NewReader(mail), int64(len(mail)), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func unprotect(t *testing.T, mail string) string {
	t.Helper()
	var out bytes.Buffer
	err := zipmail.WriteUnprotected(&out, strings.NewReader(mail), parse(t, mail), func(name string) bool { return !strings.HasPrefix(name, "X-") },
		message.Field{Name: "X-Mark", Raw: []byte("X-Mark: none\r\n")})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Who has chosen no protection says so by name. ATT-43.
func TestChosenUnprotected(t *testing.T) {
	for head, want := range map[string]bool{
		"Subject: DICOM-ZIP": false, "Subject: DICOM-ZIP STD-GEN-ZIP-MAIL phantom": true, "Subject: STD-GEN-ZIP-MAIL": true,
		"Subject: DICOM-ZIP STD-GEN-ZIP-MAIL": true, "Subject: =?utf-8?q?STD-GEN-ZIP-MAIL_gr=C3=BCn?=": true,
		"Subject: Re: DICOM-ZIP STD-GEN-ZIP-MAIL phantom": false, "Subject: DICOM-ZIP Re: STD-GEN-ZIP-MAIL phantom": false, "Subject: WG: STD-GEN-ZIP-MAIL": false,
		"Subject: DICOM-ZIP not by STD-GEN-ZIP-MAIL": false, "Subject: STD-GEN-ZIP-MAILS": false, "Subject: STD-GEN-SEC-ZIP-MAIL": false,
		"X-DICOM-Application-Profile: STD-GEN-ZIP-MAIL": true, "X-DICOM-Application-Profile: STD-GEN-ZIP-MAIL (not encrypted, not signed)": true,
		"X-DICOM-Application-Profile: gen": true, "X-DICOM-Application-Profile: STD-DTL-SEC-ZIP-MAIL": false, "X-DICOM-Application-Profile:": false,
		"X-DICOM-Application-Profile: STD-GEN-SEC-ZIP-MAIL\r\nSubject: STD-GEN-ZIP-MAIL":                 false,
		"X-DICOM-Application-Profile: STD-GEN-ZIP-MAIL\r\nX-DICOM-Application-Profile: STD-GEN-ZIP-MAIL": false,
	} {
		if got := zipmail.ChosenUnprotected(parse(t, head+"\r\n\r\nx").Header); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

// FuzzUnprotected: whatever the mail, it is written out with its note, once, and the set in it is the one that was there.
func FuzzUnprotected(f *testing.F) {
	f.Add(headOfAll + "Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\n\r\nHello.\r\n--cut\r\n" + zipPart + "--cut--\r\n")
	f.Add(headOfAll + zipPart)
	f.Add("Content-Type: text/plain\r\n\r\nx")
	f.Fuzz(func(t *testing.T, mail string) {
		root, err := message.Parse(strings.NewReader(mail), int64(len(mail)), message.Limits{})
		if err != nil {
			return
		}
		part, _ := zipmail.Find(root)
		var out bytes.Buffer
		if err := zipmail.WriteUnprotected(&out, strings.NewReader(mail), root, func(string) bool { return true }); err != nil {
			return
		}
		got := out.String()
		if !strings.Contains(got, zipmail.UnprotectedNote) {
			t.Fatalf("no note in %q", got)
		}
		after, err := message.Parse(strings.NewReader(got), int64(len(got)), message.Limits{})
		if err != nil || part == nil {
			return // a mail at a limit of its own
		}
		same, _ := zipmail.Find(after)
		if same == nil {
			t.Fatalf("the set is gone from %q", got)
		}
		was, err := io.ReadAll(part.Open(strings.NewReader(mail)))
		is, other := io.ReadAll(same.Open(strings.NewReader(got)))
		if err == nil && part.Encoding == "base64" && (other != nil || !bytes.Equal(was, is)) {
			t.Fatalf("%q instead of %q", is, was)
		}
	})
}
