package addr

import (
	"strings"

	"golang.org/x/net/idna"
)

// Domain is a Health Domain Name (Direct 1.1): a fully qualified RFC 1034 name in lower-case A-labels, without the final dot.
// It is made by ParseDomain; the zero Domain is none.
type Domain string

// ParseDomain reads a domain name; labels in other scripts become A-labels (RFC 5891 look-up). It must have at least two labels:
// Direct 1.1 wants it fully qualified. Errors wrap ErrSyntax.
func ParseDomain(s string) (Domain, error) {
	s = strings.TrimSuffix(s, ".")
	if !ascii(s) {
		if len(s) > 4*maxDomain { // no name is longer in UTF-8, and the work of Punycode grows with the square
			return "", syntax("the domain is longer than 253 octets")
		}
		a, err := idna.Lookup.ToASCII(s)
		if err != nil {
			return "", syntax("the domain is no internationalised name")
		}
		s = a
	}
	s = lower(s)
	if len(s) > maxDomain {
		return "", syntax("the domain is longer than 253 octets")
	}
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return "", syntax("the domain is not fully qualified")
	}
	for _, l := range labels {
		if !label(l) {
			return "", syntax("the domain has a label that RFC 1034 does not allow")
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return "", syntax("an IP address is no domain")
	}
	return Domain(s), nil
}

// label reports whether s is a label of letters, digits and inner hyphens (RFC 1034 §3.5 as RFC 1123 §2.1 widens it).
func label(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// String returns the name.
func (d Domain) String() string { return string(d) }

// UnmarshalText reads a name as ParseDomain does.
func (d *Domain) UnmarshalText(text []byte) error {
	p, err := ParseDomain(string(text))
	if err != nil {
		return err
	}
	*d = p
	return nil
}
