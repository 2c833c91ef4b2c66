package flow_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/message"
)

// papersZIP holds no images.
func papersZIP(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range []string{"report.pdf", "letters/one.txt"} {
		out, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(out, "Nothing to see here.")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// inside are the octets of the files of an archive that are neither DICOMDIR nor MANIFEST, sorted.
func inside(t *testing.T, archive []byte) (out []string) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		if base := f.Name[strings.LastIndexByte(f.Name, '/')+1:]; base == "DICOMDIR" || base == "MANIFEST" || base == "" {
			continue
		}
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	slices.Sort(out)
	return out
}

// added puts files into an archive.
func added(t *testing.T, archive []byte, names ...string) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range r.File {
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range names {
		out, err := w.Create(n)
		if err == nil {
			_, err = io.WriteString(out, "this is "+n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What an ordinary ZIP tool packs in its own way, and images in several ZIPs, leave as one exact File-set: every octet of every image, and
// every other file. DCM-29, DCM-22, DCM-23, DCM-27.
func TestZIPsArePackedAnew(t *testing.T) {
	archive := studyZIP(t)
	only := func(keep func(string) bool) []byte {
		return rezipped(t, archive, func(n string) string {
			if keep(n) {
				return n
			}
			return ""
		})
	}
	image := func(n string) bool { return n != "DICOMDIR" && n != "MANIFEST" }
	names, first := []string{}, ""
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		if image(f.Name) {
			names = append(names, f.Name)
		}
	}
	first = names[0]
	wrapped := rezipped(t, archive, func(n string) string { return "My study/" + strings.ToLower(n) })
	bare, one := only(image), only(func(n string) bool { return n == first })
	others := only(func(n string) bool { return image(n) && n != first })
	set := func(b []byte) string { return attached("application/x-zip-compressed", "images.zip", b, 76) }
	beside := added(t, bare, "viewer/Start Me.exe", "readme.txt", "notes/README.TXT", "__MACOSX/._x")
	s := newSide(t)
	n := 0
	for name, tc := range map[string]struct {
		subject, kind string
		parts         []string
		other         int // files beside the set
		leaves        int
	}{
		"in a folder":            {"x", "mixed", []string{words, set(wrapped)}, 0, 2},
		"no DICOMDIR":            {"x", "mixed", []string{words, set(bare)}, 0, 2},
		"no DICOMDIR, claimed":   {"DICOM-ZIP", "mixed", []string{words, attached("application/zip", "DICOM.ZIP", bare, 76)}, 0, 2},
		"related":                {"x", "related", []string{words, set(bare)}, 0, 2},
		"odd lines":              {"x", "mixed", []string{words, attached("application/zip", "a.zip", bare, 61)}, 0, 2},
		"other files":            {"x", "mixed", []string{words, set(beside)}, 3, 2},
		"two ZIPs":               {"x", "mixed", []string{words, set(one), set(others)}, 0, 2},
		"two ZIPs around papers": {"x", "mixed", []string{set(one), attached("application/zip", "p.zip", papersZIP(t), 76), words, set(others)}, 0, 3},
		"the same twice":         {"x", "mixed", []string{words, attached("application/zip", "DICOM.ZIP", archive, 76), attached("application/zip", "DICOM.ZIP", archive, 76)}, 0, 2},
		"another name":           {"x", "mixed", []string{words, attached("application/zip", "DICOM.ZIP", archive, 76), attached("application/zip", "more.zip", bare, 76)}, 0, 2},
		"images beside a ZIP":    {"x", "mixed", []string{attached("application/octet-stream", "a.dcm", []byte(inside(t, one)[0]), 76), words, set(others)}, 0, 2},
		"a set and its folder":   {"x", "mixed", []string{words, set(archive), set(wrapped)}, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			id := s.submitText(programLetter(tc.subject, n, tc.kind, tc.parts...), lab)
			text := s.raw(id)
			root, report := exactly(t, text)
			if report.Verdict != fileset.Complete || report.Found != len(names) || len(report.Other) != tc.other {
				t.Errorf("%v, %d of %d, %d besides", report.Verdict, report.Found, len(names), len(report.Other))
			}
			part, _ := zipmail.Find(root)
			got, err := io.ReadAll(part.Open(strings.NewReader(text)))
			if err != nil {
				t.Fatal(err)
			}
			want := inside(t, archive)
			for _, n := range []string{"viewer/Start Me.exe", "readme.txt", "notes/README.TXT"}[:tc.other] {
				want = append(want, "this is "+n)
			}
			slices.Sort(want)
			if !slices.Equal(inside(t, got), want) {
				t.Error("what is in it has changed")
			}
			leaves := 0
			for p := range root.Walk() {
				if len(p.Parts) == 0 {
					leaves++
				}
			}
			if leaves != tc.leaves+1 { // with what the signature attests
				t.Errorf("%d parts\n%.1500s", leaves, text)
			}
			if d := s.lastDetail("message.accept"); d["attests"] != "test" || !strings.HasPrefix(d["file-set"], "packed anew: ") {
				t.Errorf("%v", d)
			}
		})
	}
	alone := strings.Replace(programLetter("x", 99, "mixed"), "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"cut here\"\r\n\r\nThis is MIME.\r\n--cut here--\r\n",
		attached("application/zip", "x.zip", wrapped, 76), 1)
	if root, report := exactly(t, s.raw(s.submitText(alone, lab))); report.Verdict != fileset.Complete || report.Found != len(names) || len(root.Parts) != 2 {
		t.Errorf("a ZIP without text: %v, %d parts", report.Verdict, len(root.Parts))
	}
}

// Papers in ZIPs leave as they are, however many, and with a password too; a package of IHE XDM stays one.
func TestZIPsOfPapersStay(t *testing.T) {
	s := newSide(t)
	papers, archive := papersZIP(t), studyZIP(t)
	secret := bytes.Clone(papers)
	for _, sig := range []string{"PK\x03\x04", "PK\x01\x02"} { // the bit that says encrypted
		at := 6
		if sig == "PK\x01\x02" {
			at = 8
		}
		for i := 0; ; i += 4 {
			k := bytes.Index(secret[i:], []byte(sig))
			if k < 0 {
				break
			}
			i += k
			secret[i+at] |= 1
		}
	}
	package_ := added(t, rezipped(t, archive, func(n string) string {
		if n == "DICOMDIR" || n == "MANIFEST" {
			return ""
		}
		return "IHE_XDM/SUBSET01/" + n
	}), "IHE_XDM/SUBSET01/METADATA.XML")
	a := func(b []byte) string { return attached("application/zip", "papers.zip", b, 76) }
	for i, tc := range [][]string{{words, a(papers), a(papers)}, {words, a(secret)}, {words, a(papers[:60])}, {words, a(package_)}, {words, strings.TrimRight(a(papers), "=") + "!"}} {
		text := programLetter("papers", i, "mixed", tc...)
		if got := s.raw(s.submitText(text, lab)); got != text {
			t.Errorf("%d: changed:\n%.1000s", i, got)
		}
	}
	// A part of a larger set is not mixed with other images.
	var b bytes.Buffer
	p, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, "../demo/study/files")
	s.must(err)
	l := zipmail.Letter{From: desk, To: []addr.Address{lab}, Subject: "x", Text: "x", Date: s.now, MessageID: "<c@north.example>",
		Part: zipmail.Part{Transfer: "1.2.3", N: 1, Of: 2}, Attachments: []message.Attachment{message.NewAttachment("more.zip", "application/zip",
			func(w io.Writer) error { _, err := w.Write(archive); return err })}}
	s.must(zipmail.ComposeSet(&b, l, p.Instances, func(w io.Writer) error { _, err := w.Write(archive); return err }, "of-ours"))
	env := transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}}
	if _, err := s.Submit(t.Context(), by, env, &b); !isRefusal(err) || !strings.Contains(fmt.Sprint(err), "part of a larger set") {
		t.Errorf("%v", err)
	}
}

// A statement is added to a mail that is put together badly too, or the mail does not leave: it cannot be walked round. DCM-31.
func TestStatementsInOddMail(t *testing.T) {
	const must = "For its recipient alone."
	s := newSide(t)
	s.Rules = rule.Rules{{Statement: must}}
	head := "From: desk@north.example\r\nTo: lab@south.example\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <o%d@north.example>\r\nMIME-Version: 1.0\r\n"
	for i, rest := range []string{
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nno boundary here\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part here\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnot closed\r\n",
		"Content-Type: multipart/mixed; boundary=\"b c\"\r\n\r\n--b c\r\n\r\nblanks\r\n--b c--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b  \r\n\r\nblanks\r\n--b--  \r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\na\r\n--i--\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf\r\n\r\nx\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\n" + must + "\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=x.txt\r\n\r\n" + must + "\r\n--b--\r\n",
		"Content-Type: text/html\r\n\r\n<p>hello</p>\r\n",
		"Content-Type: text/html\r\n\r\n<p>hello</p><!-- " + must + " -->\r\n",
		"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n",
		"\r\nplain\r\n",
	} {
		id, err := s.trySubmit(fmt.Sprintf(head, i)+rest, lab)
		if isRefusal(err) {
			continue
		}
		s.must(err)
		text := s.raw(id)
		r := strings.NewReader(text)
		root, err := message.Parse(r, r.Size(), message.Limits{})
		s.must(err)
		found := false
		for p := range root.Walk() {
			if p.Type.Is("text", "plain") && len(p.Parts) == 0 && !strings.Contains(string(p.Header.Get("Content-Disposition")), "attachment") {
				b, err := io.ReadAll(p.Open(r))
				s.must(err)
				found = found || strings.Contains(string(b), must)
			}
		}
		if !found {
			t.Errorf("%d: left without it:\n%s", i, text)
		}
	}
}
