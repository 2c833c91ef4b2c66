package config

import (
	"fmt"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/dicom/zipmail"
	"carepost/internal/intake"
)

// Routes say whom studies go to.
type Routes []intake.Route

// dicomRoute is one [[dicom.route]].
type dicomRoute struct {
	Name    string    `toml:"name"`
	Calling []pattern `toml:"calling"`
	Called  []pattern `toml:"called"`
	Via     []string  `toml:"via"`

	Modality    []pattern `toml:"modality"`
	Institution []pattern `toml:"institution"`
	Department  []pattern `toml:"department"`
	Station     []pattern `toml:"station"`
	Referring   []pattern `toml:"referring"`
	Accession   []pattern `toml:"accession"`
	Description []pattern `toml:"description"`
	BodyPart    []pattern `toml:"body_part"`
	Procedure   []pattern `toml:"procedure"`

	Hold    bool      `toml:"hold"`
	From    person    `toml:"from"`
	To      []person  `toml:"to"`
	Cc      []person  `toml:"cc"`
	Profile zipFormat `toml:"profile"`
	Subject string    `toml:"subject"`
	Text    string    `toml:"text"`
}

type (
	person    addr.Address
	zipFormat zipmail.Profile
)

func (p *person) UnmarshalText(text []byte) error {
	a, err := addr.Parse(string(text))
	if err != nil {
		return fmt.Errorf("%q is no address such as desk@clinic.example", text)
	}
	*p = person(a)
	return nil
}

func (z *zipFormat) UnmarshalText(text []byte) error {
	p, err := zipmail.ParseProfile(string(text))
	if err != nil {
		return fmt.Errorf("%q is none of gen-sec, dental, gen", text)
	}
	*z = zipFormat(p)
	return nil
}

// Bounds of what people write.
const (
	maxRoutes  = 1000
	maxName    = 100      // bytes
	maxSubject = 200      // bytes
	maxLetter  = 64 << 10 // bytes of a text
)

// routes is what the tables [[dicom.route]] say, in their order.
func routes(c *Config, all []dicomRoute, wrong func(key, format string, a ...any) error) (out Routes, err error) {
	if len(all) > maxRoutes {
		return nil, wrong("dicom.route", "more than %d routes", maxRoutes)
	}
	for i, f := range all {
		r := intake.Route{Name: strings.TrimSpace(f.Name), Calling: patterns(f.Calling), Called: patterns(f.Called), Via: f.Via, Keep: f.Hold,
			From: addr.Address(f.From), To: people(f.To), Cc: people(f.Cc), Profile: zipmail.Profile(f.Profile), Subject: f.Subject, Text: f.Text}
		if r.Name == "" {
			r.Name = fmt.Sprintf("route %d", i+1)
		}
		bad := func(format string, a ...any) error {
			return wrong("dicom.route", "%s: %s", r.Name, fmt.Sprintf(format, a...))
		}
		r.Study = f.attributes()
		switch {
		case len(r.Name) > maxName || strings.ContainsFunc(r.Name, func(x rune) bool { return x < ' ' || x == 0x7f || x == '@' }):
			return nil, wrong("dicom.route", "route %d: name: one line of at most %d bytes, without @", i+1, maxName)
		case slices.ContainsFunc(out, func(o intake.Route) bool { return o.Name == r.Name }):
			return nil, bad("the name stands there twice")
		case r.Keep && (len(f.To)+len(f.Cc) > 0 || !r.From.IsZero()):
			return nil, bad("hold keeps studies for a person: from, to and cc go without it")
		case r.Keep:
		case len(r.To) == 0:
			return nil, bad("to is missing: whom are these studies for?")
		case r.From.IsZero():
			return nil, bad("from is missing: which account sends these studies?")
		case r.From.Domain != c.Domain && !slices.Contains(c.Domains, r.From.Domain):
			return nil, bad("from: %s is no domain of this installation", r.From.Domain)
		case len(r.Subject) > maxSubject || strings.ContainsFunc(r.Subject, func(x rune) bool { return x < ' ' || x == 0x7f }):
			return nil, bad("subject: one line of at most %d bytes; name no patient in it", maxSubject)
		case len(r.Text) > maxLetter || strings.ContainsRune(r.Text, 0):
			return nil, bad("text: at most %d bytes", maxLetter)
		}
		for _, v := range r.Via {
			if v != "dimse" && v != "stow" {
				return nil, bad("via: %q is none of dimse, stow", v)
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// attributes are what is asked of the study, by the names of intake.Attributes.
func (f dicomRoute) attributes() map[string][]intake.Pattern {
	out := map[string][]intake.Pattern{}
	for name, all := range map[string][]pattern{"modality": f.Modality, "institution": f.Institution, "department": f.Department, "station": f.Station,
		"referring": f.Referring, "accession": f.Accession, "description": f.Description, "body_part": f.BodyPart, "procedure": f.Procedure} {
		if len(all) > 0 {
			out[name] = patterns(all)
		}
	}
	return out
}

func patterns(all []pattern) (out []intake.Pattern) {
	for _, p := range all {
		out = append(out, intake.Pattern(p))
	}
	return out
}

func people(all []person) (out []addr.Address) {
	for _, p := range all {
		out = append(out, addr.Address(p))
	}
	return out
}
