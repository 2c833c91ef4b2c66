package zipmail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"carepost/addr"
	"carepost/dicom/fileset"
)

// Attestation is the line of the body that tells the recipient what the signature of a mail with a File-set says (PS3.15 B.8 d).
func Attestation(sender addr.Address) string {
	return "By signing this mail, " + sender.String() + " attests to be authorised to disclose its contents to you (DICOM PS3.15 B.8)."
}

// NamedSubject is the word by which a sender takes it on himself that the subject names a patient.
const NamedSubject fileset.Conflict = "subject"

// Shortest texts that are looked for in a subject: what is shorter stands in many subjects by chance.
const (
	minGiven = 3 // characters of a given name
	minID    = 3 // characters of a Patient ID
)

// NamesPatient says that a subject holds a name or a Patient ID of a File-set, where PS3.15 B.8 note 2 wants none: subjects stand in lists,
// logs and, with many programs, in the clear. Names are compared word by word, whatever the case of their letters; those of scripts without spaces
// between words wherever they stand. It is a help against oversights: abbreviations and misspellings pass.
func NamesPatient(subject string, tree []fileset.Patient) bool {
	subject = strings.ToUpper(subject)
	for { // the phrase of X.3.2 e names nobody
		before, after, found := strings.Cut(subject, SubjectPhrase)
		if !found {
			break
		}
		subject = before + " " + after
	}
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(subject, apart) {
		words[w] = true
	}
	ids := map[string]bool{}
	for _, w := range strings.FieldsFunc(subject, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,;:()[]"'<>`, r) }) {
		ids[strings.Trim(w, ".#")] = true
	}
	for _, p := range tree {
		if id := strings.ToUpper(strings.TrimSpace(p.ID)); utf8.RuneCountInString(id) >= minID && (ids[id] || words[id] || strings.Contains(id, " ") && strings.Contains(subject, id)) {
			return true
		}
		for group := range strings.SplitSeq(strings.ToUpper(p.Name), "=") {
			for i, component := range strings.Split(group, "^") {
				if i < 3 && named(component, i > 0, words, subject) { // prefix and suffix are nobody's name
					return true
				}
			}
		}
	}
	return false
}

// named looks for the parts of a family name, or of given ones.
func named(component string, given bool, words map[string]bool, subject string) bool {
	for _, part := range strings.FieldsFunc(component, apart) {
		n := utf8.RuneCountInString(part)
		switch first, _ := utf8.DecodeRuneInString(part); {
		case unicode.In(first, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			if n > 1 && strings.Contains(subject, part) || n == 1 && words[part] {
				return true
			}
		case n < 2 || given && n < minGiven:
		case words[part]:
			return true
		}
	}
	return false
}

// apart says that a character ends a word.
func apart(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }
