package smime

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"carepost/addr"
	"carepost/message"
)

// NeutralSubject is the one subject that OuterHeader shows.
//
// DICOM PS3.15 X.3.2 e and j want the phrase in the subject line; Direct 6.1 wants an outer subject that tells nothing.
const NeutralSubject = "DICOM-ZIP"

// OuterHeader is what the outside of a wrapped message has to show: Date, From, Sender, To, Cc, Message-ID, In-Reply-To and
// References, each as in h where it is there, addresses without the names beside them, no Bcc. There is no Subject, but
// NeutralSubject where the one in h contains it. Errors wrap message.ErrAmbiguous for a field that is there twice, and
// message.ErrSyntax or ErrLimit for an address list that cannot be read (Direct 2.2: all are Direct addresses).
func OuterHeader(h message.Header) ([]message.Field, error) {
	var b message.Builder
	for _, name := range []string{"Date", "From", "Sender", "To", "Cc", "Message-ID", "In-Reply-To", "References"} {
		switch n := h.Count(name); {
		case n == 0:
			continue
		case n > 1: // RFC 5322 §3.6
			return nil, fmt.Errorf("smime: the message: %w: two fields %s", message.ErrAmbiguous, name)
		}
		switch name {
		case "From", "Sender", "To", "Cc":
			boxes, err := h.Mailboxes(name)
			if err != nil {
				return nil, fmt.Errorf("smime: the message: %s: %w", name, err)
			}
			for i := range boxes {
				boxes[i].Name = "" // DIR-49: a name may be a patient's
			}
			if len(boxes) > 0 { // an empty group says nothing
				b.AddMailboxes(name, boxes...)
			}
		default:
			b.AddRaw(field(h, name))
		}
	}
	if strings.Contains(h.Text("Subject"), NeutralSubject) {
		b.Add("Subject", NeutralSubject)
	}
	return fields(&b)
}

// OuterFor is OuterHeader for an envelope: From is its sender and To its recipients, whoever else the message names (DIR-13). It
// is for SealOptions.Outer.
func OuterFor(from addr.Address, to ...addr.Address) func(message.Header) ([]message.Field, error) {
	return func(h message.Header) ([]message.Field, error) {
		of, err := OuterHeader(h)
		if err != nil {
			return nil, err
		}
		boxes := make([]message.Mailbox, len(to))
		for i, a := range to {
			boxes[i].Address = a
		}
		var b message.Builder
		b.AddMailboxes("From", message.Mailbox{Address: from}).AddMailboxes("To", boxes...)
		for _, f := range of {
			switch {
			case equalFold(f.Name, "From"), equalFold(f.Name, "Sender"), equalFold(f.Name, "To"), equalFold(f.Name, "Cc"):
			default:
				b.AddRaw(f)
			}
		}
		return fields(&b)
	}
}

// field returns the first field of that name.
func field(h message.Header, name string) message.Field {
	for _, f := range h.Fields() {
		if equalFold(f.Name, name) {
			return f
		}
	}
	return message.Field{}
}

// fields reads back what was built.
func fields(b *message.Builder) ([]message.Field, error) {
	var buf bytes.Buffer
	if _, err := b.WriteTo(&buf); err != nil {
		return nil, fmt.Errorf("smime: the outer header: %w", err)
	}
	h, err := message.ReadHeader(bufio.NewReader(&buf), message.Limits{})
	if err != nil {
		return nil, fmt.Errorf("smime: the outer header: %w", err)
	}
	return h.Fields(), nil
}

// outer composes the outer header.
func (o *SealOptions) outer(h message.Header) (*message.Builder, error) {
	choose := o.Outer
	if choose == nil && !o.Unwrapped {
		choose = OuterHeader
	}
	var chosen []message.Field
	if choose != nil {
		var err error
		if chosen, err = choose(h); err != nil {
			return nil, err
		}
	}
	b := new(message.Builder)
	if o.Unwrapped && !o.Alone {
		for _, f := range h.Fields() {
			if ours(f.Name) || named(chosen, f.Name) {
				continue
			}
			b.AddRaw(f)
		}
	}
	for _, f := range chosen {
		if !ours(f.Name) {
			b.AddRaw(f)
		}
	}
	kind := "enveloped-data"
	if o.Cipher.Authenticated() {
		kind = "authEnveloped-data" // RFC 8551 §3.2.2
	}
	// The forms that the certification tools ask for: both names, and the file name once more in the disposition.
	b.Add("MIME-Version", "1.0").
		Add("Content-Type", `application/pkcs7-mime; smime-type=`+kind+`; name="smime.p7m"`).
		Add("Content-Transfer-Encoding", "base64").
		Add("Content-Disposition", `attachment; filename="smime.p7m"`)
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("smime: the outer header: %w", err)
	}
	return b, nil
}

func named(fs []message.Field, name string) bool {
	for _, f := range fs {
		if equalFold(f.Name, name) {
			return true
		}
	}
	return false
}

// ours are the fields that no one else writes outside.
func ours(name string) bool {
	return contentField(name) || equalFold(name, "MIME-Version") || blind(name)
}

// blind are the fields that name secret recipients (RFC 5322 §3.6.3; DIR-10).
func blind(name string) bool { return equalFold(name, "Bcc") || equalFold(name, "Resent-Bcc") }
