package smtp

import (
	"bytes"
	"encoding/base64"
	"strings"

	"carepost/addr"
)

// Auth is what AUTH says (RFC 4954 §4).
type Auth struct {
	Mechanism string // upper case
	Initial   []byte // the initial response, decoded
	Given     bool   // an initial response was given; it may be empty ("=")
}

// ParseAuth reads the arguments of AUTH: a mechanism (RFC 4422 §3.1) and perhaps an initial response in base64.
func ParseAuth(args string) (Auth, *Reply) {
	name, text, given := strings.Cut(args, " ")
	a := Auth{Mechanism: strings.ToUpper(name), Given: given}
	if len(name) < 1 || len(name) > 20 || strings.Trim(a.Mechanism, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return Auth{}, NewReply(501, "5.5.4", "Syntax: AUTH mechanism [initial response]")
	}
	switch {
	case !given, text == "=": // RFC 4954 §4: "=" is an empty response
		return a, nil
	case text == "": // two spaces, or one at the end
		return Auth{}, NewReply(501, "5.5.4", "Syntax: AUTH mechanism [initial response]")
	}
	var refused *Reply
	a.Initial, refused = ParseAuthResponse([]byte(text))
	return a, refused
}

// ParseAuthResponse decodes a client's line of an authentication exchange (RFC 4954 §4). "*" is the client's word for giving up.
func ParseAuthResponse(line []byte) ([]byte, *Reply) {
	if string(line) == "*" {
		return nil, NewReply(501, "5.7.0", "Given up, as you wish")
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(out, line)
	if err != nil || bytes.ContainsAny(line, "\r\n") { // the decoder passes over line ends
		return nil, NewReply(501, "5.5.2", "That is no base64")
	}
	return out[:n], nil
}

// maxPlain is the longest part of a PLAIN message that must be read (RFC 4616 §2), in octets.
const maxPlain = 255

// ParsePlain takes a message of the mechanism PLAIN apart (RFC 4616 §2): who the client wants to act as, who it is, and the proof. The
// identities may be anything but empty, too long, or hold a NUL; they are not prepared.
func ParsePlain(message []byte) (authorize, user, password string, refused *Reply) {
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return "", "", "", NewReply(501, "5.5.2", "That is no PLAIN message")
	}
	for _, p := range parts {
		if len(p) > maxPlain {
			return "", "", "", NewReply(501, "5.5.2", "That PLAIN message is too long")
		}
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), nil
}

// parseAuthParam reads the value of AUTH of MAIL (RFC 4954 §5): "<>" or a mailbox in xtext.
func parseAuthParam(s string) (string, bool) {
	if s == "<>" {
		return s, true
	}
	a, ok := ParseXtext(s)
	if !ok || len(s) > 500 {
		return "", false
	}
	_, err := addr.Parse(a)
	return a, err == nil
}
