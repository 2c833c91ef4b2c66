package intake

import (
	"strings"
	"unicode"

	"carepost/addr"
	"carepost/dicom/zipmail"
)

// Route says what becomes of studies.
type Route struct {
	Name string // for people, in lists and the audit: no address

	// Whom it is for. What is empty fits everything; of several patterns one is to fit.
	Calling, Called []Pattern
	Via             []string
	Study           map[string][]Pattern // by the names of Attributes; any object of the study may have the value

	Keep bool // kept for a person, sent nowhere

	From    addr.Address
	To, Cc  []addr.Address
	Profile zipmail.Profile
	Subject string // names no patient; empty: DICOM-ZIP alone
	Text    string // instructions to the recipient
}

// Pattern is a text with the wild cards of PS3.4 C.2.2.2.4: * any characters, ? a single one. Case is as good as the other.
type Pattern string

// Fits says that s is what the pattern wants.
func (p Pattern) Fits(s string) bool {
	pattern, text := folded(string(p)), folded(strings.TrimSpace(s))
	at, star, from := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, from = at, i
			at++
		case at < len(pattern) && (pattern[at] == '?' || pattern[at] == text[i]):
			at++
			i++
		case star >= 0: // the last * takes one more
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at] == '*' {
		at++
	}
	return at == len(pattern)
}

func folded(s string) []rune {
	out := []rune(s)
	for i, r := range out {
		out[i] = unicode.ToLower(unicode.ToUpper(r))
	}
	return out
}

func fits(all []Pattern, values ...string) bool {
	if len(all) == 0 {
		return true
	}
	for _, v := range values {
		for _, p := range all {
			if p.Fits(v) {
				return true
			}
		}
	}
	return false
}

// fits says whether a study goes by r.
func (r Route) fits(d detail) bool {
	if !fits(r.Calling, d.Origin.Calling) || !fits(r.Called, d.Origin.Called) {
		return false
	}
	via := len(r.Via) == 0
	for _, v := range r.Via {
		via = via || v == d.Origin.Via
	}
	for name, all := range r.Study {
		if !fits(all, d.Facts[name]...) {
			return false
		}
	}
	return via
}

// route finds the way of a study: what its origin says, else the one that a person chose, else the first that fits.
func (s *Service) route(d detail) (Route, bool) {
	var found Route
	ok := false
	for _, r := range *s.routes.Load() {
		if d.Allow.Route == "" && r.fits(d) || d.Allow.Route == r.Name && r.Name != "" {
			found, ok = r, !r.Keep
			break
		}
	}
	if !ok {
		found = Route{}
	}
	o := d.Origin
	if len(o.To) > 0 {
		r := Route{Name: found.Name, From: found.From, To: o.To, Profile: found.Profile, Text: found.Text, Subject: found.Subject}
		if !o.From.IsZero() {
			r.From = o.From
		}
		if o.Subject != "" {
			r.Subject = o.Subject
		}
		return r, !r.From.IsZero()
	}
	if ok && !o.From.IsZero() {
		found.From = o.From
	}
	return found, ok
}
