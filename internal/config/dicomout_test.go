package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const outs = "domain = \"north.example\"\n"

// Both kinds of destinations, with all that may be said of them.
func TestDICOMOut(t *testing.T) {
	c, err := Parse("/etc/carepost/carepost.toml", outs+`
[[dicom.out]]
name = "pacs"
address = "pacs.north.example:11112"
called = "ARCHIVE"
calling = "US"
ca = "ca.pem"
patience = "24h"
final_delivery = false
letter = "sr"
[[dicom.out]]
name = "archive"
stow = "https://archive.north.example/dicom-web"
user = "us"
password_file = "keys/archive"
letter = "none"
for = ["lab@north.example"]
with = ["south.example"]
[[dicom.out]]
name = "near"
stow = "http://10.1.2.3:8042/dicom-web"
plain = true
`)
	if err != nil || len(c.DICOM.Outs) != 3 {
		t.Fatalf("%v, %+v", err, c)
	}
	a, b := c.DICOM.Outs[0], c.DICOM.Outs[1]
	if a.Called != "ARCHIVE" || a.Calling != "US" || a.CA != "/etc/carepost/ca.pem" || a.Patience != 24*time.Hour || !a.Quietly || a.Plain || !a.Letter {
		t.Errorf("%+v", a)
	}
	if b.Password.File != "/etc/carepost/keys/archive" || b.Quietly || b.Letter || !b.With.Domains["south.example"] || len(b.For.Addresses) != 1 {
		t.Errorf("%+v", b)
	}
}

// What cannot be is an error with its line.
func TestDICOMOutWrong(t *testing.T) {
	for want, text := range map[string]string{
		"name is missing":              `stow = "https://a.example"`,
		"no word of letters":           `name = "a b"` + "\n" + `stow = "https://a.example"`,
		"one of stow":                  `name = "a"`,
		"letter is":                    "name = \"a\"\nstow = \"https://a.example\"\nletter = \"pdf\"",
		"called is missing":            "name = \"a\"\naddress = \"a.example:104\"",
		"is no AE title":               "name = \"a\"\naddress = \"a.example:104\"\ncalled = \"A LONG TITLE OF SEVENTEEN\"",
		"address is host:port":         "name = \"a\"\naddress = \":104\"\ncalled = \"A\"",
		"only for plain":               "name = \"a\"\nstow = \"http://a.example\"",
		"stow is no URL":               "name = \"a\"\nstow = \"https://u:p@a.example\"",
		"the port of stow":             "name = \"a\"\nstow = \"https://a.example:0\"",
		"go together, or token":        "name = \"a\"\nstow = \"https://a.example\"\nuser = \"u\"",
		"certificate and key":          "name = \"a\"\nstow = \"https://a.example\"\nkey = \"k\"",
		"plain is without TLS":         "name = \"a\"\nstow = \"http://a.example\"\nplain = true\nca = \"c\"",
		"are for stow":                 "name = \"a\"\naddress = \"a.example:104\"\ncalled = \"A\"\ntoken_file = \"t\"",
		"AE titles are for C-STORE":    "name = \"a\"\nstow = \"https://a.example\"\ncalled = \"A\"",
		"stands there twice":           "name = \"a\"\nstow = \"https://a.example\"\n[[dicom.out]]\nname = \"a\"\nstow = \"https://b.example\"",
		`"dicom.out.color" is not kno`: "name = \"a\"\nstow = \"https://a.example\"\ncolor = 1",
	} {
		_, err := Parse("carepost.toml", outs+"[[dicom.out]]\n"+text)
		if wrong := (*Error)(nil); !errors.As(err, &wrong) || !strings.Contains(wrong.Reason, want) || wrong.Line == 0 {
			t.Errorf("%q: %v", want, err)
		}
	}
}
