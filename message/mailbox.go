package message

import (
	"strings"

	"carepost/addr"
)

// Mailbox is an address with the name shown beside it (RFC 5322 §3.4). Nobody vouches for the name.
type Mailbox struct {
	Name    string
	Address addr.Address
}

// Mailboxes reads the address lists of all fields of that name in their order, groups flattened. No field, and a group
// without members, give none. Errors wrap ErrSyntax or ErrLimit and never repeat an address.
func (h Header) Mailboxes(name string) ([]Mailbox, error) {
	var all []Mailbox
	for _, v := range h.Values(name) {
		ms, err := parseMailboxes(v, maxMailboxes-len(all))
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	return all, nil
}

// ParseMailboxes reads one address list; see Header.Mailboxes.
func ParseMailboxes(list string) ([]Mailbox, error) { return parseMailboxes(list, maxMailboxes) }

func parseMailboxes(list string, room int) ([]Mailbox, error) {
	s := scanner{s: list}
	var ms []Mailbox
	group := false
	for {
		for s.eat(',') { // RFC 5322 §4.4: empty elements are read
		}
		if s.end() {
			if group {
				return nil, syntax("a group that is not closed")
			}
			return ms, nil
		}
		if group && s.eat(';') {
			group = false
			if !s.listBreak(false) {
				return nil, syntax("text after a group")
			}
			continue
		}
		m, isGroup, err := s.mailbox()
		if err != nil {
			return nil, err
		}
		if isGroup {
			if group {
				return nil, syntax("a group within a group")
			}
			group = true
			continue
		}
		if len(ms) >= room {
			return nil, limit("too many addresses")
		}
		ms = append(ms, m)
		if !s.listBreak(group) {
			return nil, syntax("text after an address")
		}
	}
}

// listBreak says whether a comma, the end, or inside a group its semicolon comes next.
func (s *scanner) listBreak(group bool) bool {
	return s.end() || s.peek() == ',' || group && s.peek() == ';'
}

// mailbox reads name-addr, addr-spec, or the name of a group and its colon.
func (s *scanner) mailbox() (m Mailbox, group bool, err error) {
	words, first, err := s.phrase()
	if err != nil {
		return Mailbox{}, false, err
	}
	switch s.peek() {
	case ':':
		s.i++
		if len(words) == 0 {
			return Mailbox{}, false, syntax("a group without a name")
		}
		return Mailbox{}, true, nil
	case '@':
		if len(words) != 1 {
			return Mailbox{}, false, syntax("text before an address")
		}
		m.Address, err = s.addrSpec(first)
		return m, false, err
	case '<':
		s.i++
		_, local, err := s.phrase()
		if err != nil {
			return Mailbox{}, false, err
		}
		if m.Address, err = s.addrSpec(local); err != nil {
			return Mailbox{}, false, err
		}
		if !s.eat('>') {
			return Mailbox{}, false, syntax("an address without its closing bracket")
		}
		m.Name = DecodeText(strings.Join(words, " "))
		return m, false, nil
	}
	return Mailbox{}, false, syntax("not an address")
}

// phrase reads words: atoms, dots among them, and quoted strings. spec is what they would be as a local part: the one word as
// written, quoted again if it was quoted; "" if there are several.
func (s *scanner) phrase() (words []string, spec string, err error) {
	for {
		c := s.peek()
		if c == 0 {
			break
		}
		if c == '"' {
			q, ok := s.quoted()
			if !ok {
				return nil, "", syntax("a quote that is not closed")
			}
			words, spec = append(words, q), quote(q)
		} else {
			n := atomLen(s.s[s.i:])
			if n == 0 {
				break
			}
			words, spec = append(words, s.s[s.i:s.i+n]), s.s[s.i:s.i+n]
			s.i += n
		}
	}
	if len(words) != 1 {
		spec = ""
	}
	return words, spec, nil
}

// addrSpec reads "@" and the domain after a local part.
func (s *scanner) addrSpec(local string) (addr.Address, error) {
	if local == "" || !s.eat('@') || s.peek() == 0 {
		return addr.Address{}, syntax("not an address")
	}
	n := atomLen(s.s[s.i:])
	a, err := addr.Parse(local + "@" + s.s[s.i:s.i+n])
	s.i += n
	if err != nil {
		return addr.Address{}, syntax("not a Direct address")
	}
	return a, nil
}

// atomLen counts the octets of an atom of RFC 5322 §3.2.3, with dots and (RFC 6532) everything beyond ASCII.
func atomLen(s string) int {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte("()<>[]:;@\\,\"", c) >= 0 {
			return i
		}
	}
	return len(s)
}
