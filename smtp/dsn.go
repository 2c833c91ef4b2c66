package smtp

import "strings"

// parseNotify reads the value of NOTIFY (RFC 3461 §4.1): NEVER, or a list in which nothing comes twice.
func parseNotify(s string) ([]string, bool) {
	list := strings.Split(strings.ToUpper(s), ",")
	for i, w := range list {
		switch w {
		case "NEVER":
			if len(list) > 1 {
				return nil, false
			}
		case "SUCCESS", "FAILURE", "DELAY":
			for _, v := range list[:i] {
				if v == w {
					return nil, false
				}
			}
		default:
			return nil, false
		}
	}
	return list, true
}

// parseOriginal reads the value of ORCPT (RFC 3461 §4.2): addr-type ";" xtext.
func parseOriginal(s string) (string, bool) {
	kind, x, ok := strings.Cut(s, ";")
	a, valid := ParseXtext(x)
	if !ok || !valid || len(s) > 500 || !keyword(kind) || a == "" || !printable(a) {
		return "", false
	}
	return kind + ";" + a, true
}

// ParseXtext decodes xtext (RFC 3461 §4): printable ASCII without '+', '=' and space, and "+" with two upper-case hexadecimal digits.
func ParseXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		case c < '!' || c > '~' || c == '=':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

const upperHex = "0123456789ABCDEF"

// FormatXtext encodes s as xtext.
func FormatXtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			b.WriteByte('+')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// printable wants ASCII without control characters: a decoded value goes into logs and reports.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
