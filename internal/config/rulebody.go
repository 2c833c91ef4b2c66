package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"carepost/internal/rule"
)

type (
	sets      rule.Sets
	statement string // stands in the body of mail
)

func (s *sets) UnmarshalText(text []byte) error {
	switch string(text) {
	case "exact":
		*s = sets(rule.Exact)
	case "as-they-are":
		*s = sets(rule.AsTheyAre)
	default:
		return fmt.Errorf("%q is none of exact, as-they-are", text)
	}
	return nil
}

// maxStatement bounds a text that stands in every mail, in bytes.
const maxStatement = 4000

func (s *statement) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
	if t == "" || len(t) > maxStatement || !utf8.ValidString(t) || strings.ContainsFunc(t, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }) {
		return fmt.Errorf("a statement is a text of at most %d bytes", maxStatement)
	}
	*s = statement(t)
	return nil
}
