// Package sasl proves with user and password who we are (RFC 4422, client side): SCRAM-SHA-256 (RFC 7677, RFC 5802), PLAIN (RFC 4616) and
// LOGIN, which no RFC describes and many servers offer alone.
//
// None of it is for a wire in clear: PLAIN and LOGIN show the password, and SCRAM has no channel binding here, so that whoever stands
// between could pass it on. Its callers begin TLS before, and check the server's certificate.
//
// It departs from RFC 5802 §2.2: user and password are normalized by NFKC (RFC 4013 §2.2), its other steps are left out, which change
// nothing of what servers take.
package sasl

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// ErrServer says that a server's side of an exchange does not fit the mechanism, or does not prove that it knows the password.
var ErrServer = errors.New("sasl: the server's answer does not fit")

// Credentials of a user.
type Credentials struct{ User, Password string }

// Client is one exchange.
type Client interface {
	// Start names the mechanism and gives the initial response; nil: the server speaks first.
	Start() (mechanism string, initial []byte, err error)
	// Next answers a challenge.
	Next(challenge []byte) ([]byte, error)
	// Proven says, after the server has said yes, whether it may be believed. ErrServer.
	Proven() error
}

// mechanisms, the most wanted first.
var mechanisms = [...]string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}

// Choose begins an exchange by the best mechanism of those that a server offers; nil where it offers none of ours.
func (c Credentials) Choose(offered []string) Client {
	for _, m := range mechanisms {
		if !slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, m) }) {
			continue
		}
		switch m {
		case "SCRAM-SHA-256":
			return &scram{Credentials: c}
		case "PLAIN":
			return plain{c}
		case "LOGIN":
			return &login{Credentials: c}
		}
	}
	return nil
}

// plain is PLAIN.
type plain struct{ Credentials }

func (p plain) Start() (string, []byte, error) {
	if strings.ContainsRune(p.User+p.Password, 0) {
		return "", nil, errors.New("sasl: a NUL in user or password")
	}
	return "PLAIN", []byte("\x00" + p.User + "\x00" + p.Password), nil
}

func (plain) Next([]byte) ([]byte, error) { return nil, ErrServer }
func (plain) Proven() error               { return nil }

// login is LOGIN: the server asks twice, in whatever words.
type login struct {
	Credentials
	asked int
}

func (l *login) Start() (string, []byte, error) { return "LOGIN", nil, nil }

func (l *login) Next([]byte) ([]byte, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.User), nil
	case 2:
		return []byte(l.Password), nil
	}
	return nil, ErrServer
}

func (l *login) Proven() error { return nil }

// maxWords is what is kept of a server's words.
const maxWords = 200

// Hide makes a server's words fit for reports and logs: printable, bounded, without addresses, user or password.
func (c Credentials) Hide(words string) string {
	const hidden = "<...>"
	for _, secret := range []string{c.Password, c.User} {
		if secret != "" {
			words = regexp.MustCompile("(?i)"+regexp.QuoteMeta(secret)).ReplaceAllString(words, hidden) // servers may fold case
		}
	}
	fields := strings.Fields(words[:min(len(words), 4*maxWords)])
	for i, w := range fields {
		if strings.Contains(w, "@") {
			fields[i] = hidden
		}
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.Join(fields, " "))
	return s[:min(len(s), maxWords)]
}
