package zipmail

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"carepost/message"
)

// ProfileField names the application profile by which a mail was made, where its sender has chosen STD-GEN-ZIP-MAIL. The standard has no
// such field.
const ProfileField = "X-DICOM-Application-Profile"

// UnprotectedNote stands at the head of the text of a mail by STD-GEN-ZIP-MAIL. It is ASCII in short lines without "=", so that it reads the
// same in every transfer encoding but base64.
const UnprotectedNote = "This mail is not protected (DICOM profile STD-GEN-ZIP-MAIL): it is neither\r\n" +
	"encrypted nor signed. Anybody on its way can read it and change it.\r\n\r\n"

// ChosenUnprotected says that the sender of a mail has chosen STD-GEN-ZIP-MAIL himself, in ProfileField or, where his program has no way to write
// that, by the name of the profile at the beginning of the subject, behind DICOM-ZIP at most (PS3.11 X.1: for objects that need no
// protection). What answers or forwards such a mail has "Re:" or the like there, and chooses nothing.
func ChosenUnprotected(h message.Header) bool {
	if h.Has(ProfileField) {
		p, err := ParseProfile(firstWord(h.Get(ProfileField)))
		return err == nil && p == Gen && h.Count(ProfileField) == 1
	}
	subject := strings.TrimSpace(h.Text("Subject"))
	if rest, ok := strings.CutPrefix(subject, SubjectPhrase+" "); ok {
		subject = rest
	}
	return firstWord(subject) == Gen.String()
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return word
}

// WriteUnprotected writes the mail msg, of which root is the structure, with UnprotectedNote in front of its text and with CRLF line ends. Of
// its header those fields stay that keep has, after more. A mail whose first text cannot take the note has a part of its own before all others.
func WriteUnprotected(w io.Writer, msg io.ReaderAt, root *message.Part, keep func(name string) bool, more ...message.Field) error {
	out := message.NewCRLFWriter(w)
	var head, content bytes.Buffer
	for _, f := range more {
		head.Write(f.Raw)
	}
	for _, f := range root.Header.Fields() {
		switch {
		case strings.HasPrefix(strings.ToLower(f.Name), "content-"):
			content.Write(f.Raw)
		case keep(f.Name) && !strings.EqualFold(f.Name, "MIME-Version"):
			head.Write(f.Raw)
		}
	}
	head.WriteString("MIME-Version: 1.0\r\n")
	pieces, err := marked(msg, root, content.Bytes())
	if err != nil {
		return fmt.Errorf("zipmail: marking: %w", err)
	}
	for _, r := range append([]io.Reader{&head}, pieces...) {
		if _, err := io.Copy(out, r); err != nil {
			return fmt.Errorf("zipmail: marking: %w", err)
		}
	}
	return nil
}

// marked is what follows the header's own fields: those of the content, the blank line, and the body with the note in it.
func marked(msg io.ReaderAt, root *message.Part, content []byte) ([]io.Reader, error) {
	span := func(from, to int64) io.Reader { return io.NewSectionReader(msg, from, to-from) }
	own := io.MultiReader(bytes.NewReader(content), strings.NewReader("\r\n"))
	if at, there := noteAt(msg, root); there {
		return []io.Reader{own, span(root.Body, root.End)}, nil
	} else if at >= 0 {
		return []io.Reader{own, span(root.Body, at), strings.NewReader(UnprotectedNote), span(at, root.End)}, nil
	}
	const note = "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + UnprotectedNote
	if root.Type.Is("multipart", "mixed") && len(root.Parts) > 0 {
		first := root.Parts[0].Start
		next := "--" + root.Type.Params["boundary"] + "\r\n"
		return []io.Reader{own, span(root.Body, first), strings.NewReader(note + next), span(first, root.End)}, nil
	}
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return nil, err
	}
	before := "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n" + note + "--" + boundary + "\r\n"
	return []io.Reader{strings.NewReader(before), own, span(root.Body, root.End), strings.NewReader("\r\n--" + boundary + "--\r\n")}, nil
}

// noteAt is where in a mail the note goes: at the beginning of its text, if that takes it as it is; else -1. there says that it stands there.
func noteAt(msg io.ReaderAt, root *message.Part) (at int64, there bool) {
	text := root
	if root.Type.Is("multipart", "mixed") && len(root.Parts) > 0 {
		text = root.Parts[0]
	}
	kind, _, err := text.Header.Disposition()
	switch {
	case !text.Type.Is("text", "plain") || err == nil && kind == "attachment", strings.HasPrefix(strings.ToLower(text.Type.Params["charset"]), "utf-16"):
		return -1, false
	case text.Encoding != "7bit" && text.Encoding != "8bit" && text.Encoding != "quoted-printable":
		return -1, false
	}
	note := strings.TrimRight(UnprotectedNote, "\r\n")
	have := make([]byte, len(note))
	n, _ := io.ReadFull(text.Raw(msg), have)
	return text.Body, string(have[:n]) == note
}
