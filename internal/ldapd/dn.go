package ldapd

import (
	"encoding/hex"
	"errors"
	"strings"

	"carepost/addr"
)

var errName = errors.New("ldapd: that is no distinguished name")

// name is a distinguished name in one spelling: types by their one name, values in lower case, escaped in one way.
type name string

// parseName reads a distinguished name as text (RFC 4514 §3). Names of several attributes or with values in hexadecimal can be none
// of ours: they are read, and found nowhere.
func parseName(text string) (name, error) {
	if len(text) > maxDN {
		return "", errName
	}
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	var out []string
	for rest := text; ; {
		kind, after, found := strings.Cut(rest, "=")
		kind = strings.ToLower(strings.TrimSpace(kind))
		if !found || kind == "" || strings.ContainsAny(kind, `,+"\<>;# `) {
			return "", errName
		}
		value, n, err := parseValue(after)
		if err != nil {
			return "", err
		}
		out = append(out, canonical(kind)+"="+escape(fold(value)))
		if n == len(after) {
			return name(strings.Join(out, ",")), nil
		}
		if after[n] == '+' {
			out = append(out, "+")
		}
		rest = after[n+1:]
	}
}

// parseValue reads a value up to the separator at n, or to the end.
func parseValue(s string) (value string, n int, err error) {
	var b strings.Builder
	i := 0
	for i < len(s) && s[i] == ' ' {
		i++
	}
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', '+', ';':
			return strings.TrimRight(b.String(), " "), i, nil
		case '\\':
			if i+1 == len(s) {
				return "", 0, errName
			}
			i++
			if strings.IndexByte(` "#+,;<=>\`, s[i]) >= 0 {
				b.WriteByte(s[i])
				continue
			}
			if i+1 == len(s) {
				return "", 0, errName
			}
			x, err := hex.DecodeString(s[i : i+2])
			if err != nil {
				return "", 0, errName
			}
			b.WriteByte(x[0])
			i++
		case '"', '<', '>', 0:
			return "", 0, errName
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimRight(b.String(), " "), len(s), nil
}

// escape writes a value as RFC 4514 §2.4 has it, with hexadecimal digits as OpenLDAP does.
func escape(v string) string {
	var b strings.Builder
	for i := range len(v) {
		switch c := v[i]; {
		case strings.IndexByte(`"+,;<>\=`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(v)-1), c < ' ', c >= 0x7f:
			b.WriteString(`\` + strings.ToUpper(hex.EncodeToString([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// suffix of a domain (RFC 2247).
func suffix(d addr.Domain) string { return "dc=" + strings.ReplaceAll(string(d), ".", ",dc=") }

// fold brings values that are the same to one spelling: case and runs of spaces do not matter (RFC 4518, for ASCII).
func fold(s string) string { return strings.Join(strings.Fields(lower(s)), " ") }

// lower is lower case in ASCII: the Kelvin sign is no k.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
