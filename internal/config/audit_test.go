package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	c, err := Parse("/inst/carepost.toml", `domain = "north.example"
[audit]
syslog = "audit.north.example:6514"
name = "ARR.north.example"
ca = "syslog-ca.pem"
certificate = "/etc/syslog.pem"
key = "syslog.key"
without = ["activity", "sign-in"]
heads = "/mnt/elsewhere/north.head"
history = true
`)
	want := Audit{Syslog: "audit.north.example:6514", Name: "arr.north.example", CA: "/inst/syslog-ca.pem", Certificate: "/etc/syslog.pem",
		Key: "/inst/syslog.key", Without: []string{"activity", "sign-in"}, Heads: "/mnt/elsewhere/north.head", History: true}
	if err != nil || !reflect.DeepEqual(c.Audit, want) {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		`syslog = "audit.north.example"`:                   "3: ",
		`syslog = ":6514"`:                                 "3: host and port",
		`syslog = "audit.north.example:0"`:                 "3: host and port",
		`ca = "ca.pem"`:                                    "which server",
		`history = true`:                                   "which server",
		`without = ["export"]`:                             "which server",
		"syslog = \"a.example:6514\"\ncertificate = \"x\"": "4: certificate and key",
		"syslog = \"a.example:6514\"\nkey = \"x\"":         "certificate and key",
		"syslog = \"a.example:6514\"\nwithout = [\"x\"]":   "none of export",
		"syslog = \"a.example:6514\"\nname = \"a b\"":      "4: ",
		`udp = "a.example:514"`:                            "not known",
	} {
		_, err := Parse("/inst/carepost.toml", "domain = \"north.example\"\n[audit]\n"+text+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
