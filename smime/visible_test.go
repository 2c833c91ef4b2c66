package smime

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"carepost/message"
)

// What stands outside of an unwrapped message, and what does not: PS3.15 B.8, DIR-49.
func TestVisibleHeader(t *testing.T) {
	msg := "Received: from inside by x; Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: The Desk <alice@clinic.example>\r\nSender: =?utf-8?q?J=C3=B6rg?= <ward@clinic.example>\r\n" +
		"To: Ann Berg <bob@lab.example>\r\nCc: Ben Lee <carol@clinic.example>\r\nBcc: eve@other.example\r\nSubject: =?utf-8?q?R=C3=B6ntgen?=\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
		"Message-ID: <1@clinic.example>\r\nReferences: <0@lab.example>\r\nDisposition-Notification-To: alice@clinic.example\r\nX-Secret: Berg\r\nComments: Berg\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Description: Berg\r\n\r\nthe text\r\n"
	for subject, want := range map[string]string{"": "=?utf-8?q?R=C3=B6ntgen?=", "DICOM-ZIP": "DICOM-ZIP"} {
		sealed := seal(t, msg, func(o *SealOptions) { o.Unwrapped, o.Alone, o.Outer = true, true, VisibleHeader(subject) })
		head, _, _ := strings.Cut(string(sealed), "\r\n\r\n")
		for _, line := range []string{"From: The Desk <alice@clinic.example>", "To: bob@lab.example", "Cc: carol@clinic.example", "Subject: " + want, "Date: ", "Message-ID: <1@", "References: <0@",
			"Disposition-Notification-To: alice@", "ward@clinic.example>", "MIME-Version: 1.0", "Content-Type: application/pkcs7-mime"} {
			if strings.Count(head, line) != 1 {
				t.Errorf("%q: %q is not there, or twice:\n%s", subject, line, head)
			}
		}
		for _, no := range []string{"Berg", "Lee", "eve@", "Received", "X-Secret", "Comments", "Content-Description"} {
			if strings.Contains(head, no) {
				t.Errorf("%q: %q stands outside:\n%s", subject, no, head)
			}
		}
		text, o, err := openBob(sealed)
		if err != nil || o.Wrapped || len(o.Good()) != 1 || !strings.HasSuffix(text, "\r\n\r\nthe text\r\n") || !strings.Contains(text, "Content-Description: Berg") {
			t.Errorf("%q: %v\n%s", subject, err, text)
		}
	}
	twice := strings.Replace(msg, "Subject: ", "Subject: another\r\nSubject: ", 1)
	h, err := message.ReadHeader(bufio.NewReader(strings.NewReader(twice)), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VisibleHeader("")(h); !errors.Is(err, message.ErrAmbiguous) {
		t.Errorf("two subjects: %v", err)
	}
	if fs, err := VisibleHeader("DICOM-ZIP")(h); err != nil || len(fs) == 0 {
		t.Errorf("two subjects that are not shown: %v", err)
	}
}
