// Package zipmail carries a DICOM File-set as the attachment DICOM.ZIP of a mail.
//
// It follows PS3.11 X (Annex L of today's edition: STD-GEN-ZIP-MAIL, STD-GEN-SEC-ZIP-MAIL, STD-DTL-SEC-ZIP-MAIL) and PS3.12 Z (Annex W).
// Compose writes the whole message, with the headers exactly as X.3.2 has them; sealing it (PS3.15 B.8) is the work of package smime.
//
// It departs from them in what it reads: Find takes what ordinary mail programs write (another type, another name, no id), with a
// finding for each departure.
package zipmail

import (
	"context"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/message"
)

// The exact header values of PS3.11 X.3.2 a–c, and the phrase that e wants in the subject.
const (
	ContentType    = `application/zip; id="DICOM.ZIP"; name="DICOM.ZIP"`
	Disposition    = `attachment; filename="DICOM.ZIP"`
	AttachmentName = "DICOM.ZIP"
	SubjectPhrase  = "DICOM-ZIP"
)

// defaultText stands in the body when the sender writes nothing. It names nobody.
const defaultText = "The attachment DICOM.ZIP holds a DICOM File-set: images and documents with their directory, DICOMDIR.\n" +
	"Open it with a DICOM program, or unpack it and give the folder to one.\n"

// Letter is what surrounds the File-set.
type Letter struct {
	From      addr.Address
	To, Cc    []addr.Address
	Subject   string // empty = exactly DICOM-ZIP; without the phrase it gets it in front. Name no patient in it (PS3.15 B.8 note 2)
	Text      string // instructions to the recipient; empty = a line that says what the attachment is
	Date      time.Time
	MessageID string // with angle brackets
	Profile   Profile
	Fields    []message.Field // further header fields, as they are

	Attachments []message.Attachment // other files, after the File-set

	Part  Part     // of a transfer in several mails, if it is one
	Parts []Listed // all of them, which the text lists
}

// Compose streams the whole RFC 5322 message. *ProfileError, before the first byte, says what the profile does not allow.
// The message is not compressed (X.3.2 d) and is plain: GenSec and Dental must be sealed before they leave.
func Compose(ctx context.Context, w io.Writer, l Letter, p *fileset.Plan, boundary string, progress func(done, total int64)) error {
	return ComposeSet(w, l, p.Instances, func(w io.Writer) error { return p.WriteZIP(ctx, w, progress) }, boundary)
}

// ComposeSet is Compose for a DICOM.ZIP that is there already: xs are its instances, archive gives its bytes.
func ComposeSet(w io.Writer, l Letter, xs []fileset.Instance, archive func(w io.Writer) error, boundary string) error {
	if err := Allow(l.Profile, xs); err != nil {
		return err
	}
	set, err := attachment(l.Part, archive)
	if err != nil {
		return err
	}
	text := l.Text
	if text == "" {
		text = defaultText
	}
	if says := Attestation(l.From); l.Profile.Secure() && !strings.Contains(text, says) {
		text = strings.TrimRight(text, "\n") + "\n\n" + says + "\n"
	}
	text += Listing(l.Part, l.Parts)
	head := header(l)
	if err := head.Err(); err != nil {
		return fmt.Errorf("zipmail: %w", err)
	}
	return message.WriteLetter(w, head, text, boundary, append([]message.Attachment{set}, l.Attachments...)...)
}

// ComposeUnder writes a part of a transfer under a header that is there already, its subject numbered and of an own Message-ID; what stands there of
// the structure of the mail is not to be in it.
func ComposeUnder(w io.Writer, head *message.Builder, text string, p Part, all []Listed, archive func(w io.Writer) error, boundary string) error {
	set, err := attachment(p, archive)
	if err != nil {
		return err
	}
	if text == "" {
		text = defaultText
	}
	return message.WriteLetter(w, head, strings.TrimRight(text, "\n")+"\n"+Listing(p, all), boundary, set)
}

// attachment is the DICOM.ZIP of a mail, as X.3.2 a–c have it.
func attachment(p Part, archive func(w io.Writer) error) (message.Attachment, error) {
	set := message.Attachment{Type: ContentType, Disposition: Disposition, Write: archive}
	if p.IsZero() {
		return set, nil
	}
	field, err := p.Field()
	set.Fields = []message.Field{field}
	return set, err
}

// header is that of the message.
func header(l Letter) *message.Builder {
	var b message.Builder
	b.AddMailboxes("From", message.Mailbox{Address: l.From})
	for _, to := range []struct {
		name string
		list []addr.Address
	}{{"To", l.To}, {"Cc", l.Cc}} {
		ms := make([]message.Mailbox, len(to.list))
		for i, a := range to.list {
			ms[i].Address = a
		}
		if len(ms) > 0 {
			b.AddMailboxes(to.name, ms...)
		}
	}
	b.Add("Subject", Numbered(Subject(l.Subject), l.Part)).AddDate(l.Date)
	if l.MessageID != "" {
		b.Add("Message-ID", l.MessageID)
	}
	if l.Profile == Gen {
		b.Add(ProfileField, Gen.String())
	}
	for _, f := range l.Fields {
		b.AddRaw(f)
	}
	return &b
}

// Subject gives a subject that holds the phrase of PS3.11 X.3.2 e, in plain ASCII whatever the rest is.
func Subject(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "=?", "= ?") // it is text: nobody shall decode it once more and find another
	if s == "" {
		return SubjectPhrase
	}
	if strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 {
		if strings.Contains(s, SubjectPhrase) { // to the letter, though reading takes any case
			return s
		}
		return SubjectPhrase + " " + s
	}
	before, after, _ := strings.Cut(s, SubjectPhrase)
	rest := strings.TrimSpace(strings.TrimSpace(before) + " " + strings.TrimSpace(after))
	return SubjectPhrase + " " + mime.BEncoding.Encode("utf-8", rest)
}

// HasPhrase looks for the phrase anywhere, after "Re:" and the like (PS3.12 Z.1 note).
func HasPhrase(subject string) bool {
	return strings.Contains(strings.ToUpper(subject), SubjectPhrase)
}
