package message

import "strings"

// maxWord is the longest run without white space that AddText writes; longer ones are broken.
const maxWord = 900

// AddText appends a field of free text that may have several lines: line ends become folds (Direct 3.1.1, 3.3: texts of reports
// are broken with CRLF as RFC 5322 wants it), blank lines fall away, other control characters become spaces, words that are not
// ASCII become encoded words. So no text is refused.
func (b *Builder) AddText(name, text string) *Builder {
	return b.addLines(name, textLines(text, foldColumn-len(name)-2))
}

// AddComment appends a field of a value and, unless it is empty, a comment after it, which may be any text as in AddText.
func (b *Builder) AddComment(name, value, comment string) *Builder {
	lines := textLines(comment, foldColumn-len(name)-len(value)-5)
	if len(lines) == 0 {
		return b.Add(name, value)
	}
	for i, l := range lines {
		lines[i] = commentEscaper.Replace(l) // encoded words hold none of these characters
	}
	lines[0] = value + " (" + lines[0]
	lines[len(lines)-1] += ")"
	return b.addLines(name, lines)
}

var commentEscaper = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`)

// addLines appends a field whose lines are each printable ASCII.
func (b *Builder) addLines(name string, lines []string) *Builder {
	if len(lines) == 0 {
		lines = []string{""}
	}
	b.add(name, lines[0])
	for _, l := range lines[1:] {
		if b.err != nil {
			return b
		}
		// A continuation is folded like a field without a name: its first piece begins with the white space.
		out, ok := fold(b.buf, "", l)
		if !ok {
			return b.fail("a field that cannot be folded")
		}
		b.buf = out
	}
	return b
}

// textLines makes lines of printable ASCII words, one space between them, of any text. room is the width left on the first line.
func textLines(text string, room int) []string {
	var lines []string
	isBreak := func(r rune) bool { return r == '\n' || r == '\r' }
	for _, line := range strings.FieldsFunc(strings.ToValidUTF8(text, "\ufffd"), isBreak) {
		if words := encodeForeign(strings.Fields(printable(line)), room); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
			room = foldColumn - 3
		}
	}
	return lines
}

// encodeForeign makes encoded words of the runs of words that are not ASCII, or look encoded. A run is encoded with its spaces,
// since those between encoded words are not shown (RFC 2047 §6.2).
func encodeForeign(words []string, room int) []string {
	var out []string
	foreign := func(w string) bool { return !ascii(w) || strings.Contains(w, "=?") }
	for i := 0; i < len(words); {
		j := i
		for j < len(words) && foreign(words[j]) {
			j++
		}
		if j > i {
			out = append(out, encodeWords(strings.Join(words[i:j], " "), room))
			i, room = j, foldColumn-3
			continue
		}
		w := words[i]
		room = foldColumn - 3 // a word that no longer fits goes to a new line
		for ; len(w) > maxWord; w = w[maxWord:] {
			out = append(out, w[:maxWord])
		}
		out = append(out, w)
		i++
	}
	return out
}

// CutComment reads what AddComment writes: the first word of a value, and after it a comment, for people. Text without its
// parentheses, as some programs write it, is taken for a comment too.
func CutComment(v string) (word, comment string) {
	v = strings.Trim(v, " \t")
	n := strings.IndexAny(v, " \t(")
	if n < 0 {
		return v, ""
	}
	word, comment = v[:n], strings.Trim(v[n:], " \t")
	if strings.HasPrefix(comment, "(") && strings.HasSuffix(comment, ")") {
		comment = comment[1 : len(comment)-1]
	}
	var b strings.Builder
	for i := 0; i < len(comment); i++ {
		if comment[i] == '\\' && i+1 < len(comment) {
			i++
		}
		b.WriteByte(comment[i])
	}
	return word, DecodeText(b.String())
}
