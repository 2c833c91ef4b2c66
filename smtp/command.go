package smtp

import (
	"strings"

	"carepost/addr"
)

// MaxCommand is the longest command line read, in octets with CR LF. RFC 5321 §4.5.3.1.4 asks for 512 and lets extensions add to it;
// a path takes 256, ORCPT 500, ENVID 100.
const MaxCommand = 2048

// Command is one command line: the verb in upper case and what follows it.
type Command struct {
	Verb string
	Args string // without the space before it
}

// ParseCommand takes a line without its CR LF apart. Only printable ASCII is read: the grammar of RFC 5321 §4.1 has nothing else, and
// SMTPUTF8 is not offered.
func ParseCommand(line []byte) (Command, *Reply) {
	for _, c := range line {
		if c < ' ' || c > '~' {
			if c >= 0x80 {
				return Command{}, NewReply(553, "5.6.7", "Only ASCII is taken in commands")
			}
			return Command{}, NewReply(500, "5.5.2", "Control character in a command")
		}
	}
	s := strings.TrimRight(string(line), " ") // RFC 5321 §4.1.1: trailing white space is tolerated
	verb, args, _ := strings.Cut(s, " ")
	if verb == "" || len(verb) > 12 || strings.Trim(strings.ToUpper(verb), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return Command{}, NewReply(500, "5.5.2", "That is no command")
	}
	return Command{Verb: strings.ToUpper(verb), Args: args}, nil
}

// Mail is what MAIL says (RFC 5321 §4.1.1.2).
type Mail struct {
	From     addr.Path
	Size     int64  // RFC 1870; 0 when not given
	EightBit bool   // BODY=8BITMIME (RFC 6152)
	Return   string // RET of RFC 3461: "FULL", "HDRS" or ""
	EnvID    string // ENVID of RFC 3461, decoded
	Auth     string // AUTH of RFC 4954 §5, decoded: who submitted it first, or "<>" when that is not known; "" when not given
}

// Rcpt is what RCPT says (RFC 5321 §4.1.1.3).
type Rcpt struct {
	To         addr.Path
	Postmaster bool     // "<Postmaster>" without a domain: To has no domain
	Notify     []string // NOTIFY of RFC 3461: NEVER alone, or some of SUCCESS, FAILURE, DELAY
	Original   string   // ORCPT of RFC 3461: address type, ';', address decoded
}

// ParseMail reads the arguments of MAIL: "FROM:<path>" and parameters. Every parameter at most once; unknown ones are refused (555).
func ParseMail(args string) (Mail, *Reply) {
	var m Mail
	path, params, refused := cutPath(args, "FROM:")
	if refused != nil {
		return Mail{}, refused
	}
	if path != "" {
		a, refused := parsePath(path, "5.1.7")
		if refused != nil {
			return Mail{}, refused
		}
		m.From = addr.Path{Address: a}
	}
	return m, eachParam(params, func(key, value string) *Reply {
		ok := false
		switch key {
		case "SIZE":
			m.Size, ok = parseSize(value)
		case "BODY":
			value = strings.ToUpper(value)
			m.EightBit = value == "8BITMIME"
			ok = m.EightBit || value == "7BIT"
		case "RET":
			m.Return = strings.ToUpper(value)
			ok = m.Return == "FULL" || m.Return == "HDRS"
		case "ENVID":
			m.EnvID, ok = ParseXtext(value)
			ok = ok && len(value) <= 100 && m.EnvID != "" && printable(m.EnvID)
		case "AUTH":
			m.Auth, ok = parseAuthParam(value)
		case "SMTPUTF8":
			return NewReply(555, "5.6.7", "SMTPUTF8 is not offered")
		default:
			return unknownParam()
		}
		return badUnless(ok, key)
	})
}

// ParseRcpt reads the arguments of RCPT: "TO:<path>" and parameters, as ParseMail does.
func ParseRcpt(args string) (Rcpt, *Reply) {
	var r Rcpt
	path, params, refused := cutPath(args, "TO:")
	if refused != nil {
		return Rcpt{}, refused
	}
	if strings.EqualFold(path, "Postmaster") {
		r.Postmaster = true
		r.To.Address.Endpoint = path
	} else {
		a, refused := parsePath(path, "5.1.3")
		if refused != nil {
			return Rcpt{}, refused
		}
		r.To.Address = a
	}
	return r, eachParam(params, func(key, value string) *Reply {
		ok := false
		switch key {
		case "NOTIFY":
			r.Notify, ok = parseNotify(value)
		case "ORCPT":
			r.Original, ok = parseOriginal(value)
		default:
			return unknownParam()
		}
		return badUnless(ok, key)
	})
}

func unknownParam() *Reply { return NewReply(555, "5.5.4", "Parameter not known") }

func badUnless(ok bool, key string) *Reply {
	if ok {
		return nil
	}
	return NewReply(501, "5.5.4", "Bad value of "+key) // key is one of ours here
}

// cutPath cuts keyword, '<', path and '>' from the front of args. The path is found by its quoting, so a '>' inside a quoted local
// part does not end it. The rest is empty or begins with a space.
func cutPath(args, keyword string) (path, rest string, refused *Reply) {
	bad := NewReply(501, "5.5.4", "Syntax: "+keyword+"<address>")
	if len(args) < len(keyword) || !strings.EqualFold(args[:len(keyword)], keyword) {
		return "", "", bad
	}
	s := args[len(keyword):]
	if s == "" || s[0] != '<' { // no space after the colon: RFC 5321 §3.3
		return "", "", bad
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			path, rest = s[1:i], s[i+1:]
			if rest != "" && rest[0] != ' ' {
				return "", "", bad
			}
			return path, rest, nil
		}
	}
	return "", "", bad
}

// parsePath reads what stands between the angle brackets.
func parsePath(s, enhanced string) (addr.Address, *Reply) {
	switch {
	case len(s) > 254: // RFC 5321 §4.5.3.1.3: 256 with the brackets
		return addr.Address{}, NewReply(501, enhanced, "Path too long")
	case strings.HasPrefix(s, "@"): // RFC 5321 §4.1.1.3 lets us decline
		return addr.Address{}, NewReply(553, enhanced, "Source routes are not taken")
	}
	a, err := addr.Parse(s)
	if err != nil {
		return addr.Address{}, NewReply(553, enhanced, "Not an address")
	}
	return a, nil
}

// eachParam reads esmtp-params (RFC 5321 §4.1.2) and gives each to f once, its keyword in upper case.
func eachParam(s string, f func(key, value string) *Reply) *Reply {
	var seen []string
	for s != "" {
		var p string
		p, s, _ = strings.Cut(strings.TrimPrefix(s, " "), " ")
		if s != "" {
			s = " " + s
		}
		key, value, has := strings.Cut(p, "=")
		if !keyword(key) || has && (value == "" || strings.Contains(value, "=")) {
			return NewReply(501, "5.5.4", "Parameter syntax")
		}
		key = strings.ToUpper(key)
		for _, k := range seen {
			if k == key {
				return NewReply(501, "5.5.4", "Parameter given twice")
			}
		}
		if len(seen) == 16 {
			return NewReply(501, "5.5.4", "Too many parameters")
		}
		seen = append(seen, key)
		if r := f(key, value); r != nil {
			return r
		}
	}
	return nil
}

// keyword reports whether s is an esmtp-keyword: ALPHA / DIGIT, then those and '-'.
func keyword(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !(c >= 'a' && c <= 'z' || s[i] >= '0' && s[i] <= '9' || i > 0 && s[i] == '-') {
			return false
		}
	}
	return s != ""
}
