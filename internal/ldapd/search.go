package ldapd

import (
	"slices"
	"strings"
)

// Scopes of a search.
const (
	scopeBase = iota
	scopeOne
	scopeTree
)

// maxResults is how many entries a search shows, whatever sizeLimit says.
const maxResults = 100

// Result codes (RFC 4511 appendix A).
const (
	success                      = 0
	protocolError                = 2
	sizeLimitExceeded            = 4
	authMethodNotSupported       = 7
	adminLimitExceeded           = 11
	unavailableCriticalExtension = 12
	noSuchObject                 = 32
	invalidDNSyntax              = 34
	invalidCredentials           = 49
	unwillingToPerform           = 53
)

// result ends an operation.
type result struct {
	code    int
	matched string // distinguished name
	text    string // for people; never an address
}

// search is a request (RFC 4511 §4.5.1).
type search struct {
	base      string
	scope     int
	sizeLimit int
	typesOnly bool
	filter    *filter
	asked     []string
	named     []string // addresses, folded
}

func parseSearch(b body) (s search, err error) {
	if s.base, err = b.text(); err != nil {
		return s, err
	}
	aliases, timeLimit := 0, 0
	for _, n := range []struct {
		tag byte
		to  *int
	}{{tagEnum, &s.scope}, {tagEnum, &aliases}, {tagInteger, &s.sizeLimit}, {tagInteger, &timeLimit}} {
		if *n.to, err = b.number(n.tag); err != nil {
			return s, err
		}
	}
	if s.typesOnly, err = b.boolean(); err != nil {
		return s, err
	}
	left := maxFilters
	if s.filter, err = parseFilter(&b, 1, &left); err != nil {
		return s, err
	}
	s.filter.named(func(mail string) {
		if !slices.Contains(s.named, mail) {
			s.named = append(s.named, mail)
		}
	})
	if len(s.named) > maxNamed { // each is a guess
		return s, errLimit
	}
	list, err := b.want(tagSequence)
	if err != nil || len(b) > 0 {
		return s, errSyntax
	}
	for len(list) > 0 {
		a, err := list.text()
		if err != nil {
			return s, err
		}
		if len(s.asked) == maxAsked {
			return s, errLimit
		}
		s.asked = append(s.asked, a)
	}
	return s, nil
}

// search shows the entries that s asks for, and says how it ended.
func (t *tree) search(s search, show func(*node)) result {
	base, err := parseName(s.base)
	switch {
	case err != nil:
		return result{code: invalidDNSyntax}
	case s.scope > scopeTree:
		return result{code: protocolError, text: "there is no such scope"}
	case base == "" && s.scope == scopeBase:
		if root := t.root(); s.filter.match(root) == yes {
			show(root)
		}
		return result{}
	}
	if base != "" && t.nodes[base] == nil {
		return result{code: noSuchObject, matched: t.matched(base)}
	}
	most := maxResults
	if s.sizeLimit > 0 {
		most = min(most, s.sizeLimit)
	}
	for i, key := range t.candidates(s, base) {
		if i == most {
			return result{code: sizeLimitExceeded}
		}
		show(t.nodes[key])
	}
	if t.hides(s, base) {
		return result{code: sizeLimitExceeded, text: "addresses are not listed here: ask for one by mail=ADDRESS"}
	}
	return result{}
}

// candidates are the entries that a search may show: those open to all, those that it names, and the one that it starts from.
func (t *tree) candidates(s search, base name) (out []name) {
	take := func(key name) {
		if t.within(key, base, s.scope) && !slices.Contains(out, key) && s.filter.match(t.nodes[key]) == yes {
			out = append(out, key)
		}
	}
	if base != "" {
		take(base)
	}
	for _, mail := range s.named {
		for _, key := range t.people[mail] {
			take(key)
		}
	}
	for _, key := range t.public {
		if len(out) > maxResults {
			break
		}
		take(key)
	}
	return out
}

// hides says whether the search asks for people whom it does not name. It depends on the question alone, not on who there is.
func (t *tree) hides(s search, base name) bool {
	reaches := base == "" && s.scope == scopeTree && len(t.suffixes) > 0 // who knows no namingContexts means all of it
	for _, suffix := range t.suffixes {
		reaches = reaches || base == name(unit+","+suffix) && s.scope != scopeBase || base == name(suffix) && s.scope == scopeTree
	}
	return reaches && s.filter.match(nil) != no
}

// root is the root DSE (RFC 4512 §5.1).
func (t *tree) root() *node {
	n := &node{attrs: []attribute{
		{"objectClass", []string{"top"}},
		{"supportedLDAPVersion", []string{"3"}},
		{"supportedFeatures", []string{"1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3"}}, // RFC 3673, RFC 4526
		{"vendorName", []string{"Carepost"}},
	}}
	if len(t.suffixes) > 0 {
		n.attrs = append(n.attrs, attribute{"namingContexts", t.suffixes})
	}
	return n
}

// operational attributes are returned to who asks for them by name, or for "+" (RFC 4512 §5.1, RFC 3673).
var operational = []string{"supportedldapversion", "supportedfeatures", "vendorname", "namingcontexts"}

// selected are the attributes of n that a search asks for (RFC 4511 §4.5.1.8).
func (s search) selected(n *node) (out []attribute) {
	user, system := len(s.asked) == 0, false
	for _, a := range s.asked {
		user, system = user || a == "*", system || a == "+"
	}
	for _, a := range n.attrs {
		wanted := user
		if slices.Contains(operational, lower(a.name)) {
			wanted = system
		}
		kind, options, _ := strings.Cut(lower(a.name), ";")
		for _, asked := range s.asked { // "1.1" is no attribute's name
			k, o, _ := strings.Cut(asked, ";")
			wanted = wanted || canonical(k) == kind && (o == "" || lower(o) == options)
		}
		if wanted {
			out = append(out, a)
		}
	}
	return out
}
