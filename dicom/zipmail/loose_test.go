package zipmail

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"carepost/dicom/fileset"
	"carepost/message"
)

// partsMail is a mail of parts, each its header lines without the last line end; "@" stands for an object in base64.
func partsMail(t testing.TB, kind string, parts ...string) string {
	t.Helper()
	object, err := os.ReadFile(filepath.Join(objects(t), "io8.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	data := "Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(object)
	b := "From: a@b.example\r\nSubject: images\r\nMIME-Version: 1.0\r\nContent-Type: multipart/" + kind + "; boundary=b\r\n\r\n"
	for _, p := range parts {
		b += "--b\r\n" + strings.Replace(p, "@", data, 1) + "\r\n"
	}
	return b + "--b--\r\n"
}

// DCM-34, DCM-28: objects in other packaging are found, and which; what is none is left alone.
func TestObjects(t *testing.T) {
	const text = "Content-Type: text/plain\r\n\r\nhello"
	for _, c := range []struct {
		name, mail, names, rules string
	}{
		{"DICOM MIME", partsMail(t, `related; type="application/dicom"`, "Content-Type: application/dicom; id=\"DICOM/IM1\"; name=\"x\"\r\n@", "Content-Type: application/dicom; name=two.dcm\r\n@"),
			"DICOM/IM1 two.dcm", "mail-dicom-mime"},
		{"one by one", partsMail(t, "mixed", text, "Content-Type: application/octet-stream; name=left.dcm\r\n@", "Content-Disposition: attachment; filename=right\r\nContent-Type: application/octet-stream\r\n@"),
			"left.dcm right", "mail-loose-objects"},
		{"by their bytes", partsMail(t, "mixed", "Content-Type: text/plain; name=IM0001\r\nContent-Disposition: attachment\r\n@"), "IM0001", "mail-loose-objects"},
		{"both", partsMail(t, "mixed", "Content-Type: application/dicom\r\n@", "Content-Type: application/octet-stream; name=a.dcm\r\n@"), " a.dcm", "mail-dicom-mime mail-loose-objects"},
		{"cut", strings.TrimSuffix(partsMail(t, "mixed", "Content-Type: application/dicom; id=A\r\n@"), "--b--\r\n"), "A", "mail-dicom-mime mail-cut"},
		{"broken base64", partsMail(t, "mixed", "Content-Type: application/octet-stream; name=a.dcm\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!"), "a.dcm", "mail-loose-objects"},
		{"the mail itself", "From: a@b.example\r\nContent-Type: application/dicom; id=IM1\r\n\r\nx", "IM1", "mail-dicom-mime"},
		{"papers", partsMail(t, "mixed", text, "Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF", "Content-Type: application/octet-stream; name=b.dcm\r\n\r\nnot one"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := strings.NewReader(c.mail)
			parts, findings, err := Objects(parse(t, []byte(c.mail)), r)
			var names, rules []string
			for _, x := range Loose(parts, r) {
				names = append(names, x.Name)
			}
			for _, f := range findings {
				rules = append(rules, f.Rule)
			}
			if err != nil || strings.Join(names, " ") != c.names || strings.Join(rules, " ") != c.rules {
				t.Fatalf("%q %q %v", names, rules, err)
			}
			report, err := fileset.CheckLoose(context.Background(), Loose(parts, r), fileset.CheckOptions{})
			if err != nil || report.Verdict == fileset.Complete {
				t.Errorf("%v %v", report, err)
			}
			if whole := c.name == "DICOM MIME" || c.name == "one by one"; whole && report.Verdict != fileset.Unverifiable || c.name == "broken base64" && report.Verdict != fileset.Damaged {
				t.Errorf("%v %v", report.Verdict, report.Findings)
			}
		})
	}
	broken := errors.New("disk")
	m := partsMail(t, "mixed", "Content-Type: application/octet-stream; name=left.dcm\r\n@")
	if _, _, err := Objects(parse(t, []byte(m)), failingAt{broken}); !errors.Is(err, broken) {
		t.Errorf("a disk that fails: %v", err)
	}
}

type failingAt struct{ err error }

func (f failingAt) ReadAt([]byte, int64) (int, error) { return iotest.ErrReader(f.err).Read(nil) }

// DCM-28: what no MIME program can take out is told plainly, and nothing else is taken for it.
func TestForeign(t *testing.T) {
	for _, c := range []struct{ mail, want string }{
		{partsMail(t, "mixed", "Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\nx"), "winmail.dat"},
		{partsMail(t, "mixed", "Content-Type: application/octet-stream; name=WINMAIL.DAT\r\n\r\nx"), "winmail.dat"},
		{"Subject: x\r\n\r\nhello\r\n\r\nbegin 644 DICOM.ZIP\r\n#4$L#\r\n`\r\nend\r\n", "uuencoded"},
		{partsMail(t, "mixed", "Content-Type: application/zip\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nx"), "uuencoded"},
		{"Subject: x\r\n\r\nbegin 644 studies\r\nand end them\r\n", ""},
		{"Subject: x\r\n\r\nwe begin 644 DICOM.ZIP\r\n#4$L#\r\n", ""},
		{"Subject: x\r\n\r\nbegin 644 DICOM.ZIP", ""},
		{"Subject: x\r\n\r\n" + strings.Repeat("x", 9000) + "begin 644 DICOM.ZIP\r\n#4$L#\r\n", ""},
		{partsMail(t, "mixed", "Content-Type: application/pdf\r\n\r\nx"), ""},
	} {
		got, err := Foreign(parse(t, []byte(c.mail)), strings.NewReader(c.mail))
		if err != nil || (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%.200q: %q %v", c.mail, got, err)
		}
	}
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte(partsMail(f, `related; type="application/dicom"`, "Content-Type: application/dicom; id=\"DICOM/IM1\"\r\n@")))
	f.Add([]byte(partsMail(f, "mixed", "Content-Type: application/octet-stream; name=\"../a.dcm\"\r\n@")))
	f.Add([]byte("Subject: x\r\n\r\nbegin 644 DICOM.ZIP\r\n#4$L#\r\n`\r\nend\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		root, err := message.Parse(r, r.Size(), message.Limits{})
		if err != nil {
			return
		}
		parts, _, err := Objects(root, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Foreign(root, r); err != nil {
			t.Fatal(err)
		}
		report, err := fileset.CheckLoose(context.Background(), Loose(parts, r), fileset.CheckOptions{})
		if err != nil || report.Verdict == fileset.Complete {
			t.Errorf("%v %v", report, err)
		}
	})
}
