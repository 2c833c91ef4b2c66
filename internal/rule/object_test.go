package rule_test

import (
	"regexp"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/transit"
)

// What a rule objects to, and what the sender is told. DIR-07, DIR-47; DCM-31.
func TestObject(t *testing.T) {
	to := addr.Address{Endpoint: "lab", Domain: "north.example"}
	records := addr.Address{Endpoint: "records", Domain: "north.example"}
	yes, no := true, false
	born, other := regexp.MustCompile(`born`), regexp.MustCompile(`\d{10}`)
	pdf := rule.Content{Size: 100, Types: []string{"text/plain", "application/pdf"}, Readable: true}
	hl7 := rule.Content{Size: 100, Types: []string{"application/hl7-v2"}, Structured: []string{"application/hl7-v2"}}
	odd := rule.Content{Size: 100, Unclear: "its MIME structure cannot be read"}
	many := rule.Content{Size: 100}
	for _, c := range strings.Split("abcdefghijklmno", "") {
		many.Types = append(many.Types, "x/"+c)
	}
	for name, tc := range map[string]struct {
		rule   rule.Rule
		c      rule.Content
		code   string // none: it passes
		reason string
		remedy string
	}{
		"nothing is demanded":   {rule.Rule{}, odd, "", "", ""},
		"refused":               {rule.Rule{Refuse: "closed for the move"}, pdf, "5.7.1", "closed for the move", "ask the operator of the recipient's side"},
		"refused, another":      {rule.Rule{Refuse: "closed", Instead: records}, pdf, "5.7.1", "closed", "records@north.example"},
		"instead is itself":     {rule.Rule{Refuse: "closed", Instead: addr.Address{Endpoint: "LAB", Domain: "north.example"}}, pdf, "5.7.1", "closed", "ask the operator"},
		"as large as may be":    {rule.Rule{Size: 100}, odd, "", "", ""},
		"too large":             {rule.Rule{Size: 99}, pdf, "5.2.3", "100 bytes", "send less"},
		"accepted":              {rule.Rule{Accept: []string{"text/*", "application/pdf"}}, pdf, "", "", ""},
		"not accepted":          {rule.Rule{Accept: []string{"text/plain", "image/*"}, Instead: records}, pdf, "5.6.1", "holds application/pdf; what this address takes is text/plain or image/*", "send it to records@north.example, which takes more"},
		"a longer name":         {rule.Rule{Accept: []string{"application/pd", "text/plain"}}, pdf, "5.6.1", "application/pdf", ""},
		"many":                  {rule.Rule{Accept: []string{"text/plain"}}, many, "5.6.1", "x/a, x/b, x/c, x/d, x/e, x/f, x/g, x/h, x/i, x/j and 5 more;", ""},
		"unclear":               {rule.Rule{Accept: []string{"text/plain"}}, odd, "5.6.0", "cannot be read", "simpler"},
		"unclear, readable":     {rule.Rule{Readable: &yes}, odd, "5.6.0", "cannot be read", "simpler"},
		"nothing for people":    {rule.Rule{Readable: &yes}, hl7, "5.6.0", "application/hl7-v2, which programs read", "as text or PDF"},
		"for people":            {rule.Rule{Readable: &yes}, rule.Content{Structured: []string{"text/xml"}, Readable: true}, "", "", ""},
		"nothing for programs":  {rule.Rule{Readable: &yes}, rule.Content{Types: []string{"application/zip"}}, "", "", ""},
		"need not be readable":  {rule.Rule{Readable: &no}, hl7, "", "", ""},
		"prohibited":            {rule.Rule{Prohibit: []*regexp.Regexp{born, other}}, rule.Content{Watched: []*regexp.Regexp{other}}, "5.7.1", "(expression 2)", "leave it out"},
		"not in it":             {rule.Rule{Prohibit: []*regexp.Regexp{born}}, rule.Content{Watched: []*regexp.Regexp{other}}, "", "", ""},
		"prohibited, unclear":   {rule.Rule{Prohibit: []*regexp.Regexp{born}}, odd, "5.7.1", "cannot be looked through", "shorter text"},
		"prohibited, too long":  {rule.Rule{Prohibit: []*regexp.Regexp{born}}, rule.Content{TooLong: true}, "5.7.1", "cannot be looked through", "shorter text"},
		"held, which is no bar": {rule.Rule{Hold: &yes}, hl7, "", "", ""},
	} {
		o := tc.rule.Object(transit.Inbound, to, tc.c)
		if o.Code != tc.code || o.IsZero() != (tc.code == "") || !strings.Contains(o.Reason, tc.reason) || !strings.Contains(o.Remedy, tc.remedy) || strings.Contains(o.Reason, "@") {
			t.Errorf("%s: %+v", name, o)
		}
		if tc.code != "" && (o.Clause == "" || o.Remedy == "") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := (rule.Rule{Size: 25e6}).Object(transit.Outbound, to, rule.Content{Size: 1_340_000_000}); !strings.Contains(o.Reason, "1.3 GB, and the most that may be sent from here to this address is 25 MB") {
		t.Errorf("%q", o.Reason)
	}
}
