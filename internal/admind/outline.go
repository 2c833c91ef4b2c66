package admind

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/message"
)

// fields that an outline tells, in this order.
var fields = []string{"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject", "Message-ID", "In-Reply-To", "References"}

// outline tells header and parts of a mail.
func (s *Server) outline(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(m Mail, b *blob.Body) error {
		root, err := message.Parse(b, b.Size(), message.Limits{})
		if err != nil {
			return unreadable(err)
		}
		found, err := mailbox.FindStudy(root, b)
		if err != nil && !errors.Is(err, mailbox.ErrNoFileSet) {
			return err
		}
		out := outlined(m, root, found)
		if found == nil {
			if out.Unreadable, err = zipmail.Foreign(root, b); err != nil {
				return err
			}
		}
		s.answer(w, out, nil)
		return nil
	})
}

// outlined tells header and parts; study may be nil.
func outlined(m Mail, root *message.Part, study *mailbox.Found) Outline {
	out := Outline{Mail: m, Fields: []Field{}, Parts: []Part{}, Unprotected: mailbox.Unprotected(root.Header)}
	if study != nil {
		out.Doubts = slices.DeleteFunc(slices.Clone(study.Findings), func(f fileset.Finding) bool { return !zipmail.Doubt(f) })
	}
	for _, name := range fields {
		for i, n := 0, root.Header.Count(name); i < n; i++ {
			out.Fields = append(out.Fields, Field{name, message.DecodeText(root.Header.Values(name)[i])})
		}
	}
	for i, p := range leaves(root) {
		part := Part{
			N: i + 1, Type: p.Type.Type + "/" + p.Type.Subtype, Charset: p.Type.Params["charset"], Name: p.Filename(), Size: about(p),
		}
		if study != nil {
			if part.Study, part.Object = study.Has(p); part.Object {
				part.ObjectName = zipmail.ObjectName(p)
			}
		}
		kind, _, err := p.Header.Disposition()
		part.Attached = err != nil || kind == "attachment" || p.Type.Type != "text" || part.Name != ""
		out.Study = out.Study || part.Study || part.Object
		out.Parts = append(out.Parts, part)
	}
	return out
}

// about is how long a part is decoded, nearly: lines of 76 characters and a line end hold 57 octets (RFC 2045 §6.8).
func about(p *message.Part) int64 {
	n := p.End - p.Body
	if p.Encoding != "base64" {
		return n
	}
	return n/78*57 + n%78*3/4
}

// leaves are the parts that hold something.
func leaves(root *message.Part) (out []*message.Part) {
	for p := range root.Walk() {
		if len(p.Parts) == 0 && p.Type.Type != "multipart" {
			out = append(out, p)
		}
	}
	return out
}

// part streams one part of a mail, decoded.
func (s *Server) part(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		s.fail(w, wrong("not the number of a part"))
		return
	}
	s.with(w, r, func(_ Mail, b *blob.Body) error {
		root, err := message.Parse(b, b.Size(), message.Limits{})
		if err != nil {
			return unreadable(err)
		}
		parts := leaves(root)
		if n < 1 || n > len(parts) {
			return notFound("the mail has no such part")
		}
		s.stream(w, "application/octet-stream", -1, parts[n-1].Open(b))
		return nil
	})
}

// unreadable answers for a mail whose structure cannot be read: it can be had as it is only.
func unreadable(err error) error {
	if errors.Is(err, message.ErrSyntax) || errors.Is(err, message.ErrAmbiguous) || errors.Is(err, message.ErrLimit) {
		return &Error{Status: http.StatusUnprocessableEntity, Code: Damaged,
			Reason: "the structure of the message cannot be read: " + strings.TrimPrefix(err.Error(), "message: ")}
	}
	return err
}
