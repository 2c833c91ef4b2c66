package flow

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"carepost/internal/store"
)

// aboutWords names a message to its sender: by the subject and the time that he gave it.
func aboutWords(h store.Header) string {
	out := ""
	if h.Subject != "" {
		out = fmt.Sprintf(" %q", legible(h.Subject))
	}
	if !h.Date.IsZero() {
		out += " of " + h.Date.Format("2 January 2006, 15:04 -0700")
	}
	return out
}

// moment is a time for people of any country.
func moment(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006, 15:04 MST") }

// paragraph writes what is said under a word such as "Why:"; the lines that it has stay.
func paragraph(word, text string) string {
	const indent = "           "
	var b strings.Builder
	lead := fmt.Sprintf("    %-6s ", word)
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		b.WriteString(filled(lead, indent, line))
		lead = indent
	}
	return b.String()
}

// filled breaks a text into lines that every mail program shows whole.
func filled(lead, indent, text string) string {
	const width = 78
	var b strings.Builder
	b.WriteString(lead)
	col, first := utf8.RuneCountInString(lead), true
	for _, w := range strings.Fields(text) {
		n := utf8.RuneCountInString(w)
		if !first && col+1+n > width {
			b.WriteString("\n" + indent)
			col, first = len(indent), true
		}
		if !first {
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col, first = col+n, false
	}
	b.WriteByte('\n')
	return b.String()
}
