package ldapd

import (
	"slices"
	"strings"
)

// truth is an answer of the logic of filters (RFC 4511 §4.5.1.7).
type truth int

const (
	no truth = iota - 1
	undefined
	yes
)

// Kinds of filter: the tags of their choices.
const (
	filterAnd        = 0xa0
	filterOr         = 0xa1
	filterNot        = 0xa2
	filterEquality   = 0xa3
	filterSubstrings = 0xa4
	filterGreater    = 0xa5
	filterLess       = 0xa6
	filterPresent    = 0x87
	filterApprox     = 0xa8
	filterExtensible = 0xa9
)

// filter is one part of a filter, with those below it.
type filter struct {
	kind      byte
	parts     []*filter
	attribute string
	value     string   // folded
	pieces    []string // of a substring, folded; the first and last may be "": not anchored
}

// parseFilter reads a filter of at most maxDepth levels and, with what left counts, maxFilters parts.
func parseFilter(b *body, depth int, left *int) (*filter, error) {
	tag, content, err := b.next()
	if err != nil {
		return nil, err
	}
	if *left--; *left < 0 || depth > maxDepth {
		return nil, errLimit
	}
	f := &filter{kind: tag}
	switch tag {
	case filterAnd, filterOr, filterNot:
		for len(content) > 0 {
			part, err := parseFilter(&content, depth+1, left)
			if err != nil {
				return nil, err
			}
			f.parts = append(f.parts, part)
		}
		if tag == filterNot && len(f.parts) != 1 {
			return nil, errSyntax
		}
	case filterPresent:
		f.attribute = string(content)
	case filterEquality, filterApprox, filterGreater, filterLess:
		if f.attribute, err = content.text(); err == nil {
			f.value, err = content.text()
			f.value = fold(f.value)
		}
	case filterSubstrings:
		err = f.substrings(content)
	case filterExtensible:
	default:
		return nil, errSyntax
	}
	return f, err
}

func (f *filter) substrings(content body) (err error) {
	if f.attribute, err = content.text(); err != nil {
		return err
	}
	parts, err := content.want(tagSequence)
	if err != nil || len(parts) == 0 {
		return errSyntax
	}
	f.pieces = []string{""}
	ended := false
	for first := true; len(parts) > 0; first = false {
		tag, piece, err := parts.next()
		if err != nil || ended {
			return errSyntax
		}
		switch text := lower(string(piece)); {
		case tag == 0x80 && first:
			f.pieces[0] = text
		case tag == 0x81:
			f.pieces = append(f.pieces, text)
		case tag == 0x82:
			f.pieces = append(f.pieces, text)
			ended = true
		default:
			return errSyntax
		}
	}
	if !ended {
		f.pieces = append(f.pieces, "")
	}
	return nil
}

// match says whether f holds of n, of which values says what a description names. A nil n is nobody in particular: a person of
// whom only that is known which all have in common; what asks for more of him may hold or not, and equality names somebody else.
func (f *filter) match(n *node) truth {
	switch f.kind {
	case filterAnd: // RFC 4526: none of them is true
		out := yes
		for _, p := range f.parts {
			out = min(out, p.match(n))
		}
		return out
	case filterOr:
		out := no
		for _, p := range f.parts {
			out = max(out, p.match(n))
		}
		return out
	case filterNot:
		return -f.parts[0].match(n)
	}
	values, defined := f.values(n)
	switch {
	case !defined || f.kind == filterGreater || f.kind == filterLess || f.kind == filterExtensible:
		return undefined // no ordering rule is served
	case f.kind == filterPresent:
		return claim(len(values) > 0)
	case isCertificate(f.attribute):
		return undefined // certificateExactMatch (RFC 4523 §2.5) is not served
	case f.kind == filterSubstrings && n == nil && isName(f.attribute):
		return undefined
	case f.kind == filterSubstrings:
		return claim(slices.ContainsFunc(values, func(v string) bool { return contains(fold(v), f.pieces) }))
	}
	return claim(slices.ContainsFunc(values, func(v string) bool { return fold(v) == f.value }))
}

func claim(holds bool) truth {
	if holds {
		return yes
	}
	return no
}

// anybody has what all entries of people have.
var anybody = &node{attrs: []attribute{
	{"objectClass", []string{"top", "person", "organizationalPerson", "inetOrgPerson"}},
	{"cn", []string{""}}, {"sn", []string{""}}, {"mail", []string{""}}, {"userCertificate;binary", []string{""}},
}}

func (f *filter) values(n *node) ([]string, bool) {
	if n == nil {
		n = anybody
	}
	return n.find(f.attribute)
}

// isName says that an attribute tells who somebody is.
func isName(description string) bool {
	switch canonical(description) {
	case "mail", "cn", "sn":
		return true
	}
	return false
}

func isCertificate(description string) bool {
	kind, _, _ := strings.Cut(description, ";")
	return canonical(kind) == "usercertificate"
}

// contains says that the pieces follow one another in v, the first at its beginning, the last at its end.
func contains(v string, pieces []string) bool {
	last := pieces[len(pieces)-1]
	v, ok := strings.CutPrefix(v, pieces[0])
	for _, p := range pieces[1 : len(pieces)-1] {
		if ok {
			_, v, ok = strings.Cut(v, p)
		}
	}
	return ok && strings.HasSuffix(v, last)
}

// named are the addresses that f names in full, whatever it says of them.
func (f *filter) named(add func(mail string)) {
	if (f.kind == filterEquality || f.kind == filterApprox) && isName(f.attribute) {
		add(f.value)
	}
	for _, p := range f.parts {
		p.named(add)
	}
}
