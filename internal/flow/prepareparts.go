package flow

import (
	"context"
	"crypto/rand"
	"fmt"
	"mime/quotedprintable"
	"slices"
	"strings"

	"carepost/dicom/zipmail"
	"carepost/internal/mailbox"
	"carepost/message"
)

// letterText stands in the body of a mail that had none. It names nobody.
const letterText = "The attachment DICOM.ZIP holds a DICOM File-set: images and documents with their directory, DICOMDIR.\n" +
	"Open it with a DICOM program, or unpack it and give the folder to one."

// change collects what is to be changed of the message.
func (p *preparing) change(ctx context.Context) error {
	head := map[string]*message.Builder{}
	if p.tree != nil && !zipmail.ExactSubject(p.root.Header) {
		head["Subject"] = oneField("Subject", zipmail.Subject(p.root.Header.Text("Subject")))
		p.done.detail["subject"] = "made exact (PS3.11 X.3.2 e)"
	}
	notes, err := p.notes()
	if err != nil {
		return err
	}
	if d := p.done.division; d != nil {
		head["Subject"] = oneField("Subject", zipmail.Numbered(exactSubject(p.root.Header), d.part(1)))
		notes = append(notes, strings.TrimSpace(zipmail.Listing(d.part(1), d.all)))
	}
	if p.set != nil && p.set != p.root && !zipmail.ExactPart(p.set.Header) {
		text, err := exactPart(p.set.Header)
		if err != nil {
			return fmt.Errorf("flow: accept: %w", err)
		}
		p.changes = append(p.changes, splice{from: p.set.Start, to: p.set.Body, with: text})
		p.done.detail["attachment"] = "header made exact (PS3.11 X.3.2 a-c)"
	}
	if err := p.replace(ctx); err != nil {
		return err
	}
	switch wrapped := p.alone() || len(notes) > 0 && (!p.root.Type.Is("multipart", "mixed") || len(p.root.Parts) == 0); {
	case wrapped:
		err = p.wrap(head, notes)
	case len(notes) > 0:
		eol, at := eolOf(p.root.Header), p.root.Parts[0].End
		p.changes = append(p.changes, splice{from: at, to: at, with: eol + "--" + p.root.Type.Params["boundary"] + eol + textPart(strings.Join(notes, "\n\n"), eol)})
	}
	if err != nil || len(head) == 0 {
		return err
	}
	text, err := rewritten(p.root.Header, head)
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	if i := slices.IndexFunc(p.changes, func(c splice) bool { return c.from == 0 && c.to == p.root.Body }); i >= 0 {
		p.changes[i].with = text + p.changes[i].with // wrap has begun the body
		return nil
	}
	p.changes = append(p.changes, splice{from: 0, to: p.root.Body, with: text})
	return nil
}

// notes are the texts that are missing in the body: statements of rules, what the signature attests, and a subject that nobody is shown. In a mail that its program has signed
// nothing can be put right.
func (p *preparing) notes() (missing []string, err error) {
	wanted := slices.Clone(p.wants.statement)
	if p.tree != nil && !p.wants.unsigned {
		wanted = append(wanted, zipmail.Attestation(p.env.From.Address))
	}
	if title := p.root.Header.Text("Subject"); p.wants.retitled && title != "" && title != zipmail.SubjectPhrase {
		wanted = append(wanted, "Subject: "+title) // else its reader never learns it
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	l, err := mailbox.ReadLetter(p.body)
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	says := strings.Join(strings.Fields(l.Text), " ")
	for _, text := range wanted {
		if !strings.Contains(says, strings.Join(strings.Fields(text), " ")) {
			missing = append(missing, text)
		}
	}
	if !p.signed() {
		return missing, nil
	}
	const off = "switch signing off there: it is signed here"
	switch {
	case p.set != nil && !zipmail.ExactPart(p.set.Header):
		return nil, &Refusal{"PS3.11 X.3.2", "the mail program has signed the mail, so the attachment cannot get the header of a DICOM.ZIP; " + off}
	case slices.ContainsFunc(missing, func(m string) bool { return slices.Contains(p.wants.statement, m) }):
		return nil, &Refusal{"PS3.15 B.8", "the mail lacks a statement that must stand in it, and the mail program has signed it; " + off + ", and the statement added"}
	}
	return nil, nil
}

// signed says that the mail program has signed or sealed what would be changed.
func (p *preparing) signed() bool {
	if p.set != nil && p.set != p.root {
		return signedBy(p.root, p.set)
	}
	return p.root.Type.Is("multipart", "signed") || p.root.Type.Is("multipart", "encrypted") || strings.HasSuffix(p.root.Type.Subtype, "pkcs7-mime")
}

// alone says that the whole message is the set.
func (p *preparing) alone() bool { return p.set == p.root || slices.Contains(p.loose, p.root) }

// wrap puts what the message is into a multipart/mixed, with texts after it; before it, where it is the DICOM.ZIP alone.
func (p *preparing) wrap(head map[string]*message.Builder, notes []string) error {
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	h, eol := p.root.Header, eolOf(p.root.Header)
	inner := map[string]*message.Builder{}
	for _, field := range h.Fields() {
		if strings.HasPrefix(strings.ToLower(field.Name), "content-") {
			head[field.Name] = nil
		} else {
			inner[field.Name] = nil
		}
	}
	if p.alone() {
		if p.plan != nil {
			inner["Content-Transfer-Encoding"], inner["Content-MD5"] = oneField("Content-Transfer-Encoding", "base64"), nil
			field, err := p.partField()
			if err != nil {
				return err
			}
			if field.Name != "" {
				inner[field.Name] = new(message.Builder).AddRaw(field)
			}
		}
		inner["Content-Type"], inner["Content-Disposition"] = oneField("Content-Type", zipmail.ContentType), oneField("Content-Disposition", zipmail.Disposition)
		p.done.detail["attachment"] = "header made exact (PS3.11 X.3.2 a-c)"
	}
	first, err := rewritten(h, inner)
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	delete(head, "content-type")
	for name := range head {
		if strings.EqualFold(name, "Content-Type") {
			delete(head, name)
		}
	}
	head["Content-Type"] = oneField("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	if !h.Has("MIME-Version") {
		head["MIME-Version"] = oneField("MIME-Version", "1.0")
	}
	open, text := "--"+boundary+eol, ""
	if p.alone() {
		text = open + textPart(strings.Join(append([]string{letterText}, notes...), "\n\n"), eol) + eol
		notes = nil
	}
	p.changes = append(p.changes, splice{from: 0, to: p.root.Body, with: text + open + first})
	end := eol + "--" + boundary + "--" + eol
	if len(notes) > 0 {
		end = eol + open + textPart(strings.Join(notes, "\n\n"), eol) + end
	}
	p.changes = append(p.changes, splice{from: p.body.Size(), to: p.body.Size(), with: end})
	return nil
}

// exactSubject is the subject that a message with a set is to have.
func exactSubject(h message.Header) string {
	if zipmail.ExactSubject(h) {
		return h.Get("Subject")
	}
	return zipmail.Subject(h.Text("Subject"))
}

// exactPart is the header of the DICOM.ZIP as X.3.2 has it; other fields stay.
func exactPart(h message.Header) (string, error) {
	return rewritten(h, map[string]*message.Builder{
		"Content-Type":        oneField("Content-Type", zipmail.ContentType),
		"Content-Disposition": oneField("Content-Disposition", zipmail.Disposition),
	})
}

// textPart is a body part with a text.
func textPart(text, eol string) string {
	var b strings.Builder
	q := quotedprintable.NewWriter(&b)
	_, _ = q.Write([]byte(text)) // a Builder takes everything
	_ = q.Close()
	part := "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		strings.ReplaceAll(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\n", "\r\n")
	return strings.ReplaceAll(part, "\r\n", eol)
}
