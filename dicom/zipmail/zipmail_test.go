package zipmail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/message"
)

// objects is the folder of real objects. Without it nothing is proven: the test fails.
func objects(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	if _, err := os.Stat(filepath.Join(dir, "dicom", "fileset", "DICOMDIR")); err != nil {
		t.Fatalf("the shared test data is not at %s; set CAREPOST_TESTDATA", dir)
	}
	return filepath.Join(dir, "dicom", "files")
}

func plan(t testing.TB, names ...string) *fileset.Plan {
	t.Helper()
	paths := make([]string, len(names))
	for i, n := range names {
		paths[i] = filepath.Join(objects(t), n+".dcm")
	}
	p, err := fileset.Scan(context.Background(), fileset.ScanOptions{}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func letter(t testing.TB) Letter {
	t.Helper()
	from, err := addr.Parse("reading@north.example")
	if err != nil {
		t.Fatal(err)
	}
	to, err := addr.Parse("dr.lee@south.example")
	if err != nil {
		t.Fatal(err)
	}
	return Letter{From: from, To: []addr.Address{to}, Text: "Please compare with last year's. Größe beachten.\n.\n",
		Date: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC), MessageID: "<1@north.example>"}
}

func compose(t testing.TB, l Letter, p *fileset.Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Compose(context.Background(), &b, l, p, "boundary-1", nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parse(t testing.TB, b []byte) *message.Part {
	t.Helper()
	root, err := message.Parse(bytes.NewReader(b), int64(len(b)), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// DCM-04, DCM-05, DCM-16, DCM-19: the headers exactly as X.3.2 has them, the set whole inside.
func TestCompose(t *testing.T) {
	p := plan(t, "io8", "io12", "dx10")
	l := letter(t)
	l.Profile = Dental
	b := compose(t, l, p)
	for _, line := range []string{
		"\r\nSubject: DICOM-ZIP\r\n",
		"\r\nContent-Type: application/zip; id=\"DICOM.ZIP\"; name=\"DICOM.ZIP\"\r\n",
		"\r\nContent-Disposition: attachment; filename=\"DICOM.ZIP\"\r\n",
		"\r\nMIME-Version: 1.0\r\n", "\r\nTo: dr.lee@south.example\r\n",
	} {
		if bytes.Count(b, []byte(line)) != 1 {
			t.Errorf("%q stands %d times in the mail", line, bytes.Count(b, []byte(line)))
		}
	}
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		if len(line) > 79 || len(line) > 0 && line[len(line)-1] != '\r' || bytes.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("a line that mail may break: %q", line)
		}
	}
	root := parse(t, b)
	part, findings := Find(root)
	if part == nil || len(findings) > 0 {
		t.Fatalf("%v", findings)
	}
	zip, err := io.ReadAll(part.Open(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := fileset.CheckZIP(context.Background(), bytes.NewReader(zip), int64(len(zip)), fileset.CheckOptions{})
	if err != nil || r.Verdict != fileset.Complete || r.Instances != 3 {
		t.Errorf("%v %+v", err, r)
	}
	text, err := io.ReadAll(root.Parts[0].Open(bytes.NewReader(b)))
	if err != nil || strings.ReplaceAll(string(text), "\r\n", "\n") != l.Text+"\n"+Attestation(l.From)+"\n" { // DCM-26
		t.Errorf("the text became %q %v", text, err)
	}
	if bytes.Contains(b, []byte("Tooth")) || bytes.Contains(b, []byte("DENT01")) {
		t.Error("patient data outside the archive")
	}
}

// DCM-23, DCM-28: another maker's mail library takes the attachment out.
func TestComposePeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.eml")
	if err := os.WriteFile(path, compose(t, letter(t), plan(t, "io8", "kos")), 0o666); err != nil {
		t.Fatal(err)
	}
	const peer = `
import email, email.policy, io, sys, zipfile
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
assert not m.defects, m.defects
a = [p for p in m.iter_attachments()]
assert len(a) == 1 and a[0].get_filename() == 'DICOM.ZIP' and a[0].get_content_type() == 'application/zip'
z = zipfile.ZipFile(io.BytesIO(a[0].get_content()))
assert z.testzip() is None
print(z.namelist()[0], len(z.namelist()), m.get_body().get_content().strip().splitlines()[0])`
	out, err := exec.Command("/usr/bin/python3", "-c", peer, path).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "DICOMDIR 4 Please compare") {
		t.Errorf("%v %s", err, out)
	}
}

func TestSubject(t *testing.T) {
	for in, want := range map[string]string{
		"": "DICOM-ZIP", "Re: DICOM-ZIP for Dr Fred": "Re: DICOM-ZIP for Dr Fred", "for Dr Fred": "DICOM-ZIP for Dr Fred",
		"re: dicom-zip": "DICOM-ZIP re: dicom-zip", "Für Sie: DICOM-ZIP": "DICOM-ZIP =?utf-8?b?RsO8ciBTaWU6?=",
	} {
		if got := Subject(in); got != want || !HasPhrase(got) {
			t.Errorf("%q: %q rather than %q", in, got, want)
		}
	}
	l := letter(t)
	l.Subject = "x\r\nBcc: spy@evil.example"
	if err := Compose(context.Background(), io.Discard, l, plan(t, "io8"), "b", nil); err == nil {
		t.Error("a line end in the subject")
	}
	if got, err := new(mime.WordDecoder).DecodeHeader(Subject("=?utf-8?q?Berg?= hip")); err != nil || strings.Contains(got, " Berg ") {
		t.Errorf("text that is decoded once more: %q %v", got, err)
	}
}

// DCM-28, DCM-29: mails of ordinary programs are read, and every departure is named.
func TestFind(t *testing.T) {
	const good = "Content-Type: application/zip; id=\"DICOM.ZIP\"; name=\"DICOM.ZIP\"\r\nContent-Disposition: attachment; filename=\"DICOM.ZIP\"\r\n"
	const ordinary = "Content-Type: application/zip; name=\"DICOM.ZIP\"\r\nContent-Disposition: attachment; filename=\"DICOM.ZIP\"\r\n"
	mail := func(subject string, parts ...string) string {
		var b strings.Builder
		b.WriteString("From: a@b.example\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
		for _, p := range parts {
			b.WriteString("--b\r\n" + p + "\r\nUEs=\r\n")
		}
		return b.String() + "--b--\r\n"
	}
	for _, c := range []struct {
		name, mail string
		found      bool
		rules      string
	}{
		{"exact", mail("DICOM-ZIP", "\r\n", good), true, ""},
		{"subject after Re:", mail("Re: DICOM-ZIP for Dr Fred", good), true, ""},
		{"subject encoded", mail("=?utf-8?q?F=C3=BCr_Sie_DICOM-ZIP?=", good), true, ""},
		{"no phrase", mail("your images", good), true, "mail-subject"},
		{"no id", mail("DICOM-ZIP", ordinary), true, "mail-attachment-id"},
		{"octet-stream", mail("DICOM-ZIP", "Content-Type: application/octet-stream; name=\"DICOM.ZIP\"\r\nContent-Disposition: attachment; filename=\"DICOM.ZIP\"\r\n"), true, "mail-content-type mail-attachment-id"},
		{"x-zip-compressed, other name", mail("DICOM-ZIP", "Content-Type: application/x-zip-compressed; name=\"images.zip\"\r\nContent-Disposition: attachment; filename=\"images.zip\"\r\n"), true, "mail-content-type mail-attachment-id mail-disposition"},
		{"lower case", mail("DICOM-ZIP", "Content-Type: application/zip\r\nContent-Disposition: attachment; filename=\"dicom.zip\"\r\n"), true, "mail-attachment-id mail-disposition"},
		{"inline", mail("DICOM-ZIP", strings.Replace(good, "attachment", "inline", 1)), true, "mail-disposition"},
		{"the right one of two", mail("DICOM-ZIP", "Content-Type: application/zip; name=\"notes.zip\"\r\nContent-Disposition: attachment; filename=\"notes.zip\"\r\n", good), true, ""},
		{"two sets (DCM-12)", mail("DICOM-ZIP", good, good), true, "mail-two-sets"},
		{"cut", strings.TrimSuffix(mail("DICOM-ZIP", good), "--b--\r\n"), true, "mail-cut"},
		{"none", mail("DICOM-ZIP", "Content-Type: text/plain\r\n"), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			part, findings := Find(parse(t, []byte(c.mail)))
			var rules []string
			for _, f := range findings {
				rules = append(rules, f.Rule)
			}
			if got := strings.Join(rules, " "); (part != nil) != c.found || got != c.rules {
				t.Errorf("found %v, %q rather than %q", part != nil, got, c.rules)
			}
			if c.name == "the right one of two" && part.Filename() != "DICOM.ZIP" {
				t.Errorf("took %s", part.Filename())
			}
		})
	}
}

// DCM-01, DCM-09, DCM-10, DCM-11: what the dental profile asks, judged as dciodvfy -profile Dental does.
func TestDental(t *testing.T) {
	for name, want := range map[string]string{
		"io8": "", "io12": "", "io8_utf8": "", "dx10": "",
		"io14_bad": "dental-bits", "io_nodetid_bad": "dental-attribute", "kos": "dental-sop-class", "CT_small": "dental-sop-class",
		"SC_rgb_jpeg_dcmtk": "dental-sop-class",
	} {
		p := plan(t, name)
		findings := CheckProfile(Dental, p.Instances)
		if want == "" && len(findings) > 0 || want != "" && (len(findings) == 0 || findings[0].Rule != want) {
			t.Errorf("%s: %v rather than %q", name, findings, want)
		}
		if len(CheckProfile(GenSec, p.Instances)) > 0 || (Suggest(p.Instances) == Dental) != (want == "") {
			t.Errorf("%s: suggested %v", name, Suggest(p.Instances))
		}
		if !strings.HasPrefix(name, "io") && name != "dx10" {
			continue
		}
		out, err := exec.Command("dciodvfy", "-profile", "Dental", p.Instances[0].Source).CombinedOutput()
		if len(out) == 0 {
			t.Fatal(err)
		}
		if bytes.Contains(out, []byte("Error")) != (want != "") {
			t.Errorf("%s: dciodvfy says\n%s", name, out)
		}
	}
	implicit := plan(t, "io8").Instances
	implicit[0].TransferSyntax = "1.2.840.10008.1.2"
	if fs := CheckProfile(Dental, implicit); len(fs) != 1 || fs[0].Rule != "dental-transfer-syntax" {
		t.Errorf("implicit: %v", fs)
	}
	l := letter(t)
	l.Profile = Dental
	var w bytes.Buffer
	var bad *ProfileError
	err := Compose(context.Background(), &w, l, plan(t, "io8", "io14_bad"), "b", nil)
	if !errors.As(err, &bad) || w.Len() > 0 || !strings.Contains(err.Error(), "io14_bad.dcm") || bad.Fits != GenSec {
		t.Errorf("%v, %d bytes written", err, w.Len())
	}
}

func TestParseProfile(t *testing.T) {
	for in, want := range map[string]Profile{"gen": Gen, "gen-sec": GenSec, "dental": Dental, "STD-DTL-SEC-ZIP-MAIL": Dental} {
		if got, err := ParseProfile(in); err != nil || got != want {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	if _, err := ParseProfile("cardiac"); err == nil {
		t.Error("an unknown profile")
	}
	if Gen.Secure() || !GenSec.Secure() || !Dental.Secure() { // DCM-08, DCM-32
		t.Error("secure profiles")
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte("Subject: DICOM-ZIP\r\nContent-Type: application/zip; id=\"DICOM.ZIP\"\r\n\r\nUEs="))
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := message.Parse(bytes.NewReader(b), int64(len(b)), message.Limits{})
		if err == nil {
			Find(root)
		}
	})
}
