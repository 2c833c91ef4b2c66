package transit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// leastNamed is from how many characters on a part of a name, or a number, is looked for: initials stand in every text.
const leastNamed = 3

// NamedIn says whether a text names one of the patients: by a part of the name, by the Patient ID or by an accession number, as a word of
// its own in any case of letters. It guards against oversights: a nickname it does not know.
func (s Subjects) NamedIn(text string) bool {
	words := wordsOf(text)
	for _, p := range s.Patients {
		number, _, _ := strings.Cut(p.ID, "^^^") // without who gave it (HL7 CX)
		if stands(words, number) {
			return true
		}
		for _, part := range strings.FieldsFunc(p.Name, func(r rune) bool { return r == '^' || r == '=' || unicode.IsSpace(r) }) {
			if stands(words, part) {
				return true
			}
		}
		for _, st := range p.Studies {
			if stands(words, st.Accession) {
				return true
			}
		}
	}
	return false
}

// stands says that a name, of one word or several, stands in words. Writing without spaces (PS3.5 6.2 has names in ideographs) has it stand
// within a word.
func stands(words, name string) bool {
	name = wordsOf(name)
	dense := strings.ContainsFunc(name, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
	})
	if dense {
		name = strings.TrimSpace(name)
		return utf8.RuneCountInString(name) >= 2 && strings.Contains(words, name)
	}
	return utf8.RuneCountInString(name) >= leastNamed+2 && strings.Contains(words, name)
}

// wordsOf is the words of a text in small letters, a space before and after each.
func wordsOf(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	if len(words) == 0 {
		return ""
	}
	return " " + strings.Join(words, " ") + " "
}
