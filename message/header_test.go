package message

import (
	"bufio"
	"maps"
	"strings"
	"testing"
)

func header(t testing.TB, s string) Header {
	t.Helper()
	h, err := ReadHeader(bufio.NewReaderSize(strings.NewReader(s), 16), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// DIR-07, DIR-09: fields are found, unfolded and kept exactly.
func TestReadHeader(t *testing.T) {
	for _, eol := range []string{"\n", "\r\n"} {
		src := strings.ReplaceAll("Subject: one\n\t two \nX-Empty:\nSUBJECT: three\nFrom: a@h.example\n\nbody: no\n", "\n", eol)
		br := bufio.NewReader(strings.NewReader(src))
		h, err := ReadHeader(br, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if rest, _ := br.ReadString('\n'); strings.TrimSpace(rest) != "body: no" {
			t.Errorf("the body begins with %q", rest)
		}
		if got := string(h.Bytes()); got != src[:strings.Index(src, eol+eol)+len(eol)] {
			t.Errorf("bytes %q", got)
		}
		if got := h.Values("subject"); len(got) != 2 || got[0] != "one\t two" || got[1] != "three" {
			t.Errorf("values %q", got)
		}
		if h.Get("x-empty") != "" || !h.Has("X-EMPTY") || h.Has("body") || h.Count("Subject") != 2 || len(h.Fields()) != 4 {
			t.Error("the fields are wrong")
		}
		if f := h.Fields()[0]; f.Name != "Subject" || string(f.Raw) != "Subject: one"+eol+"\t two "+eol {
			t.Errorf("field %q", f.Raw)
		}
	}
	if h := header(t, "A: b"); h.Get("a") != "b" {
		t.Error("a header may end with the input")
	}
	if h := header(t, ""); len(h.Fields()) != 0 {
		t.Error("an empty header is one")
	}
	if h := header(t, "Subject : x\n"); h.Get("Subject") != "x" {
		t.Error("RFC 5322 §4.5: white space before the colon is read")
	}
}

// ATT-27.
func TestReadHeaderRefuses(t *testing.T) {
	for src, want := range map[string]string{
		"no colon\n\n":                     "syntax",
		": no name\n\n":                    "syntax",
		" continuation: first\n\n":         "syntax",
		"A: bare\rCR\n\n":                  "syntax",
		"A: NUL\x00\n\n":                   "syntax",
		"A\x01: x\n\n":                     "syntax",
		"Ä: x\n\n":                         "syntax",
		"A B: x\n\n":                       "syntax",
		"Content-Type : x/y\n\n":           "ambiguous",
		"A: x\r\r\n\n":                     "syntax",
		"From x@y Mon Jan  1 00:00:00\n\n": "syntax",
		"A:" + strings.Repeat("x", 64<<10): "limit",
		strings.Repeat("A: "+strings.Repeat("x", 1000)+"\n", 300): "limit",
		strings.Repeat("A:\n", 1001):                              "limit",
	} {
		if _, err := ReadHeader(bufio.NewReader(strings.NewReader(src)), Limits{}); kind(err) != want {
			t.Errorf("%.20q: %v, want %s", src, err, want)
		}
	}
}

func TestContentType(t *testing.T) {
	for v, want := range map[string]string{
		`text/plain`: `text/plain`,
		`Application/PKCS7-MIME; smime-type=enveloped-data; name="smime.p7m"`:                      `application/pkcs7-mime; name=smime.p7m; smime-type=enveloped-data`,
		`multipart/signed; boundary="=_x"; micalg=sha-256; protocol="application/pkcs7-signature"`: `multipart/signed; boundary="=_x"; micalg=sha-256; protocol="application/pkcs7-signature"`,
		`a/b;;; x = "q\"\\" ; `:                        `a/b; x="q\"\\"`,
		`a/b (comment (nested)); x=y (more)`:           `a/b; x=y`,
		`a/b; x=two words; y=z`:                        `a/b; x="two words"; y=z`,
		`a/b; name*=utf-8'de'M%C3%BCller`:              `a/b; name="Müller"`,
		`a/b; name*0*=iso-8859-1''M%FC; name*1="ller"`: `a/b; name="Müller"`,
		`a/b; name*1=B; name*0=A; name*2*=%43`:         `a/b; name=ABC`,
		`a/b; name="plain"; name*=utf-8''ext`:          `a/b; name=ext`,
		`a/b; x=`:                                      `a/b; x=""`,
		`a/b; x=(); y`:                                 `a/b! syntax`,
		`a/b x`:                                        `a/b! syntax`,
		`a/b; x="open`:                                 `a/b! syntax`,
		`a/b; x="a"b`:                                  `a/b! syntax`,
		`a/b; x=1; X=1`:                                `a/b! ambiguous`,
		`a/b; boundary*=us-ascii''b`:                   `a/b! ambiguous`,
		`a/b; protocol*0=b`:                            `a/b! ambiguous`,
		`a/b; name*=x; name*0=y`:                       `a/b! ambiguous`,
		`a`:                                            `/! syntax`,
		`/b`:                                           `/! syntax`,
		`a/`:                                           `/! syntax`,
		`a/b` + strings.Repeat("(", 20):                `a/b! syntax`,
		`a/b` + strings.Repeat(";x=y", 2):              `a/b! ambiguous`,
		`a/b` + manyParams(65):                         `a/b! limit`,
	} {
		c, err := ParseContentType(v)
		got := c.String()
		if err != nil {
			got += "! " + kind(err)
		}
		if got != want {
			t.Errorf("%.60s\n got  %s\n want %s", v, got, want)
		}
	}
	c, err := Header{}.ContentType()
	if err != nil || !c.Is("text", "plain") || !c.Is("text", "") || c.Is("text", "html") {
		t.Errorf("the default is text/plain: %v %v", c, err)
	}
}

func manyParams(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("; x" + strings.Repeat("y", i) + "=z")
	}
	return b.String()
}

func TestDispositionAndFilename(t *testing.T) {
	h := header(t, "Content-Disposition: ATTACHMENT;\n filename=\"DICOM.ZIP\"\nContent-Type: application/zip; name=other\n")
	k, params, err := h.Disposition()
	if k != "attachment" || err != nil || !maps.Equal(params, map[string]string{"filename": "DICOM.ZIP"}) {
		t.Errorf("%q %v %v", k, params, err)
	}
	for src, want := range map[string]string{
		"Content-Disposition: attachment; filename=\"=?utf-8?b?w6Q=?= x.zip\"\n": "ä x.zip",
		"Content-Type: a/b; name=n.zip\nContent-Disposition: inline\n":           "n.zip",
		"Content-Disposition: attachment; filename*=utf-8''%0d%0a%e2%80%aex\n":   "   x",
		"Subject: x\n": "",
	} {
		h := header(t, src)
		c, _ := h.ContentType()
		if got := (&Part{Header: h, Type: c}).Filename(); got != want {
			t.Errorf("%q: %q, want %q", src, got, want)
		}
	}
}

func TestEncodingField(t *testing.T) {
	for v, want := range map[string]string{" Base64 ": "base64", "base64;": "base64", "(x) 7BIT": "7bit"} {
		if got, err := header(t, "Content-Transfer-Encoding:"+v+"\n").Encoding(); got != want || err != nil {
			t.Errorf("%q: %q %v", v, got, err)
		}
	}
	if _, err := header(t, "Content-Transfer-Encoding: base64 7bit\n").Encoding(); kind(err) != "syntax" {
		t.Error(err)
	}
}

// DIR-09: Message-ID and Date are there, once and well-formed.
func TestMessageIDAndDate(t *testing.T) {
	for v, want := range map[string]string{
		"<a@h.example>": "<a@h.example>", " <a@h.example> (x)": "<a@h.example>", "a@h.example": "", "<a b@h>": "", "<>": "",
		"<a@b><c@d>": "", "<<a@b>>": "", "": "", "<a@b": "", "<ä@b>": "",
	} {
		if got := header(t, "Message-Id: "+v+"\n").MessageID(); got != want {
			t.Errorf("%q: %q, want %q", v, got, want)
		}
	}
	if header(t, "Message-ID: <a@b>\nMessage-ID: <a@b>\n").MessageID() != "" {
		t.Error("two Message-IDs are none")
	}
	ids := header(t, "References: <1@x>\n <2@x> rubbish <3@x\nReferences: <4@x>\n").MessageIDs("references")
	if strings.Join(ids, " ") != "<1@x> <2@x> <4@x>" {
		t.Error(ids)
	}
	d, err := header(t, "Date: Thu, 8 Apr 2010 16:00:19 -0400 (EDT)\n").Date()
	if err != nil || d.Unix() != 1270756819 {
		t.Errorf("%v %v", d, err)
	}
	for _, src := range []string{"", "Date: yesterday\n", "Date: " + strings.Repeat(" (", 500) + "\n"} {
		if _, err := header(t, src).Date(); kind(err) != "syntax" {
			t.Errorf("%.20q: %v", src, err)
		}
	}
	if _, err := header(t, "Date: Thu, 8 Apr 2010 16:00:19 -0400\nDate: x\n").Date(); kind(err) != "ambiguous" {
		t.Error(err)
	}
}

func TestText(t *testing.T) {
	for v, want := range map[string]string{
		"=?utf-8?Q?R=C3=B6ntgen?= =?utf-8?Q?_DICOM-ZIP?=":        "Röntgen DICOM-ZIP",
		"=?iso-8859-15?Q?=A4?= x":                                "€ x",
		"=?utf-8?Q?a=0D=0AInjected:_x?=":                         "a  Injected: x",
		"=?x-none?Q?a?=":                                         "=?x-none?Q?a?=",
		"=?iso-2022-jp?B?GyRCO0VFRBsoQg==?=":                     "仕田",
		"Re: DICOM-ZIP":                                          "Re: DICOM-ZIP",
		"a =?utf-8?Q?b?= c =?utf-8?Q?d?=\t =?utf-8?B?ZQ==?= f=?": "a b c de f=?",
		"(=?utf-8?Q?b?=)=?=?utf-8?Q?c?=":                         "(b)=?c",
		"=?utf-8?Q?" + strings.Repeat("x", 900) + "?=":           strings.Repeat("x", 900),
	} {
		if got := header(t, "Subject: "+v+"\n").Text("subject"); got != want {
			t.Errorf("%q: %q, want %q", v, got, want)
		}
	}
}

// DIR-22: reports are known whatever their header's dress.
func TestIsReport(t *testing.T) {
	for v, want := range map[string]string{
		`multipart/report; report-type=disposition-notification; boundary=b`: "disposition-notification true",
		`Multipart/Report; boundary=b; Report-Type="Delivery-Status"`:        "delivery-status true",
		`multipart/report; boundary="b`:                                      " true",
		"text/plain\nContent-Type: multipart/report; boundary=b":             " true",
		`multipart/mixed; report-type=delivery-status; boundary=b`:           " false",
		``: " false",
	} {
		typ, ok := IsReport(header(t, "Content-Type: "+v+"\n"))
		if got := typ + " " + map[bool]string{true: "true", false: "false"}[ok]; got != want {
			t.Errorf("%s: %s", v, got)
		}
	}
}
