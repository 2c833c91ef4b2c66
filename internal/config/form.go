package config

import (
	"fmt"

	"carepost/internal/rule"
)

type (
	form    rule.Form
	subject rule.Subject
)

func (f *form) UnmarshalText(text []byte) error {
	switch string(text) {
	case "direct":
		*f = form(rule.Direct)
	case "smime":
		*f = form(rule.SMIME)
	case "plain":
		*f = form(rule.Plain)
	default:
		return fmt.Errorf("%q is none of direct, smime, plain", text)
	}
	return nil
}

func (s *subject) UnmarshalText(text []byte) error {
	switch string(text) {
	case "shown":
		*s = subject(rule.Shown)
	case "neutral":
		*s = subject(rule.Neutral)
	default:
		return fmt.Errorf("%q is none of shown, neutral", text)
	}
	return nil
}
