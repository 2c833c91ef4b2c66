package mailbox_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"carepost/internal/mailbox"
	"carepost/message"
)

// A ZIP of papers is no File-set that lacks everything: only what claims to be one, or names a DICOMDIR, is judged. PS3.11 X.3.2.
func TestFindSet(t *testing.T) {
	archive := func(names ...string) string {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, n := range names {
			f, err := w.Create(n)
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("x"))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	far := strings.Repeat("papers/"+strings.Repeat("x", 200), 600) // the name lies across buffers
	for _, tc := range []struct {
		subject, name, archive string
		want                   bool
	}{
		{"", "papers.zip", archive("a.txt", "b/DICOM"), false},
		{"", "papers.zip", archive("DICOMDIR"), true},
		{"", "study.zip", archive("study/dicomdir", "study/IM1"), true},
		{"", "study.zip", far + archive("DICOMDIR"), true},
		{"Re: dicom-zip", "study.zip", archive("a.txt"), true},
		{"", "DICOM.ZIP", archive("a.txt"), true},
		{"", "dicom.zip", "no archive", true},
		{"DICOM-ZIP", "report.pdf", archive("DICOMDIR"), false},
		{"", "empty.zip", "", false},
	} {
		mail := "Subject: " + tc.subject + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Disposition: attachment; filename=" +
			tc.name + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(tc.archive)) + "\r\n--b--\r\n"
		r := strings.NewReader(mail)
		root, err := message.Parse(r, r.Size(), message.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		part, _, err := mailbox.FindSet(root, r)
		if got := part != nil; got != tc.want || !got && !errors.Is(err, mailbox.ErrNoFileSet) {
			t.Errorf("%s with subject %q: %v, %v, want %v", tc.name, tc.subject, got, err, tc.want)
		}
	}
	disk := errors.New("disk")
	mail := "Content-Type: application/zip; name=papers.zip\r\n\r\nPK"
	r := strings.NewReader(mail)
	root, err := message.Parse(r, r.Size(), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := mailbox.FindSet(root, broken{r, disk}); !errors.Is(err, disk) {
		t.Errorf("a disk that fails: %v", err)
	}
}

// broken is a body that cannot be read.
type broken struct {
	*strings.Reader
	err error
}

func (b broken) ReadAt([]byte, int64) (int, error) { return iotest.ErrReader(b.err).Read(nil) }
