package flow_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/demo/bigstudy"
	"carepost/internal/mailbox"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// largeStudy are four images of some 400 KB, packed, in a folder, and their DICOM.ZIP with a paper beside them.
func largeStudy(t *testing.T) (dir string, archive []byte) {
	t.Helper()
	dir = t.TempDir()
	if err := bigstudy.Write(t.Context(), dir, 4, 1); err != nil {
		t.Fatal(err)
	}
	p, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	paper := []byte("read me")
	err = p.AddExtras(fileset.Extra{Name: "README.TXT", Size: int64(len(paper)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(paper)), nil }})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.WriteZIP(t.Context(), &out, nil); err != nil {
		t.Fatal(err)
	}
	return dir, out.Bytes()
}

// partsOf are the mails of the only transfer of ours.
func (s *side) partsOf() (t transfer) {
	s.t.Helper()
	all, err := s.Transfers(s.t.Context(), by, desk, transit.Outbound)
	s.must(err)
	if len(all) != 1 {
		s.t.Fatalf("%d transfers", len(all))
	}
	if left := all[0].Outstanding(); len(left) > 0 {
		s.t.Errorf("outstanding: %v", left)
	}
	t.id, t.name, t.sets = all[0].ID, all[0].Name, all[0].Sets
	for _, p := range all[0].Parts {
		t.mails = append(t.mails, p.Message)
	}
	return t
}

type transfer struct {
	id, name, sets string
	mails          []string
}

// pixels of all objects, by their size and hash, of a set in a mail.
func instancesIn(t *testing.T, text string) (out []string, papers int) {
	t.Helper()
	r := strings.NewReader(text)
	root, err := message.Parse(r, r.Size(), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	part, findings, err := mailbox.FindSet(root, r)
	if err != nil || len(findings) > 0 || !zipmail.ExactPart(part.Header) {
		t.Fatal(findings, err)
	}
	b, err := io.ReadAll(part.Open(r))
	if err != nil {
		t.Fatal(err)
	}
	report, err := fileset.CheckZIP(t.Context(), bytes.NewReader(b), int64(len(b)), fileset.CheckOptions{})
	if err != nil || report.Verdict != fileset.Complete {
		t.Fatalf("%v %v", report, err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		switch {
		case f.Name == "README.TXT":
			papers++
		case f.Name != "DICOMDIR" && f.Name != "MANIFEST":
			out = append(out, fmt.Sprintf("%d %08x", f.UncompressedSize64, f.CRC32))
		}
	}
	return out, papers
}

// A set that a mail program attaches, and that is larger than its recipients take, goes in several mails, all of them or none, once: whether it is a
// DICOM.ZIP, images one by one, or the mail itself. DCM-16, DCM-29.
func TestSubmittedSetIsDivided(t *testing.T) {
	dir, archive := largeStudy(t)
	want, _ := instancesIn(t, programLetter("DICOM-ZIP", 1, "mixed", words, "Content-Type: "+zipmail.ContentType+"\r\nContent-Disposition: "+zipmail.Disposition+
		"\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString(archive)))
	slices.Sort(want)
	var images []string
	names, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, attached("application/octet-stream", fmt.Sprintf("image%d.dcm", i), b, 76))
	}
	zipped := attached("application/x-zip-compressed", "images.zip", archive, 76)
	odd := attached("application/zip", "DICOM.ZIP", archive, 75) // lines that allow no random access
	report := attached("application/pdf", "report.pdf", []byte("%PDF"), 76)
	alone := "From: desk@north.example\r\nTo: lab@south.example\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <p1@north.example>\r\nMIME-Version: 1.0\r\n" + zipped
	for name, tc := range map[string]struct {
		text   string
		papers int
	}{
		"a ZIP":            {programLetter("Dr Fred", 1, "mixed", alike, zipped, report), 1},
		"a ZIP, odd lines": {programLetter("DICOM-ZIP for Dr Fred", 1, "mixed", words, odd), 1},
		"images":           {programLetter("Dr Fred", 1, "mixed", append([]string{words}, images...)...), 0},
		"the mail itself":  {alone, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.Rules = rule.Rules{{With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}, Size: 1_300_000}}
			id := s.submitText(tc.text, lab)
			if again := s.submitText(tc.text, lab); again != id {
				t.Errorf("a repeat is %s", again)
			}
			tr := s.partsOf()
			if len(tr.mails) < 2 || tr.mails[0] != id || s.works("outbound") != len(tr.mails) || s.audited("transfer.begin") != 1 || s.audited("message.accept") != len(tr.mails) {
				t.Fatalf("%+v, %d on their way", tr, s.works("outbound"))
			}
			var got []string
			papers, ids := 0, map[string]bool{}
			for i, mail := range tr.mails {
				text := s.raw(mail)
				if len(text) > 1_300_000 {
					t.Errorf("part %d has %d bytes", i+1, len(text))
				}
				xs, n := instancesIn(t, text)
				got, papers = append(got, xs...), papers+n
				r := strings.NewReader(text)
				root, err := message.Parse(r, r.Size(), message.Limits{})
				s.must(err)
				part, _, err := mailbox.FindSet(root, r)
				s.must(err)
				p, err := zipmail.ReadPart(root, part)
				s.must(err)
				ids[root.Header.MessageID()] = true
				letter, err := mailbox.ReadLetter(r)
				s.must(err)
				subject := root.Header.Text("Subject")
				if p != (zipmail.Part{Transfer: tr.name, N: i + 1, Of: len(tr.mails), Sets: tr.sets}) || !strings.Contains(subject, fmt.Sprintf("DICOM-ZIP (%d/%d)", i+1, len(tr.mails))) ||
					!root.Closed || root.Header.Get("To") != "lab@south.example" || root.Header.Count("From") != 1 || root.Header.Count("Date") != 1 {
					t.Errorf("part %d: %+v %q\n%.800s", i+1, p, subject, text)
				}
				flat := strings.Join(strings.Fields(letter.Text), " ")
				if strings.Count(flat, attest) != 1 || strings.Count(flat, fmt.Sprintf("This is part %d of %d of one transfer", i+1, len(tr.mails))) != 1 || strings.Contains(tc.text, "compare") != strings.Contains(flat, "compare") {
					t.Errorf("part %d says %q", i+1, letter.Text)
				}
				if strings.Contains(text, "report.pdf") != (i == 0 && strings.Contains(tc.text, "report.pdf")) {
					t.Errorf("the paper beside the set: part %d", i+1)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) || papers != tc.papers || len(ids) != len(tr.mails) || !ids["<p1@north.example>"] {
				t.Errorf("%d of %d instances, %d papers, %v", len(got), len(want), papers, ids)
			}
			if n := s.drafts(); n > 0 {
				t.Errorf("%d drafts are left", n)
			}
			s.restart()
		})
	}
}

// drafts counts those that are left on the disk.
func (s *side) drafts() (n int) {
	for _, name := range s.files() {
		if strings.Contains(name, "drafts") {
			n++
		}
	}
	return n
}

// What cannot be divided, or need not be, is refused with the remedy, or left as it is; nothing of it stays.
func TestSetsThatAreNotDivided(t *testing.T) {
	_, archive := largeStudy(t)
	set := attached("application/zip", "DICOM.ZIP", archive, 76)
	mail := programLetter("x", 1, "mixed", words, set)
	signed := strings.ReplaceAll(programLetter("DICOM-ZIP", 2, "signed", "Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n"+words+"\r\n--in\r\nContent-Type: "+zipmail.ContentType+
		"\r\nContent-Disposition: "+zipmail.Disposition+"\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString(archive)+"\r\n--in--",
		"Content-Type: application/pkcs7-signature\r\n\r\nx"), "multipart/signed;", "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;")
	beside := programLetter("x", 3, "mixed", words, set, attached("application/octet-stream", "film.mp4", make([]byte, 2_000_000), 76))
	xdm := programLetter("x", 4, "mixed", words, attached("application/zip", "DICOM.ZIP", withFile(t, archive, "IHE_XDM/SUBSET01/METADATA.XML"), 76))
	s := newSide(t)
	for name, tc := range map[string]struct {
		text  string
		limit int64
		says  string
	}{
		"signed":    {signed, 1_300_000, "switch signing off"},
		"one image": {mail, 300_000, "one image alone"},
		"beside":    {beside, 1_300_000, "send the other files in a mail of their own"},
		"XDM":       {xdm, 1_300_000, "XDM"},
	} {
		s.Rules = rule.Rules{{Size: tc.limit}}
		if _, err := s.trySubmit(tc.text, lab); !isRefusal(err) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.works("outbound"); n != 0 || len(s.files()) != 0 {
		t.Errorf("%d are on their way; %v", n, s.files())
	}
	s.Rules = rule.Rules{{Size: 10_000_000}}
	s.submitText(mail, lab)
	s.Rules = rule.Rules{{Size: 1_300_000, Sets: rule.AsTheyAre}}
	s.submitText(signed, lab)
	all, err := s.Transfers(t.Context(), by, desk, transit.Outbound)
	s.must(err)
	if len(all) != 0 || s.works("outbound") != 2 {
		t.Errorf("%+v", all)
	}
}

// withFile is an archive with a file more.
func withFile(t *testing.T, archive []byte, name string) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	x, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Write([]byte("<x/>")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A sender, and the size that servers say, count like a rule; what was divided is known for it by each of its messages.
func TestLargest(t *testing.T) {
	_, archive := largeStudy(t)
	s := newSide(t)
	largest := int64(0)
	s.reply = func(c transit.Consignment) transit.Outcome {
		largest = max(largest, c.Body.Size())
		return answers(c, transit.Delivered, 250)
	}
	mail := programLetter("x", 1, "mixed", words, attached("application/zip", "DICOM.ZIP", archive, 76))
	env := transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}, Largest: 2_000_000}
	_, err := s.Submit(t.Context(), by, env, strings.NewReader(mail))
	s.must(err)
	tr := s.partsOf()
	for _, id := range tr.mails {
		s.step("outbound")
		s.must(s.Store.View(t.Context(), func(tx *store.Tx) error {
			m, err := tx.Message(id)
			if err == nil && m.Header.Transfer != tr.id {
				t.Errorf("%s is of transfer %q", id, m.Header.Transfer)
			}
			return err
		}))
	}
	for range tr.mails {
		s.step("deliver")
	}
	if largest > 2_000_000 || largest < 500_000 {
		t.Errorf("a mail of %d bytes left", largest)
	}
}
