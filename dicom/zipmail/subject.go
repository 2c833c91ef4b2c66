package zipmail

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

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
	minBare  = 3 // characters of a name without its accents: Lé is not the French article
)

// NamesPatient says that a subject holds a name or a Patient ID of a File-set, where PS3.15 B.8 note 2 wants none: subjects stand in lists,
// logs and, with many programs, in the clear. Names are compared word by word, whatever the case of their letters, with and without accents, and as
// they are transcribed where an image has ASCII alone; those of scripts without spaces between words wherever they stand. It is a help against
// oversights: abbreviations and misspellings pass.
func NamesPatient(subject string, tree []fileset.Patient) bool {
	s := subjectWords(subject)
	for _, p := range tree {
		if s.hasID(p.ID) {
			return true
		}
		for group := range strings.SplitSeq(folded(p.Name), "=") {
			components := strings.Split(group, "^")
			for i, component := range components[:min(len(components), 3)] { // prefix and suffix are nobody's name
				if s.hasName(component, i > 0) {
					return true
				}
			}
			if whole := strings.Join(strings.FieldsFunc(group, apart), ""); dense(whole) && utf8.RuneCountInString(whole) > 1 && strings.Contains(s.text, whole) {
				return true
			}
		}
	}
	return false
}

// subjectText is a subject made ready to be looked through.
type subjectText struct {
	text  string
	words map[string]bool // in all their spellings
}

// folded makes texts comparable that read the same: whatever the case, the composition of accents and the width of letters.
func folded(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

func subjectWords(subject string) subjectText {
	s := subjectText{folded(subject), map[string]bool{}}
	s.text = strings.ReplaceAll(s.text, strings.ToLower(SubjectPhrase), " ") // X.3.2 e: it names nobody
	for _, w := range strings.FieldsFunc(s.text, apart) {
		for _, x := range spellings(w) {
			s.words[x] = true
		}
	}
	return s
}

// hasID looks for a Patient ID that is not a piece of something longer.
func (s *subjectText) hasID(id string) bool {
	if id = folded(strings.TrimSpace(id)); utf8.RuneCountInString(id) < minID {
		return false
	}
	for rest, before := s.text, rune(' '); ; {
		at := strings.Index(rest, id)
		if at < 0 {
			return false
		}
		if at > 0 {
			before, _ = utf8.DecodeLastRuneInString(rest[:at])
		}
		after, _ := utf8.DecodeRuneInString(rest[at+len(id):])
		if apart(before) && (at+len(id) == len(rest) || apart(after)) {
			return true
		}
		first, n := utf8.DecodeRuneInString(rest[at:])
		rest, before = rest[at+n:], first
	}
}

// hasName looks for the parts of a family name, or of given ones.
func (s *subjectText) hasName(component string, given bool) bool {
	parts := strings.FieldsFunc(component, apart)
	if len(parts) > 1 { // O'Brien is OBrien too
		parts = append(parts, strings.Join(parts, ""))
	}
	for _, part := range parts {
		n := utf8.RuneCountInString(part)
		switch {
		case dense(part):
			if n > 1 && strings.Contains(s.text, part) || n == 1 && s.words[part] {
				return true
			}
		case n < 2 || given && n < minGiven:
		case slices.ContainsFunc(spellings(part), func(x string) bool { return s.words[x] }):
			return true
		}
	}
	return false
}

// dense says that a word is of a script that writes words, or words and their endings, without a space between them.
func dense(word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	return unicode.In(first, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai)
}

// transcribed is how letters are written where there is ASCII alone.
var transcribed = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "ø", "oe", "å", "aa", "æ", "ae", "œ", "oe", "ł", "l", "đ", "d", "ð", "d", "þ", "th")

// spellings of a folded word: as it is, transcribed, and without accents.
func spellings(word string) []string {
	if strings.IndexFunc(word, func(r rune) bool { return r >= 0x80 }) < 0 {
		return []string{word}
	}
	all := []string{word}
	for _, x := range []string{bare(transcribed.Replace(word)), bare(word)} {
		if utf8.RuneCountInString(x) >= minBare {
			all = append(all, x)
		}
	}
	return all
}

// bare drops accents.
func bare(word string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(word)))
}

// apart says that a character ends a word.
func apart(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }
