package message

import "strings"

// scanner reads the tokens of a structured field body. It only moves forward, so the work is linear.
type scanner struct {
	s        string
	i        int
	comments bool // one was skipped
	bare     bool // a value of several words stood without quotes
	broken   bool // a comment was not closed or too deep: nothing is read after it
}

// space skips white space and comments (RFC 5322 §3.2.2). It says false when a comment is not closed or too deep, and ever after:
// what stands in a comment must not be read as text by who asks again.
func (s *scanner) space() bool {
	if s.broken {
		return false
	}
	depth := 0
	for ; s.i < len(s.s); s.i++ {
		switch c := s.s[s.i]; {
		case c == '(':
			s.comments = true
			if depth++; depth > maxComment {
				s.broken = true
				return false
			}
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return true
		case c == ')':
			depth--
		case c == '\\' && s.i+1 < len(s.s):
			s.i++
		}
	}
	s.broken = depth > 0
	return !s.broken
}

// end says whether nothing but white space and comments is left.
func (s *scanner) end() bool { return s.space() && s.i >= len(s.s) }

// peek returns the next character after white space and comments, 0 at the end or in a broken comment.
func (s *scanner) peek() byte {
	if !s.space() || s.i >= len(s.s) {
		return 0
	}
	return s.s[s.i]
}

// eat takes c if it comes next.
func (s *scanner) eat(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// token takes a token of RFC 2045 §5.1, "" if none comes next.
func (s *scanner) token() string {
	if s.peek() == 0 {
		return ""
	}
	n := tokenLen(s.s[s.i:])
	t := s.s[s.i : s.i+n]
	s.i += n
	return t
}

// value takes a parameter's value: a token, a quoted string, or (as is common) bare text up to the next semicolon.
func (s *scanner) value() (string, bool) {
	switch s.peek() {
	case 0, ';':
		return "", s.i >= len(s.s) || s.s[s.i] == ';'
	case '"':
		return s.quoted()
	}
	start := s.i
	t := s.token()
	if c := s.peek(); t != "" && (c == 0 && s.i >= len(s.s) || c == ';') {
		return t, true
	}
	end := strings.IndexByte(s.s[start:], ';')
	if end < 0 {
		end = len(s.s) - start
	}
	s.i = start + end
	v := strings.TrimRight(s.s[start:s.i], " \t\r\n")
	s.bare = s.bare || strings.ContainsAny(v, " \t")
	return v, !strings.ContainsAny(v, "\"\x00")
}

// quoted takes a quoted string and returns it without its quotes.
func (s *scanner) quoted() (string, bool) {
	if !s.eat('"') {
		return "", false
	}
	if n := strings.IndexAny(s.s[s.i:], "\"\\"); n >= 0 && s.s[s.i+n] == '"' {
		v := s.s[s.i : s.i+n]
		s.i += n + 1
		return v, true
	}
	var b []byte
	for ; s.i < len(s.s); s.i++ {
		switch c := s.s[s.i]; {
		case c == '"':
			s.i++
			return string(b), true
		case c == '\\' && s.i+1 < len(s.s):
			s.i++
			b = append(b, s.s[s.i])
		case c == '\\':
			return "", false
		default:
			b = append(b, c)
		}
	}
	return "", false
}

// tokenLen returns how many octets of s, from its beginning, are token characters. A star is one (RFC 2231 names have it).
func tokenLen(s string) int {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?=", c) >= 0 {
			return i
		}
	}
	return len(s)
}

func asciiLower(s string) string {
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
