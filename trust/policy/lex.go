package policy

import (
	"strings"
	"unicode/utf8"
)

// fault is an error at an offset.
type fault struct {
	offset int
	reason string
}

func (f *fault) Error() string { return f.reason }

func (f *fault) at(text string) *Error {
	before := text[:min(f.offset, len(text))]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &Error{line, column, f.reason}
}

// kind of a token.
type tokenKind uint8

const (
	end tokenKind = iota
	opening
	closing
	operator
	field
	literal
)

type token struct {
	kind     tokenKind
	text     string // a literal without its quotes
	from, to int
}

// operators in the order of trying: a longer one before its beginning.
var operators = [...]string{"{?}!", "{?}", "{}!", "{}$", "{}&", "{}", "&&", "||", "!=", "@@", "=", ">", "<", "$", "^", "!", "&", "|"}

func operatorAt(s string) string {
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

const blanks = " \t\r\n"

// next reads the next token.
func (p *parser) next() (token, *fault) {
	for p.at < len(p.text) && strings.IndexByte(blanks, p.text[p.at]) >= 0 {
		p.at++
	}
	t := token{from: p.at}
	rest := p.text[p.at:]
	switch op := operatorAt(rest); {
	case rest == "":
		t.to = p.at
		return t, nil
	case rest[0] == '(':
		t.kind, t.text = opening, "("
	case rest[0] == ')':
		t.kind, t.text = closing, ")"
	case rest[0] == '"':
		return p.quoted(t)
	case op != "":
		t.kind, t.text = operator, op
	default:
		return p.plain(t)
	}
	p.at += len(t.text)
	t.to = p.at
	return t, nil
}

// plain reads a field, or a literal up to the next operator, bracket or quotation mark.
func (p *parser) plain(t token) (token, *fault) {
	isField := strings.HasPrefix(p.text[p.at:], "X509.")
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '(' || c == ')' || c == '"' || operatorAt(p.text[p.at:]) != "" || isField && strings.IndexByte(blanks, c) >= 0 {
			break
		}
		p.at++
	}
	t.text = strings.TrimRight(p.text[t.from:p.at], blanks)
	t.to = t.from + len(t.text)
	if t.kind = literal; isField {
		t.kind = field
	}
	if !utf8.ValidString(t.text) {
		return t, &fault{t.from, "this is no text in UTF-8"}
	}
	return t, nil
}

// quoted reads a literal between quotation marks.
func (p *parser) quoted(t token) (token, *fault) {
	var b strings.Builder
	t.kind = literal
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			t.text, t.to = b.String(), p.at
			if !utf8.ValidString(t.text) {
				return t, &fault{t.from, "this is no text in UTF-8"}
			}
			return t, nil
		case '\\':
			if p.at+1 < len(p.text) && strings.IndexByte(`"\`, p.text[p.at+1]) >= 0 {
				p.at++
				c = p.text[p.at]
			}
			b.WriteByte(c) // before anything else it stands for itself: regular expressions are full of them
		default:
			b.WriteByte(c)
		}
	}
	return t, &fault{t.from, "the quotation mark is not closed"}
}
