package mailbox

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"carepost/dicom/fileset"
)

// DIR-08: a package is found whatever type its sender gave it (MT 28 and 29 of the edge test tool), papers are none, and what is broken is said.
func TestDescribe(t *testing.T) {
	s := open(t)
	archive := func(names ...string) string {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, n := range names {
			if _, err := z.Create(n); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	part := func(media, body string) string {
		return "--b\r\nContent-Type: " + media + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body + "\r\n"
	}
	pack := archive("IHE_XDM/SUBSET01/DOC0001.XML")
	const announced = "X-Direct-Context: <c@north.example>\r\n"
	const about = "--b\r\nContent-Type: text/plain\r\nContent-ID: <c@north.example>\r\n\r\n"
	for _, c := range []struct {
		name, mail string
		part       int
		verdict    fileset.Verdict
		context    string // category; "unread"
	}{
		{"zip", part("text/plain", "") + part("application/zip", pack), 2, fileset.Incomplete, ""},
		{"octet-stream", part("application/octet-stream", pack), 1, fileset.Incomplete, ""},
		{"xml", part("text/xml", pack), 1, fileset.Incomplete, ""},
		{"papers first", part("application/zip", archive("a.pdf")) + part("application/zip", pack), 2, fileset.Incomplete, ""},
		{"papers", part("application/zip", archive("a.pdf", "IHE_XDM.TXT")), 0, 0, ""},
		{"real XML", part("text/xml", base64.StdEncoding.EncodeToString([]byte("<IHE_XDM/>"))), 0, 0, ""},
		{"nothing", part("application/zip", ""), 0, 0, ""},
		{"cut archive", part("application/zip", pack[:len(pack)/2/4*4]), 1, fileset.Damaged, ""},
		{"context", "--b\r\n\r\nhi\r\n" + about + "version: 1.1\r\nid: 1\r\ntype: radiology/report\r\n\r\n", 0, 0, "radiology"},
		{"context of nothing", "--b\r\n\r\nhi\r\n", 0, 0, "unread"},
		{"context of nonsense", about + "Secret\r\n", 0, 0, "unread"},
	} {
		head := "From: a@north.example\r\nContent-Type: multipart/mixed; boundary=b\r\n"
		if c.context != "" {
			head += announced
		}
		mail := strings.NewReader(head + "\r\n" + c.mail + "--b--\r\n")
		got, err := Describe(context.Background(), s.Blobs, mail, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Part != c.part || (got.Package != nil) != (c.part > 0) || got.Package != nil && got.Package.Verdict != c.verdict {
			t.Errorf("%s: part %d, %+v", c.name, got.Part, got.Package)
		}
		read := ""
		switch {
		case got.Unread != "":
			read = "unread"
		case got.Context != nil:
			read = got.Context.Category
		}
		if read != c.context || strings.Contains(got.Unread, "Secret") {
			t.Errorf("%s: context %q (%s)", c.name, read, got.Unread)
		}
	}
	// Large attachments are read step by step, and somebody hears of it; no further once nobody waits for it.
	large := "From: a@north.example\r\nContent-Type: application/zip\r\n\r\nPK\x03\x04" + strings.Repeat("x", 1<<20)
	told := 0
	if _, err := Describe(context.Background(), s.Blobs, strings.NewReader(large), func(int64, int64) { told++ }); err != nil || told < 4 {
		t.Errorf("told %d times: %v", told, err)
	}
	gone, end := context.WithCancel(context.Background())
	if _, err := Describe(gone, s.Blobs, strings.NewReader(large), func(int64, int64) { end() }); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
	for _, odd := range []string{"", "no header at all", "Content-Type: multipart/mixed\r\n\r\nx"} {
		if got, err := Describe(context.Background(), s.Blobs, strings.NewReader(odd), nil); err != nil || got.Package != nil || got.Context != nil {
			t.Errorf("%q: %v %+v", odd, err, got)
		}
	}
}
