package xdm

import (
	"mime"
	"strings"
	"testing"

	"carepost/message"
)

// DIR-08: the subject holds the tag in ASCII whatever the rest is, with others joined to it.
func TestSubject(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "XDM/1.0/DDM"}, {"Referral", "XDM/1.0/DDM Referral"}, {"Re: XDM/1.0/DDM Referral", "Re: XDM/1.0/DDM Referral"},
		{"Größe", "XDM/1.0/DDM =?utf-8?b?R3LDtsOfZQ==?="},
	} {
		got := Subject(c.in)
		if got != c.want || !HasPhrase(got) {
			t.Errorf("%q: %q rather than %q", c.in, got, c.want)
		}
	}
	if got := Subject("Für Sie", "DICOM-ZIP"); !strings.HasPrefix(got, "XDM/1.0/DDM/DICOM-ZIP ") {
		t.Error(got)
	}
	if got := Subject("XDM/1.0/DDM/DICOM-ZIP Für Sie", "DICOM-ZIP"); !strings.HasPrefix(got, "XDM/1.0/DDM/DICOM-ZIP ") || message.DecodeText(got) != "XDM/1.0/DDM/DICOM-ZIP Für Sie" {
		t.Error(got)
	}
	if !HasPhrase("XDM/1.0/DDM+label NAME") || HasPhrase("about XDM") {
		t.Error("what the world writes")
	}
	for id, want := range map[string]string{"<a.b@north.example>": "a.b-north.example-xdm.zip", "": "xdm.zip", `<"../x"@y>`: "x-y-xdm.zip",
		"<" + strings.Repeat("x", 999) + "@y>": strings.Repeat("x", 150) + "-xdm.zip"} {
		_, params, err := mime.ParseMediaType(Disposition(id))
		if err != nil || params["filename"] != want || ContentType(id) != `application/zip; name="`+want+`"` {
			t.Errorf("%s: %v %v", id, params, err)
		}
	}
}

// Packages are sent as ZIP, as anything, and as XML: MT 28 and 29 of the edge test tool.
func TestCandidates(t *testing.T) {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
	for _, p := range []string{"text/plain", "application/octet-stream", "text/xml", "image/png; name=x.zip", "application/pdf", "application/zip"} {
		b.WriteString("--b\r\nContent-Type: " + p + "\r\n\r\nx\r\n")
	}
	b.WriteString(strings.Repeat("--b\r\nContent-Type: application/xml\r\n\r\nx\r\n", 100) + "--b--\r\n")
	root, err := message.Parse(strings.NewReader(b.String()), int64(b.Len()), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range Candidates(root) {
		got = append(got, p.Type.Type+"/"+p.Type.Subtype)
	}
	if len(got) != maxCandidates || strings.Join(got[:4], " ") != "application/zip image/png application/octet-stream text/xml" {
		t.Error(got)
	}
	if len(Candidates(&message.Part{})) != 0 {
		t.Error("a part of nothing")
	}
}
