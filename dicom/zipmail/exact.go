package zipmail

import (
	"strings"

	"carepost/message"
)

// ExactSubject says that a subject holds the phrase of X.3.2 e to the letter, in plain ASCII: not within encoded words.
func ExactSubject(h message.Header) bool { return strings.Contains(h.Get("Subject"), SubjectPhrase) }

// ExactPart says that the header of the attachment is as X.3.2 a–c have it.
func ExactPart(h message.Header) bool {
	same := func(name, want string) bool { return strings.Join(strings.Fields(h.Get(name)), " ") == want }
	return same("Content-Type", ContentType) && same("Content-Disposition", Disposition)
}
