package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// DCM-30: providers that send for us, and mailboxes there, with all that may be said of them.
func TestProviders(t *testing.T) {
	c, err := Parse("/etc/carepost/carepost.toml", `domain = "north.example"
[[relay]]
host = "mail.provider.example"
user = "north"
password_file = "keys/provider"
[[relay]]
host = "10.1.2.3:587"
for = ["south.example"]
ca = "ca.pem"
[[collect]]
name = "provider"
for = "desk@north.example"
host = "imap.provider.example"
user = "north"
password_file = "keys/provider"
folder = "Sealed"
interval = "1m"
keep = "168h"
largest = "50 MB"
[[collect]]
name = "old"
for = "desk@north.example"
protocol = "pop3"
host = "[2001:db8::1]:110"
user = "north"
password_file = "keys/provider"
manual = true
keep = "forever"
`)
	if err != nil || len(c.Relays) != 2 || len(c.Collects) != 2 {
		t.Fatalf("%v, %+v", err, c)
	}
	a, b := c.Relays[0], c.Relays[1]
	if a.Address != "mail.provider.example:465" || !a.Implicit || a.User != "north" || a.Password.File != "/etc/carepost/keys/provider" || a.For != nil {
		t.Errorf("%+v", a)
	}
	if b.Address != "10.1.2.3:587" || b.Implicit || len(b.For) != 1 || b.CA != "/etc/carepost/ca.pem" {
		t.Errorf("%+v", b)
	}
	x, y := c.Collects[0], c.Collects[1]
	if x.Address != "imap.provider.example:993" || !x.Implicit || x.POP3 || x.Folder != "Sealed" || x.Interval != time.Minute || x.Keep != 168*time.Hour || x.Largest != 50e6 || x.For.String() != "desk@north.example" {
		t.Errorf("%+v", x)
	}
	if y.Address != "[2001:db8::1]:110" || y.Implicit || !y.POP3 || !y.Manual || y.Keep >= 0 {
		t.Errorf("%+v", y)
	}
}

// What cannot be is an error with its line.
func TestProvidersWrong(t *testing.T) {
	const relay = "[[relay]]\nhost = \"a.example\"\n"
	const box = "[[collect]]\nname = \"a\"\nfor = \"desk@north.example\"\nhost = \"a.example\"\nuser = \"u\"\npassword_file = \"p\"\n"
	for text, want := range map[string]string{
		"[[relay]]\nuser = \"u\"":           "host is missing",
		"[[relay]]\nhost = \"a.example:0\"": "host is missing",
		"[[relay]]\nhost = \"a b\"":         "host is missing",
		relay + "user = \"u\"":              "go together",
		relay + "tls = \"none\"":            "nobody is told a password",
		relay + "password = \"x\"":          "not known",
		relay + relay:                       "another one sends to all",
		relay + "for = [\"a.example\"]\n" + relay + "for = [\"a.example\"]":  "to that domain already",
		strings.Replace(box, "name = \"a\"", "name = \"a b\"", 1):            "name is missing",
		strings.Replace(box, "for = \"desk@north.example\"\n", "", 1):        "for is missing",
		strings.Replace(box, "north.example", "south.example", 1):            "of no domain",
		strings.Replace(box, "user = \"u\"\npassword_file = \"p\"\n", "", 1): "user and password_file are missing",
		box + "protocol = \"nntp\"":                                          `"imap" or "pop3"`,
		box + "protocol = \"pop3\"\nfolder = \"x\"":                          "POP3 has none",
		box + "manual = true\ninterval = \"5m\"":                             "without an interval",
		box + "interval = \"1s\"":                                            "between 10s and 24h",
		box + "keep = \"a while\"":                                           "keep is a time",
		box + box:                                                            "the name stands there twice",
		box + strings.Replace(box, "name = \"a\"", "name = \"b\"", 1):        "the mailbox stands there twice",
		box + "largest = \"many\"":                                           "is no size",
	} {
		_, err := Parse("carepost.toml", "domain = \"north.example\"\n"+text)
		wrong := (*Error)(nil)
		if !errors.As(err, &wrong) || wrong.Line == 0 || !strings.Contains(wrong.Reason, want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
