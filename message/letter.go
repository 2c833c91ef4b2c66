package message

import (
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
)

// Attachment is a body part that carries a file, in base64.
type Attachment struct {
	Type        string  // value of Content-Type, as it is written
	Disposition string  // value of Content-Disposition
	ID          string  // Content-ID with its angle brackets; empty: none
	Fields      []Field // further fields of the part's header, as they are
	Write       func(w io.Writer) error
}

// NewAttachment describes a file by its name, which any text may be, and its media type; write gives its bytes. The name is
// the last element of a path: what stands before it is nobody's business.
func NewAttachment(name, mediaType string, write func(w io.Writer) error) Attachment {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(printable(name))
	if name == "" {
		name = "attachment"
	}
	// RFC 2231 §4 for what a quoted string cannot hold; RFC 2183 §2 has the name in the disposition, older readers look at the type.
	d := "attachment; filename=" + quote(name)
	if !ascii(name) {
		d = "attachment; filename*=utf-8''" + extendedValue(name)
	}
	return Attachment{Type: mediaType, Disposition: d, Write: write}
}

// extendedValue writes a text as RFC 2231 §7 has it (attribute-char).
func extendedValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// DecodeCharset decodes b from a named character set for people; without a known one, b is taken for UTF-8 and what is not
// becomes U+FFFD. Control characters stay.
func DecodeCharset(charset string, b []byte) string { return toUTF8(charset, b) }

// WriteLetter streams a whole message: the fields of header, to which MIME-Version and Content-Type are added, a text in UTF-8,
// and the attachments in their order. The boundary is made by NewBoundary; it is not used where there are no attachments.
func WriteLetter(w io.Writer, header *Builder, text, boundary string, attachments ...Attachment) error {
	const plain = "text/plain; charset=utf-8"
	header.Add("MIME-Version", "1.0")
	if len(attachments) == 0 {
		header.Add("Content-Type", plain).Add("Content-Transfer-Encoding", "quoted-printable")
		if _, err := header.WriteTo(w); err != nil {
			return err
		}
		return writeText(w, text)
	}
	header.Add("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	if _, err := header.WriteTo(w); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary, plain); err != nil {
		return err
	}
	if err := writeText(w, text); err != nil {
		return err
	}
	for _, a := range attachments {
		if err := a.writePart(w, boundary); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\r\n--%s--\r\n", boundary)
	return err
}

func (a Attachment) writePart(w io.Writer, boundary string) error {
	var head Builder
	head.Add("Content-Type", a.Type).Add("Content-Disposition", a.Disposition).Add("Content-Transfer-Encoding", "base64")
	if a.ID != "" {
		head.Add("Content-ID", a.ID)
	}
	for _, f := range a.Fields {
		head.AddRaw(f)
	}
	if err := head.Err(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\r\n--%s\r\n", boundary); err != nil {
		return err
	}
	if _, err := head.WriteTo(w); err != nil {
		return err
	}
	b := NewBase64Writer(w)
	if err := a.Write(b); err != nil {
		return err
	}
	return b.Close()
}

func writeText(w io.Writer, text string) error {
	q := quotedprintable.NewWriter(w)
	if _, err := io.WriteString(q, strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", "\n")); err != nil {
		return err
	}
	return q.Close()
}
