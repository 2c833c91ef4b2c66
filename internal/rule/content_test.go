package rule_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/transit"
)

func look(t *testing.T, text string) rule.Content {
	t.Helper()
	text = strings.ReplaceAll(text, "\n", "\r\n")
	c, err := rule.Look(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != int64(len(text)) {
		t.Errorf("%d bytes", c.Size)
	}
	return c
}

// multipart is a message of parts, each with its header.
func multipart(parts ...string) string {
	text := "From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
	for _, p := range parts {
		text += "--x\n" + p + "\n"
	}
	return text + "--x--\n"
}

// What a message holds, as far as rules speak of it. DIR-07, DIR-48; ATT-35.
func TestLook(t *testing.T) {
	forwarded := "Content-Type: message/rfc822\n\n" + strings.ReplaceAll(multipart("Content-Type: application/xml\n\n<a/>"), "boundary=x", "boundary=y")
	forwarded = strings.ReplaceAll(strings.ReplaceAll(forwarded, "--x\n", "--y\n"), "--x--", "--y--")
	hidden := base64.StdEncoding.EncodeToString([]byte("Content-Type: application/x-msdownload\r\n\r\nMZ"))
	for name, tc := range map[string]struct {
		text       string
		types      []string
		structured []string
		readable   bool
	}{
		"no type":            {"From: a@b.example\n\nhello\n", []string{"text/plain"}, nil, true},
		"capitals":           {"Content-Type: TEXT/Plain\n\nhello\n", []string{"text/plain"}, nil, true},
		"two":                {multipart("Content-Type: text/plain\n\nx", "Content-Type: application/pdf\n\n%PDF"), []string{"text/plain", "application/pdf"}, nil, true},
		"once each":          {multipart("Content-Type: image/png\n\nx", "Content-Type: image/png\n\ny"), []string{"image/png"}, nil, true},
		"forwarded":          {multipart("Content-Type: text/plain\n\nx", forwarded), []string{"text/plain", "application/xml"}, []string{"application/xml"}, true},
		"a blank text":       {multipart("Content-Type: text/plain\n\n \n\n", "Content-Type: application/hl7-v2\n\nMSH|"), []string{"text/plain", "application/hl7-v2"}, []string{"application/hl7-v2"}, false},
		"blank in base64":    {multipart("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nICAK", "Content-Type: application/fhir+json\n\n{}"), []string{"text/plain", "application/fhir+json"}, []string{"application/fhir+json"}, false},
		"a drawing":          {"Content-Type: image/svg+xml\n\n<svg/>\n", []string{"image/svg+xml"}, nil, true},
		"a hidden message":   {multipart("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + hidden), []string{"message/rfc822"}, nil, false},
		"an odd encoding":    {"Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nbegin\n", []string{"application/octet-stream"}, nil, false},
		"no type at all":     {"Content-Type: nonsense\n\nx\n", []string{"application/octet-stream"}, nil, false},
		"an empty multipart": {"Content-Type: multipart/mixed; boundary=x\n\nhere is text\n--x--\n", []string{"multipart/mixed"}, nil, false},
		"metadata alone": {"X-Direct-Context: <1@x>\n" + multipart("Content-Type: text/plain\nContent-ID: <1@x>\n\nversion: 1.1", "Content-Type: text/xml\n\n<a/>"),
			[]string{"text/plain", "text/xml"}, []string{"text/xml"}, false},
	} {
		c := look(t, tc.text)
		if !reflect.DeepEqual(c.Types, tc.types) || !reflect.DeepEqual(c.Structured, tc.structured) || c.Readable != tc.readable || c.Unclear != "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// What nobody can look through is told as that: never as a message without anything in it. ATT-35.
func TestLookUnclear(t *testing.T) {
	deep := "Content-Type: text/plain\n\nx\n"
	for range 20 {
		deep = "Content-Type: message/rfc822\n\n" + deep
	}
	wide := make([]string, 60)
	for i := range wide {
		wide[i] = "Content-Type: message/rfc822\n\nSubject: x\n\ny"
	}
	nested := "Content-Type: text/plain\n\nx\n"
	for i := range 40 {
		nested = fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n%s\n--b%d--\n", i, i, nested, i)
	}
	for name, text := range map[string]string{
		"deep": deep, "wide": multipart(wide...), "nested": nested, "many parts": multipart(make([]string, 1001)...),
		"no header": "this is no header\n\nx\n", "two types": "Content-Type: text/plain\nContent-Type: application/pdf\n\nx\n",
	} {
		if c := look(t, text); c.Unclear == "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// What is watched for is found in subjects and texts, encoded and in forwarded messages too, and nowhere else; what cannot be looked through
// counts as found. DIR-56.
func TestWatch(t *testing.T) {
	number := regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`)
	word := regexp.MustCompile(`(?i)\bsecret\b`)
	rules := rule.Rule{Watch: []*regexp.Regexp{number, word}}
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"nothing":           {"Subject: a knee\nContent-Type: text/plain\n\n123-456\n", ""},
		"subject":           {"Subject: =?utf-8?B?U2VjcmV0?= plans\nContent-Type: text/plain\n\nx\n", "expression 2"},
		"text":              {"Content-Type: text/plain\n\nhis number is 123-45-6789.\n", "expression 1"},
		"base64":            {"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nMTIzLTQ1LTY3ODk=\n", "expression 1"},
		"html":              {multipart("Content-Type: text/plain\n\nx", "Content-Type: text/html\n\n<p>secret</p>"), "expression 2"},
		"forwarded":         {multipart("Content-Type: message/rfc822\n\nSubject: secret\n\nx"), "expression 2"},
		"octets":            {multipart("Content-Type: application/octet-stream\n\nsecret"), ""},
		"unclear":           {"Content-Type: multipart/mixed\n\nx\n", "cannot be told"},
		"long, found later": {"Content-Type: text/plain\n\n" + strings.Repeat("x ", 1<<20) + "secret\n", "expression 2"},
		"too long":          {"Content-Type: text/plain\n\n" + strings.Repeat("x y z w\n", 1<<21), "too long"},
	} {
		c, err := rule.Look(strings.NewReader(tc.text), int64(len(tc.text)), rules.Watch...)
		if err != nil {
			t.Fatal(err)
		}
		if why, holds := rules.Holds(c); holds != (tc.want != "") || !strings.Contains(why, tc.want) {
			t.Errorf("%s: %v %q, want %q", name, holds, why, tc.want)
		}
		if o := rules.Object(transit.Outbound, addr.Address{}, c); !o.IsZero() {
			t.Errorf("%s: refused: %+v", name, o)
		}
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

var errDisk = errors.New("the disk")

func TestLookUnreadable(t *testing.T) {
	if _, err := rule.Look(broken{}, 100); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
}

func FuzzLook(f *testing.F) {
	f.Add([]byte(multipart("Content-Type: text/plain\n\nx", "Content-Type: message/rfc822\n\nContent-Type: application/xml\n\n<a/>")))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := rule.Look(strings.NewReader(string(text)), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if c.Unclear == "" && len(c.Types) == 0 {
			t.Errorf("nothing is in it: %q", text)
		}
		for _, kind := range c.Types {
			if kind != strings.ToLower(kind) || !strings.Contains(kind, "/") || strings.ContainsAny(kind, " \r\n") {
				t.Errorf("%q", kind)
			}
		}
	})
}
