package smtpd

import (
	"bytes"

	"carepost/smtp"
)

// header looks at the header section as it passes. It refuses what would be read differently further on; what a good header says is
// for others to judge.
type header struct {
	limits Limits
	line   []byte // the beginning of the current line
	size   int
	fields int
	hops   int
	from   int
	done   bool
}

const nameBytes = 80 // a field name, its colon and some; RFC 5322 §2.1.1 keeps lines to 78

// scan takes the next bytes of the message.
func (h *header) scan(p []byte) error {
	for !h.done && len(p) > 0 {
		piece := p
		end := bytes.IndexByte(p, '\n')
		if end >= 0 {
			piece = p[:end+1]
		}
		p = p[len(piece):]
		if h.size += len(piece); h.size > h.limits.HeaderBytes {
			return &Refusal{Text: "Header too big"}
		}
		if smtp.EightBit(piece) { // RFC 5322 §2.2; SMTPUTF8 is not offered
			return &Refusal{Code: 550, Enhanced: "5.6.9", Text: "Header not in ASCII"}
		}
		h.line = append(h.line, piece[:min(len(piece), nameBytes-len(h.line))]...)
		if end >= 0 {
			if err := h.field(); err != nil {
				return err
			}
			h.line = h.line[:0]
		}
	}
	return nil
}

// field judges one whole line by its beginning.
func (h *header) field() error {
	switch {
	case bytes.Equal(h.line, []byte("\r\n")):
		h.done = true
		return nil
	case h.line[0] == ' ' || h.line[0] == '\t':
		if h.fields == 0 {
			return &Refusal{Text: "The header begins with a folded line"}
		}
		return nil
	}
	h.fields++
	name, _, ok := bytes.Cut(h.line, []byte(":"))
	name = bytes.TrimRight(name, " \t") // RFC 5322 §4.5: obsolete, but seen
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") {
		return &Refusal{Text: "A header line is no field"}
	}
	switch {
	case bytes.EqualFold(name, []byte("Received")):
		if h.hops++; h.hops >= h.limits.Hops { // RFC 5321 §6.3
			return &Refusal{Code: 554, Enhanced: "5.4.6", Text: "Too many hops, this is a loop"}
		}
	case bytes.EqualFold(name, []byte("From")):
		if h.from++; h.from > 1 { // RFC 5322 §3.6
			return &Refusal{Text: "More than one From field"}
		}
	}
	return nil
}
