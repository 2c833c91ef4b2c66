// Package zipmail carries a DICOM File-set as the attachment DICOM.ZIP of a mail.
//
// It follows PS3.11 X (Annex L of today's edition: STD-GEN-ZIP-MAIL, STD-GEN-SEC-ZIP-MAIL, STD-DTL-SEC-ZIP-MAIL) and PS3.12 Z (Annex W).
// Compose writes the whole message, exactly as X.3.2 has the headers; sealing it (PS3.15 B.8) is package smime's work.
//
// It departs from them in what it reads: Find takes what ordinary mail programs write (another type, another name, no id), with a
// finding for each departure.
package zipmail

import (
	"context"
	"io"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/message"
)

// Profile is one of the three application profiles of PS3.11 X.1. The zero Profile is secure.
type Profile uint8

// The profiles.
const (
	GenSec Profile = iota // STD-GEN-SEC-ZIP-MAIL
	Gen                   // STD-GEN-ZIP-MAIL: by explicit choice only
	Dental                // STD-DTL-SEC-ZIP-MAIL
)

// ContentType and Disposition are the exact header values of PS3.11 X.3.2 a–c; SubjectPhrase is what e asks for.
const (
	ContentType   = `application/zip; id="DICOM.ZIP"; name="DICOM.ZIP"`
	Disposition   = `attachment; filename="DICOM.ZIP"`
	AttachmentID  = "DICOM.ZIP"
	SubjectPhrase = "DICOM-ZIP"
)

// Letter is what surrounds the File-set. Subject empty = exactly DICOM-ZIP; a Subject without the phrase gets it in front.
type Letter struct {
	From      addr.Address
	To, Cc    []addr.Address
	Subject   string
	Text      string // instructions to the recipient; empty = a line that says what the attachment is
	Date      time.Time
	MessageID string // with angle brackets
	Profile   Profile
	Fields    []message.Field // further header fields, as they are
}

// Compose streams the whole RFC 5322 message. It refuses with *ProfileError, before the first byte, what the profile does not allow.
func Compose(ctx context.Context, w io.Writer, l Letter, p *fileset.Plan, boundary string, progress func(done, total int64)) error {
	panic("unimplemented")
}

// Find gives the attachment that carries the File-set, or nil, and how it departs from PS3.11 X.3.2.
func Find(root *message.Part) (*message.Part, []fileset.Finding) {
	panic("unimplemented")
}

// CheckProfile judges instances by a profile: PS3.11 X.4.1, Tables X.4-1 and X.4-2 for Dental, nothing for the others.
func CheckProfile(p Profile, xs []fileset.Instance) []fileset.Finding {
	panic("unimplemented")
}
