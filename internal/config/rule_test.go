package config_test

import (
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/config"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/trust"
)

func TestRules(t *testing.T) {
	c, err := config.Parse("/x/carepost.toml", `domain = "north.example"
[[rule]]
for = ["lab@north.example"]
with = ["south.example", "Desk@west.example"]
direction = "in"
accept = ["application/pdf", "image/*"]
size = "25 MB"
fragment = "10 MB"
instead = "records@north.example"
[[rule]]
profile = "v1.3"
notices = "never"
failures = "mdn"
patience = "10m"
refuse = "closed for the move"
readable = true
hold = true
watch = ['(?i)\bsecret\b']
sets = "as-they-are"
statement = """
For the addressee alone.
"""
prohibit = ['\bborn\b']
`)
	if err != nil {
		t.Fatal(err)
	}
	ours := addr.Address{Endpoint: "lab", Domain: "north.example"}
	for _, theirs := range []addr.Address{{Endpoint: "a", Domain: "south.example"}, {Endpoint: "desk", Domain: "west.example"}} {
		r := c.Rules.Of(ours, theirs, transit.Inbound)
		if len(r.Accept) != 2 || r.Size != 25e6 || r.Fragment != 10e6 || r.Instead.Endpoint != "records" || *r.Profile != trust.V13 || r.Notices != rule.Never || r.Failures != rule.ByMDN ||
			r.Patience != 10*time.Minute || r.Refuse != "closed for the move" || !*r.Readable || !*r.Hold || len(r.Watch) != 1 || !r.Watch[0].MatchString("a Secret!") ||
			r.Sets != rule.AsTheyAre || r.Statement != "For the addressee alone." || len(r.Prohibit) != 1 {
			t.Errorf("%+v", r)
		}
		if r := c.Rules.Of(ours, theirs, transit.Outbound); r.Accept != nil || r.Size != 0 {
			t.Errorf("the other way: %+v", r)
		}
	}
	if r := c.Rules.Of(ours, addr.Address{Endpoint: "other", Domain: "west.example"}, transit.Inbound); r.Size != 0 {
		t.Errorf("another address: %+v", r)
	}
}

// How failures are told: by a DSN unless a rule says otherwise (Direct 3.3), and the first rule that speaks of it counts.
func TestFailures(t *testing.T) {
	for text, want := range map[string]rule.Failures{
		"":                        0,
		"[[rule]]\nhold = true\n": 0,
		"[[rule]]\nwith = [\"south.example\"]\nfailures = \"dsn\"\n[[rule]]\nfailures = \"mdn\"\n": rule.ByDSN,
		"[[rule]]\nwith = [\"west.example\"]\nfailures = \"mdn\"\n":                                0,
		"[[rule]]\ndirection = \"out\"\nfailures = \"mdn\"\n":                                      0,
	} {
		c, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\n"+text)
		if err != nil {
			t.Fatal(err)
		}
		r := c.Rules.Of(addr.Address{Endpoint: "lab", Domain: "north.example"}, addr.Address{Endpoint: "a", Domain: "south.example"}, transit.Inbound)
		if r.Failures != want {
			t.Errorf("%q: %v", text, r.Failures)
		}
	}
}

func TestRulesRefused(t *testing.T) {
	for _, line := range []string{
		`direction = "inward"`, `notices = "none"`, `failures = "MDN"`, `failures = ""`, `accept = []`, `accept = ["*/*"]`, `accept = ["pdf"]`, `accept = ["image/p*"]`, `size = "much"`, `size = "0"`,
		`size = "9999999999 GB"`, `instead = "north.example"`, `for = ["a b"]`, `with = [""]`, `refuse = ""`, `refuse = "a\nb"`, `profile = "v9"`, `patience = "-1h"`, `color = "red"`, `watch = ["("]`, `watch = [""]`, `watch = ["a*"]`, `prohibit = ["("]`, `sets = "all"`, `statement = " "`,
	} {
		_, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\n[[rule]]\n"+line+"\n")
		if err == nil || !strings.HasPrefix(err.Error(), "/x/carepost.toml:") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
