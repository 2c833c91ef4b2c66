package directcontext

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/quotedprintable"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"carepost/message"
)

func full() Context {
	return Context{Version: "1.1", ID: "2142848@north.example", PatientIDs: []PatientID{{"2.16.840.1.113883.19.999", "123456"}, {"1.2.3", "a:b"}},
		Category: "radiology", Action: "report", Purpose: "research", Encapsulation: "hl7v2",
		Patient: []Attribute{{"givenName", "Änne"}, {"surname", "Berg von der Heide zu Sonnenthal"}, {"dateOfBirth", "1980-02-29"}, {"gender", "F"},
			{"streetAddress", "12 Very Long Street Name, Back Entrance"}, {"postalCode", "12345"}},
		CreationTime: "20260302110000", FormatCode: "urn:dt-org:dsm:adt-en:1.0", ContentTypeCode: "34109-9", TypeCode: "x"}
}

// What is written is read again as it was, its lines no longer than mail wants them, whatever their values.
func TestBytes(t *testing.T) {
	b, err := full().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\r\n") {
		if len(line) > 80 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("%q", line)
		}
	}
	c, fs, err := Parse(bytes.NewReader(b))
	if err != nil || len(fs) > 0 || !reflect.DeepEqual(c, full()) {
		t.Errorf("%v %v %+v", err, fs, c)
	}
	for name, spoil := range map[string]func(*Context){
		"no id": func(c *Context) { c.ID = "" }, "line end": func(c *Context) { c.ID = "a\r\ntype: x" }, "no text": func(c *Context) { c.ID = "\xff" },
		"category": func(c *Context) { c.Category = "gossip" }, "action": func(c *Context) { c.Action = "" }, "purpose": func(c *Context) { c.Purpose = "profit" },
		"encapsulation": func(c *Context) { c.Encapsulation = "zip" }, "oid": func(c *Context) { c.PatientIDs[0].Domain = "hospital" },
		"semicolon": func(c *Context) { c.PatientIDs[0].Local = "1; 2.3:4" }, "name": func(c *Context) { c.Patient[0].Name = "mood" },
		"value": func(c *Context) { c.Patient[0].Value = "a; gender=M" }, "twice": func(c *Context) { c.Patient[1].Name = "givenName" },
		"birth": func(c *Context) { c.Patient[2].Value = "29.2.1980" }, "other": func(c *Context) { c.Other = []Attribute{{"x", "y"}} },
		"long": func(c *Context) { c.ID = strings.Repeat("x ", maxContext) + "x" },
	} {
		c := full()
		spoil(&c)
		if b, err := c.Bytes(); !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrLimit) || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The example of the text, and what the world makes of it, in every transfer encoding.
func TestRead(t *testing.T) {
	const example = "version: 1.1\r\nid: 2142848\r\npatient-id: 2.16.840.1.113883.19.999:123456; 2.16.840.1.113883.19.998:abc\r\n" +
		"type: laboratory/report\r\npurpose: research\r\npatient: givenName=John; surname=Doe; middleName=Jacob;\r\n dateOfBirth=1961-12-31; gender=M;\r\n" +
		"\tsocialSecurityNumber=123456789\r\n"
	var qp bytes.Buffer
	w := quotedprintable.NewWriter(&qp)
	w.Write([]byte(example))
	w.Close()
	mail := func(encoding, body string) string {
		return "From: a@north.example\r\nX-Direct-Context: <ctx@north.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n" +
			"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=metadata.txt\r\nContent-ID: <ctx@north.example>\r\n" +
			"Content-Transfer-Encoding: " + encoding + "\r\n\r\n" + body + "\r\n--b\r\nContent-Type: application/x-direct-encapsulated+hl7v2\r\n\r\nMSH|\r\n" +
			"--b\r\nContent-Type: application/x-direct-encapsulated+http\r\n\r\nGET\r\n--b--\r\n"
	}
	for encoding, body := range map[string]string{"7bit": example, "8bit": example, "binary": strings.ReplaceAll(example, "\r\n", "\n"),
		"base64": base64.StdEncoding.EncodeToString([]byte(example)), "quoted-printable": qp.String()} {
		text := mail(encoding, body)
		root := parse(t, text)
		c, fs, err := Read(root, strings.NewReader(text))
		if err != nil || len(fs) > 0 {
			t.Errorf("%s: %v %v", encoding, err, fs)
		}
		if c.ID != "2142848" || c.Category != "laboratory" || c.Action != "report" || c.Purpose != "research" || len(c.PatientIDs) != 2 ||
			c.PatientIDs[1].Local != "abc" || c.Value("surname") != "Doe" || c.Value("socialSecurityNumber") != "123456789" || c.Value("dateOfBirth") != "1961-12-31" {
			t.Errorf("%s: %+v", encoding, c)
		}
		if e := Encapsulated(root); len(e) != 2 || e[0].Type.Subtype != "x-direct-encapsulated+hl7v2" {
			t.Errorf("%d encapsulated", len(e))
		}
	}
	for name, text := range map[string]string{
		"no field":      strings.Replace(mail("7bit", example), "X-Direct-Context", "X-Other", 1),
		"two fields":    "X-Direct-Context: <other@north.example>\r\n" + mail("7bit", example),
		"no id":         strings.Replace(mail("7bit", example), "X-Direct-Context: <ctx@north.example>", "X-Direct-Context: metadata.txt", 1),
		"leads nowhere": strings.Replace(mail("7bit", example), "Content-ID: <ctx", "Content-ID: <other", 1),
		"two parts":     strings.Replace(mail("7bit", example), "--b\r\n\r\nhello", "--b\r\nContent-ID: <ctx@north.example>\r\n\r\nhello", 1),
		"broken base64": mail("base64", "====!"),
	} {
		_, _, err := Read(parse(t, text), strings.NewReader(text))
		if want := map[bool]error{true: ErrNoContext, false: ErrSyntax}[name == "no field"]; !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"<5f1e>", "5f1e", " <5f1e> "} { // no @, no brackets
		text := strings.Replace(mail("7bit", example), "Content-ID: <ctx@north.example>", "Content-ID: "+id, 1)
		text = strings.Replace(text, "Context: <ctx@north.example>", "Context: <5f1e>", 1)
		if c, fs, err := Read(parse(t, text), strings.NewReader(text)); err != nil || len(fs) > 0 || c.ID != "2142848" {
			t.Errorf("%q: %v %v", id, fs, err)
		}
	}
	text := strings.NewReplacer("text/plain", "text/x-ctx", "filename=metadata.txt", "filename=x.txt").Replace(mail("7bit", example))
	if _, fs, err := Read(parse(t, text), strings.NewReader(text)); err != nil || len(fs) != 2 {
		t.Errorf("odd type and name: %v %v", fs, err)
	}
}

func parse(t testing.TB, text string) *message.Part {
	t.Helper()
	root, err := message.Parse(strings.NewReader(text), int64(len(text)), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Odd contexts are read with a finding, those that can be read in two ways are not; no error repeats what it read.
func TestParse(t *testing.T) {
	const head = "version: 1.1\r\nid: 1\r\n"
	for _, c := range []struct{ text, want string }{
		{head, ""},
		{"\ufeff\r\n" + head, ""},
		{"Version: 1.1\nID: 1\n", "context-case context-case"},
		{"version: 9\r\nid: 1\r\n", "context-version"},
		{"type: laboratory/report\r\n", "context-version context-id"},
		{head + "type: gossip/order\r\n", "context-type"},
		{head + "type: general\r\n", "context-type"},
		{head + "purpose: profit\r\n", "context-purpose"},
		{head + "encapsulation: zip\r\n", "context-encapsulation"},
		{head + "patient: mood=good; givenName=A\r\n", "context-patient"},
		{head + "patient: dateOfBirth=31.12.1961\r\n", "context-patient"},
		{head + "patient-id: 4711\r\n", "context-patient-id"},
		{head + "patient-id: urn:oid:1.2.3:4711\r\n", ""},
		{head + "x-mood: good\r\n", ""},
		{head + "patient: Secret\r\n", "syntax"},
		{head + "patient: givenName=Secret; GivenName=B\r\n", "syntax"},
		{head + "id: Secret\r\n", "syntax"},
		{"Secret text without any name\r\n", "syntax"},
		{"version: \xff Secret\r\n", "syntax"},
		{head + strings.Repeat("x: y\r\n", 200), "limit"},
		{head + "patient-id: " + strings.Repeat("1.2:3;", 200) + "\r\n", "limit"},
		{head + "x: " + strings.Repeat("a ", maxContext) + "\r\n", "limit"},
		{strings.Repeat("\r\n", maxContext), "limit"},
	} {
		_, fs, err := Parse(strings.NewReader(c.text))
		var got []string
		for _, f := range fs {
			got = append(got, f.Rule)
		}
		switch {
		case errors.Is(err, ErrLimit):
			got = []string{"limit"}
		case errors.Is(err, ErrSyntax):
			got = []string{"syntax"}
		case err != nil:
			t.Errorf("%q: %v", c.text[:20], err)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%.60q: %q rather than %q", c.text, s, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "Secret") {
			t.Errorf("an error that repeats the content: %v", err)
		}
	}
	c, _, err := Parse(strings.NewReader(head + "x-mood: \x01go\tod\r\npatient: surname=\x1b[2J\r\n"))
	if err == nil && (strings.ContainsAny(c.Other[0].Value, "\x01") || strings.Contains(c.Value("surname"), "\x1b")) {
		t.Errorf("control characters: %+v", c)
	}
	broken := errors.New("disk")
	if _, _, err := Parse(io.MultiReader(strings.NewReader(head), &failing{broken})); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// Python's email package finds the part, and reads the lines as those of a message: so do the implementations in use.
func TestAttachmentPeer(t *testing.T) {
	b, err := full().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var mail bytes.Buffer
	head := new(message.Builder).Add("From", "a@north.example").Add(Field, "<ctx@north.example>")
	if err := message.WriteLetter(&mail, head, "hello", "b", Attachment("<ctx@north.example>", b)); err != nil {
		t.Fatal(err)
	}
	const peer = `
import email, email.policy, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
p = [p for p in m.walk() if p['content-id'] == m['x-direct-context']]
assert len(p) == 1 and p[0].get_content_type() == 'text/plain' and p[0].get_content_disposition() == 'attachment' and p[0].get_filename() == 'metadata.txt'
c = email.message_from_string(p[0].get_content(), policy=email.policy.compat32)
one = lambda n: ' '.join(c[n].split())
assert one('version') == '1.1' and one('type') == 'radiology/report' and one('purpose') == 'research', c.items()
assert one('patient-id') == '2.16.840.1.113883.19.999:123456; 1.2.3:a:b'
said = dict(x.split('=', 1) for x in one('patient').split('; '))
assert said['givenName'] == 'Änne' and said['dateOfBirth'] == '1980-02-29' and said['postalCode'] == '12345', said`
	cmd := exec.Command("/usr/bin/python3", "-X", "utf8", "-c", peer)
	cmd.Stdin = bytes.NewReader(mail.Bytes())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if c, fs, err := Read(parse(t, mail.String()), bytes.NewReader(mail.Bytes())); err != nil || len(fs) > 0 || !reflect.DeepEqual(c, full()) {
		t.Errorf("%v %v %+v", err, fs, c)
	}
}

func TestArguments(t *testing.T) {
	if c, a, err := ParseType(" Radiology/Report "); err != nil || c != "radiology" || a != "report" {
		t.Error(c, a, err)
	}
	if p, err := ParsePurpose("Treatment"); err != nil || p != "treatment" {
		t.Error(p, err)
	}
	if list, err := ParsePatient("GIVENNAME=Ann; surname=Berg"); err != nil || list[0].Name != "givenName" {
		t.Error(list, err)
	}
	if _, err := ParsePatient("first=Ann"); err == nil || !strings.Contains(err.Error(), "givenName") {
		t.Error(err)
	}
	for _, bad := range []string{"", "radiology", "radiology/gossip", "/"} {
		if _, _, err := ParseType(bad); err == nil {
			t.Errorf("type %q", bad)
		}
	}
	for _, bad := range []string{"", "4711", "1.2.3:", "x:4711", "1..2:3", "1.2.3:4;5"} {
		if _, err := ParsePatientID(bad); err == nil {
			t.Errorf("patient %q", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, _ := full().Bytes()
	f.Add(b)
	f.Add([]byte("version: 1.1\nid: 1\npatient: a=b; c=d\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _, err := Parse(bytes.NewReader(b))
		if err != nil {
			return
		}
		c.Other = nil
		out, err := c.Bytes()
		if err != nil {
			return
		}
		again, _, err := Parse(bytes.NewReader(out)) // what can be written says the same again
		again.Other = nil
		if c.Version == "" {
			c.Version = Version
		}
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("%+v became %+v (%v)\n%q", c, again, err, out)
		}
	})
}
