package message

import (
	"bytes"
	"strings"
)

// headerParser takes a header line by line: from a stream in ReadHeader, from a tree in Parse.
type headerParser struct {
	lim    Limits
	raw    []byte
	starts []fieldStart
}

type fieldStart struct {
	at   int
	name string
}

func newHeaderParser(lim Limits) *headerParser { return &headerParser{lim: lim} }

// room says whether the line of n bytes that is being read can still be taken.
func (p *headerParser) room(n int) error {
	if n > p.lim.LineBytes {
		return limit("a header line is too long")
	}
	if int64(len(p.raw)+n) > p.lim.HeaderBytes {
		return limit("the header is too long")
	}
	return nil
}

// add takes a line with its line end and says whether it is the blank one that ends the header.
func (p *headerParser) add(line []byte) (end bool, err error) {
	if err := p.room(len(line)); err != nil {
		return false, err
	}
	text := bytes.TrimSuffix(line, []byte{'\n'})
	if len(text) < len(line) {
		text = bytes.TrimSuffix(text, []byte{'\r'})
	}
	if len(text) == 0 {
		return true, nil
	}
	if bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, 0) >= 0 {
		return false, syntax("a bare CR or a NUL in the header")
	}
	if text[0] == ' ' || text[0] == '\t' {
		if len(p.starts) == 0 {
			return false, syntax("the header begins with a continuation")
		}
		p.raw = append(p.raw, line...)
		return false, nil
	}
	name, err := fieldName(text)
	if err != nil {
		return false, err
	}
	if len(p.starts) >= p.lim.Fields {
		return false, limit("too many header fields")
	}
	p.starts = append(p.starts, fieldStart{len(p.raw), name})
	p.raw = append(p.raw, line...)
	return false, nil
}

// fieldName returns the name before the colon. RFC 5322 §4.5 lets white space stand before the colon; some readers take such a
// line for the field and some do not, so the fields that shape an entity may not be written in this way.
func fieldName(line []byte) (string, error) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return "", syntax("a header line without a colon")
	}
	name := bytes.TrimRight(line[:i], " \t")
	if len(name) == 0 {
		return "", syntax("a header field without a name")
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return "", syntax("a header field name with a character that has no place in it")
		}
	}
	s := string(name)
	if len(name) < i {
		for _, n := range structural {
			if strings.EqualFold(s, n) {
				return "", ambiguous("white space before the colon of " + n)
			}
		}
	}
	return s, nil
}

// header returns what was taken.
func (p *headerParser) header() Header {
	h := Header{raw: p.raw}
	if len(p.starts) > 0 {
		h.fields = make([]Field, len(p.starts))
	}
	for i, s := range p.starts {
		end := len(p.raw)
		if i+1 < len(p.starts) {
			end = p.starts[i+1].at
		}
		h.fields[i] = Field{Name: s.name, Raw: p.raw[s.at:end:end]}
	}
	return h
}
