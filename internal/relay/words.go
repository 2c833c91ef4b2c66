package relay

import (
	"strings"

	"carepost/internal/transit"
	"carepost/smtp"
)

// Bounds of a server's words: what is kept of them, and what is looked at for that.
const (
	maxWords  = 300
	seenWords = 4 * maxWords
)

const redacted = "<...>"

// hidden are the addresses of an envelope, which a server's words may repeat and ours do not.
type hidden struct {
	locals map[string]bool   // local parts, in lower case
	quoted *strings.Replacer // those that are no single word, as they were sent
}

func newHidden(d transit.Consignment) hidden {
	h := hidden{locals: map[string]bool{}}
	var pairs []string
	for _, a := range append(d.To[:len(d.To):len(d.To)], d.From.Address) {
		h.locals[strings.ToLower(a.Endpoint)] = true
		if strings.Contains(a.Endpoint, " ") {
			whole := a.String()
			local := strings.TrimSuffix(whole, "@"+a.Domain.String())
			pairs = append(pairs, whole, redacted, local, redacted, a.Endpoint, redacted)
		}
	}
	h.quoted = strings.NewReplacer(pairs...)
	return h
}

// words are a server's, made fit for reports and logs: printable, bounded, without addresses or the local parts of this message's.
func (h hidden) words(r smtp.Reply) string {
	var head strings.Builder
	for _, l := range r.Text {
		if head.Len() > seenWords {
			break
		}
		head.WriteString(l + " ")
	}
	s := head.String()
	if len(s) > seenWords { // the last word may be a piece of an address
		s = s[:strings.LastIndexByte(s[:seenWords], ' ')+1]
	}
	fields := strings.Fields(h.quoted.Replace(s))
	for i, w := range fields {
		core := strings.ToLower(strings.Trim(w, `<>"'()[]{},.:;`))
		if strings.Contains(w, "@") || core != "" && h.locals[core] {
			fields[i] = redacted
		}
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, strings.Join(fields, " "))
	return s[:min(len(s), maxWords)]
}
