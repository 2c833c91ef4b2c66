package flow_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/mailbox"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// studyZIP is the demo's study, packed.
func studyZIP(t *testing.T) []byte {
	t.Helper()
	p, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, "../demo/study/files")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.WriteZIP(t.Context(), &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rezipped packs the files of an archive again as an ordinary ZIP tool does, under other names; "" leaves one out.
func rezipped(t *testing.T, archive []byte, name func(string) string) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range r.File {
		to := name(f.Name)
		if to == "" {
			continue
		}
		from, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// attached is a part as mail programs write them; width is that of its lines of base64.
func attached(kind, name string, b []byte, width int) string {
	text := base64.StdEncoding.EncodeToString(b)
	var lines strings.Builder
	for len(text) > width {
		lines.WriteString(text[:width] + "\r\n")
		text = text[width:]
	}
	return "Content-Type: " + kind + ";\r\n name=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n filename=\"" + name +
		"\"\r\n\r\n" + lines.String() + text
}

// programLetter is what a mail program submits.
func programLetter(subject string, n int, kind string, parts ...string) string {
	text := fmt.Sprintf("From: desk@north.example\r\nTo: lab@south.example\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <p%d@north.example>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: multipart/%s; boundary=\"cut here\"\r\n\r\nThis is MIME.\r\n", subject, n, kind)
	for _, p := range parts {
		text += "--cut here\r\n" + p + "\r\n"
	}
	return text + "--cut here--\r\n"
}

const (
	words  = "Content-Type: text/plain\r\n\r\nPlease compare."
	alike  = "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nPlease compare.\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>Please compare.\r\n--x--"
	attest = "By signing this mail, desk@north.example attests to be authorised to disclose its contents to you (DICOM PS3.15 B.8)."
)

// exactly says what a message that leaves departs from the profile in, and judges its set.
func exactly(t *testing.T, text string) (*message.Part, *fileset.Report) {
	t.Helper()
	r := strings.NewReader(text)
	root, err := message.Parse(r, r.Size(), message.Limits{})
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, text)
	}
	part, findings := zipmail.Find(root)
	if part == nil || len(findings) > 0 {
		t.Fatalf("%v\n%.2000s", findings, text)
	}
	if !zipmail.ExactPart(part.Header) || !zipmail.ExactSubject(root.Header) {
		t.Errorf("not exact: %.1500s", text)
	}
	archive, err := io.ReadAll(part.Open(r))
	if err != nil {
		t.Fatal(err)
	}
	report, err := fileset.CheckZIP(t.Context(), bytes.NewReader(archive), int64(len(archive)), fileset.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return root, report
}

// What an ordinary mail program attaches leaves exactly as the standard has it. DCM-29, DCM-04, DCM-05, DCM-26, DCM-23.
func TestSetsLeaveExactly(t *testing.T) {
	archive := studyZIP(t)
	plainZIP := rezipped(t, archive, func(n string) string { return n })
	image := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("../demo/study/files", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	all, err := os.ReadDir("../demo/study/files")
	if err != nil {
		t.Fatal(err)
	}
	loose := []string{words}
	for i, e := range all {
		kind := []string{"application/dicom", "application/octet-stream"}[i%2]
		loose = append(loose, attached(kind, fmt.Sprintf("image %d.dcm", i), image(e.Name()), []int{76, 60}[i%2]))
	}
	s := newSide(t)
	n := 0
	for name, tc := range map[string]struct {
		subject, kind string
		parts         []string
		says          string // the subject that leaves
		leaves        int
	}{
		"Windows":           {"the images", "mixed", []string{words, attached("application/x-zip-compressed", "images.zip", archive, 76)}, "DICOM-ZIP the images", 2},
		"another tool":      {"the images", "mixed", []string{words, attached("application/octet-stream", "Export.ZIP", plainZIP, 72)}, "DICOM-ZIP the images", 2},
		"a text file":       {"Re: DICOM-ZIP x", "mixed", []string{words, attached("application/zip", "a.zip", archive, 76), attached("text/plain", "n.txt", []byte("n"), 76)}, "Re: DICOM-ZIP x", 3},
		"set first":         {"dicom-zip", "mixed", []string{attached("application/zip", "a.zip", archive, 76), words}, "DICOM-ZIP dicom-zip", 2},
		"HTML":              {"=?utf-8?q?DICOM-ZIP_Gr=C3=B6=C3=9Fe?=", "mixed", []string{alike, attached("application/zip", "DICOM.ZIP", archive, 76)}, "DICOM-ZIP Größe", 3},
		"related":           {"x", "related", []string{words, attached("application/zip", "DICOM.ZIP", archive, 76)}, "DICOM-ZIP x", 2},
		"odd lines":         {"x", "mixed", []string{words, strings.Replace(attached("application/zip", "DICOM.ZIP", archive, 76), "\r\n\r\n", "\r\n\r\n\r\n", 1)}, "DICOM-ZIP x", 2},
		"images one by one": {"tooth 11", "mixed", append(loose, attached("application/pdf", "r.pdf", []byte("%PDF"), 76)), "DICOM-ZIP tooth 11", 3},
		"images alone":      {"tooth 11", "mixed", loose[1:], "DICOM-ZIP tooth 11", 1},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			before := s.audited("message.accept")
			id := s.submitText(programLetter(tc.subject, n, tc.kind, tc.parts...), lab)
			text := s.raw(id)
			root, report := exactly(t, text)
			if report.Verdict != fileset.Complete || report.Found != len(all) {
				t.Errorf("%v, %d of %d", report.Verdict, report.Found, len(all))
			}
			if got := root.Header.Text("Subject"); got != tc.says {
				t.Errorf("the subject is %q", got)
			}
			found := 0
			for p := range root.Walk() {
				if len(p.Parts) == 0 {
					found++
				}
			}
			if found != tc.leaves+1 { // with what the signature attests
				t.Errorf("%d parts, want %d\n%.1500s", found, tc.leaves+1, text)
			}
			if strings.Count(strings.ReplaceAll(text, "=\r\n", ""), attest) != 1 || s.audited("message.accept") != before+1 {
				t.Errorf("the attestation is missing, or there twice:\n%.1500s", text)
			}
			if tl, err := s.Timeline(t.Context(), by, id); err != nil || tl.Message.Header.Attests != "test" || tl.Message.Header.Subject != tc.says {
				t.Errorf("%v, %+v", err, tl.Message.Header)
			}
		})
	}
	alone := strings.Replace(programLetter("x", 99, "mixed"), "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"cut here\"\r\n\r\nThis is MIME.\r\n--cut here--\r\n",
		attached("application/zip", "x.zip", archive, 76), 1)
	root, report := exactly(t, s.raw(s.submitText(alone, lab)))
	if report.Verdict != fileset.Complete || len(root.Parts) != 2 || !root.Parts[0].Type.Is("text", "plain") || !root.Header.Has("MIME-Version") {
		t.Errorf("a set without text: %v, %d parts", report.Verdict, len(root.Parts))
	}
}

// What Carepost has composed, and what is exact already, leaves octet for octet.
func TestExactSetsStay(t *testing.T) {
	s := newSide(t)
	archive := studyZIP(t)
	var b bytes.Buffer
	p, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, "../demo/study/files")
	s.must(err)
	s.must(zipmail.ComposeSet(&b, zipmail.Letter{From: desk, To: []addr.Address{lab}, Subject: "x", Text: "Größe", Date: s.now, MessageID: "<c@north.example>"},
		p.Instances, func(w io.Writer) error { _, err := w.Write(archive); return err }, "of-ours"))
	if got := s.raw(s.submitText(b.String(), lab)); got != b.String() {
		t.Errorf("changed:\n%.2000s", got)
	}
	papers := programLetter("papers", 2, "mixed", words, attached("application/zip", "papers.zip", rezipped(t, archive, func(n string) string { return map[string]string{"MANIFEST": "a.txt"}[n] }), 76))
	if got := s.raw(s.submitText(papers, lab)); got != papers {
		t.Errorf("a ZIP of papers was changed:\n%.2000s", got)
	}
}

// What the recipient could not rely on does not leave, and the answer says what to do; it names nobody. DCM-29, DCM-22, DCM-12, DCM-31.
func TestSetsThatDoNotLeave(t *testing.T) {
	archive := studyZIP(t)
	flipped := bytes.Clone(archive)
	flipped[len(flipped)/2] ^= 1
	without := func(left string) []byte {
		return rezipped(t, archive, func(n string) string {
			if n == left {
				return ""
			}
			return n
		})
	}
	names, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	one := ""
	for _, f := range names.File {
		if f.Name != "DICOMDIR" && f.Name != "MANIFEST" {
			one = f.Name
		}
	}
	image, err := os.ReadFile("../demo/study/files/periapical.dcm")
	if err != nil {
		t.Fatal(err)
	}
	set := func(b []byte) string { return attached("application/zip", "images.zip", b, 76) }
	cut := programLetter("x", 8, "mixed", words, set(archive))
	signed := strings.ReplaceAll(programLetter("x", 9, "signed", "Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n"+words+"\r\n--in\r\n"+set(archive)+"\r\n--in--",
		"Content-Type: application/pkcs7-signature\r\n\r\nx"), "multipart/signed;", "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256;")
	s := newSide(t)
	for name, tc := range map[string]struct{ text, clause, says string }{
		"damaged":          {programLetter("x", 1, "mixed", words, set(flipped)), "", "damaged"},
		"cut archive":      {programLetter("x", 2, "mixed", words, attached("application/zip", "DICOM.ZIP", archive[:len(archive)/2], 76)), "", "make it anew"},
		"cut base64":       {programLetter("x", 3, "mixed", words, strings.TrimRight(set(archive), "=")+"!"), "", "attach it anew"},
		"an image is gone": {programLetter("x", 4, "mixed", words, set(without(one))), "PS3.12 Y.1.2.2", "lacks 1 of the 4"},
		"no DICOMDIR":      {programLetter("DICOM-ZIP", 5, "mixed", words, set(without("DICOMDIR"))), "PS3.12 Y.1.2.2", "carepost dicom pack"},
		"one of two":       {programLetter("x", 6, "mixed", words, set(archive), set(without(one))), "PS3.12 Y.1.2.2", "lacks 1 of the 4"},
		"behind papers":    {programLetter("x", 7, "mixed", words, attached("application/zip", "papers.zip", papersZIP(t), 76), set(without(one))), "PS3.12 Y.1.2.2", "lacks 1 of the 4"},
		"images beside":    {programLetter("x", 12, "related", words, set(archive), attached("application/octet-stream", "a.dcm", image, 76)), "PS3.11 X.3.3", "one DICOM.ZIP"},
		"a set as text": {strings.Replace(programLetter("x", 13, "mixed"), "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"cut here\"\r\n\r\nThis is MIME.\r\n--cut here--\r\n",
			attached("text/plain", "DICOM.ZIP", without(one), 76), 1), "PS3.12 Y.1.2.2", "lacks 1 of the 4"},
		"cut mail":       {strings.TrimSuffix(cut, "--cut here--\r\n"), "RFC 2046 §5.1.1", "send it again"},
		"signed":         {signed, "PS3.11 X.3.2", "switch signing off"},
		"names somebody": {programLetter("Molar, 47", 10, "mixed", words, set(archive)), "PS3.15 B.8", "say it in the text"},
	} {
		_, err := s.trySubmit(tc.text, lab)
		r := (*flow.Refusal)(nil)
		if !errors.As(err, &r) || tc.clause != "" && r.Clause != tc.clause || !strings.Contains(r.Reason, tc.says) || strings.Contains(r.Reason, one) || strings.Contains(r.Reason, "images.zip") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.works("outbound"); n != 0 {
		t.Errorf("%d are on their way", n)
	}
	// Who takes it on himself is written down; and an operator may have them pass.
	env := transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}, Overruled: []string{string(zipmail.NamedSubject)}}
	if _, err := s.Submit(t.Context(), by, env, strings.NewReader(programLetter("Molar, 47", 10, "mixed", words, set(archive)))); err != nil {
		t.Error(err)
	}
	if d := s.lastDetail("message.accept"); d["overruled"] != "subject" || d["attests"] != "test" || !strings.HasPrefix(d["file-set"], "COMPLETE") {
		t.Errorf("%v", d)
	}
	s.Rules = rule.Rules{{Sets: rule.AsTheyAre}}
	if got := s.raw(s.submitText(signed, lab)); got != signed {
		t.Error("changed although nobody is to look at it")
	}
	s.submitText(cut[:len(cut)-20], lab)
}

// A statement that must stand in the body is added where it is missing. DCM-31, PS3.15 B.8 note 2.
func TestStatements(t *testing.T) {
	const must = "This mail is for its recipient alone.\nDo not pass it on."
	s := newSide(t)
	s.Rules = rule.Rules{{With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}, Statement: must}}
	flat := func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, "=\r\n", ""), "\r\n", "\n")
	}
	plain := letter(desk, "hello", lab)
	got := s.raw(s.submitText(plain, lab))
	r := strings.NewReader(got)
	root, err := message.Parse(r, r.Size(), message.Limits{})
	s.must(err)
	if !root.Type.Is("multipart", "mixed") || len(root.Parts) != 2 || !root.Closed || !strings.Contains(flat(got), must) || strings.Count(got, "hello") != 1 {
		t.Errorf("%s", got)
	}
	mixed := programLetter("x", 1, "mixed", alike, attached("application/pdf", "r.pdf", []byte("%PDF"), 76))
	got = s.raw(s.submitText(mixed, lab))
	r = strings.NewReader(got)
	root, err = message.Parse(r, r.Size(), message.Limits{})
	s.must(err)
	if len(root.Parts) != 3 || !root.Parts[1].Type.Is("text", "plain") || !strings.Contains(flat(got), must) {
		t.Errorf("%s", got)
	}
	has := letter(desk, "hello\r\n\r\nThis mail is for its\r\nrecipient alone. Do not pass it on.", lab)
	if got := s.raw(s.submitText(has, lab)); got != has {
		t.Errorf("changed: %s", got)
	}
	other := letter(desk, "hello", ward)
	if got := s.raw(s.submitText(other, ward)); got != other {
		t.Errorf("changed: %s", got)
	}
	signed := strings.ReplaceAll(programLetter("x", 9, "signed", words, "Content-Type: application/pkcs7-signature\r\n\r\nx"), "multipart/signed;", "multipart/signed; micalg=sha-256;")
	if _, err := s.trySubmit(signed, lab); !isRefusal(err) || !strings.Contains(err.Error(), "switch signing off") {
		t.Errorf("signed: %v", err)
	}
}

// lastDetail is that of the newest entry of an action.
func (s *side) lastDetail(action string) (d map[string]string) {
	s.t.Helper()
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action, Limit: 1000})
		seq := int64(-1)
		for _, r := range all {
			if r.Seq > seq {
				seq, d = r.Seq, r.Detail
			}
		}
		return err
	}))
	return d
}

// What must not stand in subject or text is turned away, and the report says what to do; an attachment is not looked at. DCM-31.
func TestProhibited(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{{Prohibit: []*regexp.Regexp{regexp.MustCompile(`(?i)\bborn\b`)}}}
	good := s.submitText(programLetter("x", 1, "mixed", words, attached("text/csv", "b.csv", []byte("reborn, unborn"), 76)), lab)
	bad := s.submitText(programLetter("x", 2, "mixed", "Content-Type: text/html\r\n\r\n<b>Born</b> in May"), lab)
	titled := s.submitText(programLetter("Born in May", 3, "mixed", words), lab)
	for range 3 {
		s.step("outbound")
	}
	if a, b, c := s.recipient(good, lab).State, s.recipient(bad, lab).State, s.recipient(titled, lab).State; a != transit.Sealed || b != transit.Failed || c != transit.Failed {
		t.Errorf("%q, %q, %q", a, b, c)
	}
	mails := s.inbox()
	if len(mails) != 2 {
		t.Fatalf("%d reports", len(mails))
	}
	if r, text := s.status(mails[0]), strings.ReplaceAll(s.text(mails[0]), "=\r\n", ""); r.Recipients[0].Code != "5.7.1" || !strings.Contains(text, "expression 1") || !strings.Contains(text, "leave it out") {
		t.Errorf("%s", text)
	}
}

// Whatever a mail program writes: what leaves can be read in one way, and a set in it is exact and COMPLETE.
func TestPreparesAnything(t *testing.T) {
	seed := uint64(29)
	if os.Getenv("CAREPOST_FULL") != "" {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	r := mathrand.New(mathrand.NewPCG(seed, 29))
	s := newSide(t)
	s.Rules = rule.Rules{{Statement: "For the addressee alone."}}
	archive := studyZIP(t)
	image, err := os.ReadFile("../demo/study/files/periapical.dcm")
	s.must(err)
	if len(image) > 1<<20 {
		t.Fatal("too long an image for so many tries")
	}
	taken := 0
	for i := range 60 {
		parts := []string{words, attached("application/octet-stream", "a.dcm", image, 76), attached("application/zip", "b.zip", archive, 76), alike}
		r.Shuffle(len(parts), func(a, b int) { parts[a], parts[b] = parts[b], parts[a] })
		b := []byte(programLetter("x", 1000+i, []string{"mixed", "related", "signed"}[r.IntN(3)], parts[:1+r.IntN(len(parts))]...))
		for range r.IntN(3) {
			at := bytes.Index(b, []byte("\r\n\r\n")) + r.IntN(1200) - 300
			at = max(0, min(at, len(b)-20))
			switch r.IntN(3) {
			case 0:
				b[at] = "\r\n-;= \"Az"[r.IntN(9)]
			case 1:
				b = append(b[:at], b[at+1+r.IntN(10):]...)
			case 2:
				b = slices.Insert(b, at, []byte([]string{"--cut here\r\n", "--cut here--\r\n", "\r\n\r\n", "Content-Type: text/plain\r\n"}[r.IntN(4)])...)
			}
		}
		id, err := s.trySubmit(string(b), lab)
		if isRefusal(err) {
			continue
		}
		s.must(err)
		taken++
		text := s.raw(id)
		rd := strings.NewReader(text)
		root, err := message.Parse(rd, rd.Size(), message.Limits{})
		if err != nil {
			if text != completedText(string(b), text) {
				t.Fatalf("changed into what cannot be read: %v\n%.1500s", err, text)
			}
			continue
		}
		if _, _, err := mailbox.FindSet(root, rd); err == nil && !strings.Contains(text, "multipart/signed") {
			if _, report := exactly(t, text); report.Verdict != fileset.Complete {
				t.Fatalf("%v left:\n%.1500s", report.Verdict, text)
			}
		}
	}
	if taken < 5 {
		t.Errorf("only %d were taken", taken)
	}
}

// completedText is text where it is what was submitted, but for fields that were left out in it.
func completedText(submitted, text string) string {
	_, want, _ := strings.Cut(submitted, "\r\n\r\n")
	if _, got, ok := strings.Cut(text, "\r\n\r\n"); ok && got == want {
		return text
	}
	return submitted
}
