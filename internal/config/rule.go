package config

import (
	"fmt"
	"mime"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/transit"
)

// demand is one [[rule]].
type demand struct {
	For       []party   `toml:"for"`
	With      []party   `toml:"with"`
	Direction direction `toml:"direction"`

	Form     form        `toml:"form"`
	Subject  subject     `toml:"subject"`
	Profile  profile     `toml:"profile"`
	Notices  notices     `toml:"notices"`
	Patience duration    `toml:"patience"`
	Failures failures    `toml:"failures"`
	Refuse   reason      `toml:"refuse"`
	Accept   []mediaType `toml:"accept"`
	Size     size        `toml:"size"`
	Fragment size        `toml:"fragment"`
	Instead  party       `toml:"instead"`
	Readable *bool       `toml:"readable"`
	Hold     *bool       `toml:"hold"`
	Watch    []watched   `toml:"watch"`

	Sets      sets      `toml:"sets"`
	Statement statement `toml:"statement"`
	Prohibit  []watched `toml:"prohibit"`
}

type (
	party     addr.Address // without endpoint: a whole domain
	direction transit.Direction
	notices   rule.Notices
	failures  rule.Failures
	reason    string
	mediaType string
	size      int64
)

func (p *party) UnmarshalText(text []byte) error {
	if strings.Contains(string(text), "@") {
		a, err := addr.Parse(string(text))
		if err != nil {
			return fmt.Errorf("%q is no address such as desk@clinic.example", text)
		}
		*p = party(a)
		return nil
	}
	d, err := addr.ParseDomain(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither an address nor a domain such as clinic.example", text)
	}
	*p = party(addr.Address{Domain: d})
	return nil
}

func (d *direction) UnmarshalText(text []byte) error {
	switch string(text) {
	case "in":
		*d = direction(transit.Inbound)
	case "out":
		*d = direction(transit.Outbound)
	default:
		return fmt.Errorf("%q is none of in, out", text)
	}
	return nil
}

func (n *notices) UnmarshalText(text []byte) error {
	switch string(text) {
	case "expected":
		*n = notices(rule.Expected)
	case "never":
		*n = notices(rule.Never)
	default:
		return fmt.Errorf("%q is none of expected, never", text)
	}
	return nil
}

func (f *failures) UnmarshalText(text []byte) error {
	switch string(text) {
	case "dsn":
		*f = failures(rule.ByDSN)
	case "mdn":
		*f = failures(rule.ByMDN)
	default:
		return fmt.Errorf("%q is none of dsn, mdn", text)
	}
	return nil
}

// maxRefusal bounds the reason that strangers are told, in bytes.
const maxRefusal = 500

func (r *reason) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "" || len(s) > maxRefusal || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return fmt.Errorf("the reason that people are told is one line of at most %d bytes", maxRefusal)
	}
	*r = reason(s)
	return nil
}

func (m *mediaType) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	kind, sub, _ := strings.Cut(s, "/")
	if parsed, params, err := mime.ParseMediaType(strings.TrimSuffix(s, "*") + "x"); err != nil || len(params) > 0 || parsed == "" || kind == "" || sub == "" ||
		strings.Contains(kind, "*") || strings.Contains(sub, "*") && sub != "*" {
		return fmt.Errorf("%q is no media type such as application/pdf or image/*", text)
	}
	*m = mediaType(s)
	return nil
}

// watched is an expression that is looked for in mail (RE2).
type watched struct{ *regexp.Regexp }

// maxWatch bounds an expression, in bytes.
const maxWatch = 1000

func (w *watched) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 || len(text) > maxWatch {
		return fmt.Errorf("an expression has 1 to %d bytes", maxWatch)
	}
	if w.Regexp, err = regexp.Compile(string(text)); err != nil {
		return fmt.Errorf("%q is no expression such as (?i)\\bpassword\\b: %w", text, err)
	}
	if w.MatchString("") {
		return fmt.Errorf("%q is found in every text", text)
	}
	return nil
}

func (n *size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range []struct {
		name string
		is   int64
	}{{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if cut, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(cut), u.is
			break
		}
	}
	v, err := strconv.ParseInt(number, 10, 64)
	if err != nil || v <= 0 || v > 1<<62/unit {
		return fmt.Errorf("%q is no size such as 25 MB", text)
	}
	*n = size(v * unit)
	return nil
}

// rules is what the tables [[rule]] say.
func rules(all []demand, wrong func(key, format string, a ...any) error) (out rule.Rules, err error) {
	for i, d := range all {
		r := rule.Rule{
			For: who(d.For), With: who(d.With), Direction: transit.Direction(d.Direction), Notices: rule.Notices(d.Notices),
			Patience: time.Duration(d.Patience), Failures: rule.Failures(d.Failures), Refuse: string(d.Refuse), Size: int64(d.Size), Fragment: int64(d.Fragment), Instead: addr.Address(d.Instead),
			Readable: d.Readable, Hold: d.Hold, Form: rule.Form(d.Form), Subject: rule.Subject(d.Subject),
		}
		if d.Profile != "" {
			policy := policies[string(d.Profile)]
			r.Profile = &policy
		}
		r.Sets, r.Statement = rule.Sets(d.Sets), string(d.Statement)
		for _, w := range d.Prohibit {
			r.Prohibit = append(r.Prohibit, w.Regexp)
		}
		for _, w := range d.Watch {
			r.Watch = append(r.Watch, w.Regexp)
		}
		for _, m := range d.Accept {
			r.Accept = append(r.Accept, string(m))
		}
		if d.Instead != (party{}) && d.Instead.Endpoint == "" {
			return nil, wrong("rule", "rule %d: instead names an address, not a domain", i+1)
		}
		if d.Accept != nil && len(d.Accept) == 0 {
			return nil, wrong("rule", "rule %d: nothing is accepted at all; say so with refuse", i+1)
		}
		if rule.Form(d.Form) == rule.Plain && len(d.With) == 0 {
			return nil, wrong("rule", "rule %d: whom nothing is sealed for is said by name: with = [...]", i+1)
		}
		out = append(out, r)
	}
	return out, nil
}

func who(all []party) (w rule.Who) {
	for _, p := range all {
		switch {
		case p.Endpoint == "" && w.Domains == nil:
			w.Domains = map[addr.Domain]bool{p.Domain: true}
		case p.Endpoint == "":
			w.Domains[p.Domain] = true
		case w.Addresses == nil:
			w.Addresses = map[string]bool{addr.Address(p).Key(): true}
		default:
			w.Addresses[addr.Address(p).Key()] = true
		}
	}
	return w
}
