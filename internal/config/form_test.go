package config_test

import (
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/config"
	"carepost/internal/rule"
	"carepost/internal/transit"
)

// How mail to a partner is packed stands in a rule; whom nothing is sealed for is named there.
func TestForms(t *testing.T) {
	ours, theirs := addr.Address{Endpoint: "lab", Domain: "north.example"}, addr.Address{Endpoint: "desk", Domain: "south.example"}
	for text, want := range map[string]rule.Rule{
		"":                  {},
		"form = \"direct\"": {Form: rule.Direct},
		"form = \"smime\"\nsubject = \"neutral\"": {Form: rule.SMIME, Subject: rule.Neutral},
		"form = \"smime\"\nsubject = \"shown\"":   {Form: rule.SMIME, Subject: rule.Shown},
		"form = \"plain\"":                        {Form: rule.Plain},
	} {
		c, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\n[[rule]]\nwith = [\"south.example\"]\n"+text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if r := c.Rules.Of(ours, theirs, transit.Outbound); r.Form != want.Form || r.Subject != want.Subject {
			t.Errorf("%q: %+v", text, r)
		}
	}
	for text, want := range map[string]string{
		"form = \"plain\"": "rule 1: whom nothing is sealed for is said by name",
		"form = \"clear\"": "none of direct, smime, plain",
		"with = [\"south.example\"]\nsubject = \"all\"": "none of shown, neutral",
	} {
		if _, err := config.Parse("/x/carepost.toml", "domain = \"north.example\"\n[[rule]]\n"+text+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
