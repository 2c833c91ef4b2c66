// Package addr holds Direct addresses: a Health Endpoint Name at a Health Domain Name.
//
// It follows Direct 1.1–1.3 (RFC 1034 domains, RFC 5322 addr-spec), RFC 5321 §4.1.2 for what SMTP carries, and RFC 5890 for
// domains in other scripts, which are kept as A-labels.
//
// It departs from RFC 5322 in what it reads: no comments and no folding inside an addr-spec, no domain literals, no obsolete
// syntax. Address lists of message headers, where those occur, are read by package message.
package addr

import (
	"errors"
	"log/slog"
	"strings"
)

// ErrSyntax is wrapped by every error of this package.
var ErrSyntax = errors.New("addr: not an address")

// Limits of RFC 5321 §4.5.3.1, in octets.
const (
	maxEndpoint = 64
	maxDomain   = 253
	maxLabel    = 63
)

// Address is a Direct address (Direct 1.0). The zero Address is no address.
type Address struct {
	Endpoint string // local part without its quotes, as written: "jo hn", not "\"jo hn\""
	Domain   Domain
}

// Parse reads one addr-spec (RFC 5322 §3.4.1) without angle brackets or display name. A quoted local part is unquoted and
// quoted again by String. Errors wrap ErrSyntax and never repeat the address.
func Parse(s string) (Address, error) {
	endpoint, rest, err := cutEndpoint(s)
	if err != nil {
		return Address{}, err
	}
	if endpoint == "" || len(endpoint) > maxEndpoint {
		return Address{}, syntax("the local part must have 1 to 64 octets")
	}
	d, err := ParseDomain(rest)
	if err != nil {
		return Address{}, err
	}
	return Address{Endpoint: endpoint, Domain: d}, nil
}

// cutEndpoint splits s at the '@' that ends the local part and returns the local part unquoted.
func cutEndpoint(s string) (endpoint, domain string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.LastIndexByte(s, '@')
		if i < 0 {
			return "", "", syntax("no @")
		}
		if !dotAtom(s[:i]) {
			return "", "", syntax("the local part is no dot-atom")
		}
		return s[:i], s[i+1:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if i+1 >= len(s) || s[i+1] != '@' {
				return "", "", syntax("text after the quoted local part")
			}
			return b.String(), s[i+2:], nil
		case c == '\\':
			if i++; i >= len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", syntax("bad quoted pair")
			}
			b.WriteByte(s[i])
		case c < ' ' || c > '~':
			return "", "", syntax("control or non-ASCII character in the local part")
		default:
			b.WriteByte(c)
		}
	}
	return "", "", syntax("unclosed quote")
}

// String writes the addr-spec, with the local part quoted where RFC 5322 wants it.
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	return a.quoted() + "@" + string(a.Domain)
}

func (a Address) quoted() string {
	if dotAtom(a.Endpoint) {
		return a.Endpoint
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(a.Endpoint) {
		if c := a.Endpoint[i]; c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(a.Endpoint[i])
	}
	b.WriteByte('"')
	return b.String()
}

// Equal compares whole addresses.
//
// Direct 4.1.1: without regard to case, whatever RFC 5280 §7.5 says of local parts. ASCII case only: the Kelvin sign is no k.
func (a Address) Equal(b Address) bool {
	return lower(a.Endpoint) == lower(b.Endpoint) && a.Domain == b.Domain
}

// Key is the form under which equal addresses are equal strings: for maps and look-ups, never for display.
func (a Address) Key() string {
	return Address{Endpoint: lower(a.Endpoint), Domain: a.Domain}.String()
}

// IsZero says that a is no address.
func (a Address) IsZero() bool { return a == Address{} }

// LogValue shows the domain alone: who a person corresponds with is nobody's business in a log.
func (a Address) LogValue() slog.Value { return slog.StringValue("@" + string(a.Domain)) }

// MarshalText writes the addr-spec; the zero Address is the empty text.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Address) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = Address{}
		return nil
	}
	p, err := Parse(string(text))
	if err != nil {
		return err
	}
	*a = p
	return nil
}

// Path is what MAIL FROM carries (RFC 5321 §4.1.1.2): an address, or the null reverse-path "<>", which is the zero Path.
type Path struct {
	Address Address
}

// IsNull says that p is the null reverse-path.
func (p Path) IsNull() bool { return p.Address.IsZero() }

// String writes p with its angle brackets.
func (p Path) String() string { return "<" + p.Address.String() + ">" }

// LogValue shows the domain alone.
func (p Path) LogValue() slog.Value { return p.Address.LogValue() }

// dotAtom reports whether s is a dot-atom-text of RFC 5322 §3.2.3.
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

type syntaxError string

func syntax(why string) error         { return syntaxError(why) }
func (e syntaxError) Error() string   { return "addr: " + string(e) }
func (syntaxError) Is(err error) bool { return err == ErrSyntax }
