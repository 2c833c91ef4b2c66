package directcontext

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"carepost/message"
)

const fileName = "metadata.txt"

// Bytes writes the context, lines ended by CRLF and folded where they are long. Errors wrap ErrSyntax: they say which element could
// not be read again as it is meant.
func (c Context) Bytes() ([]byte, error) {
	if c.Version == "" {
		c.Version = Version
	}
	if err := c.valid(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fold(&b, name+": "+value)
		}
	}
	line("version", c.Version)
	line("id", c.ID)
	var ids []string
	for _, id := range c.PatientIDs {
		ids = append(ids, id.Domain+":"+id.Local)
	}
	line("patient-id", strings.Join(ids, "; "))
	if c.Category != "" {
		line("type", c.Category+"/"+c.Action)
	}
	line("purpose", c.Purpose)
	var said []string
	for _, a := range c.Patient {
		said = append(said, a.Name+"="+a.Value)
	}
	line("patient", strings.Join(said, "; "))
	line("encapsulation", c.Encapsulation)
	line("creation-time", c.CreationTime)
	line("format-code", c.FormatCode)
	line("content-type-code", c.ContentTypeCode)
	line("type-code", c.TypeCode)
	if b.Len() > maxContext {
		return nil, fmt.Errorf("%w: longer than %d octets", ErrLimit, maxContext)
	}
	return b.Bytes(), nil
}

// valid refuses what would be read otherwise than it is meant.
func (c Context) valid() error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrSyntax, what) }
	for _, v := range []string{c.Version, c.ID, c.Category, c.Action, c.Purpose, c.Encapsulation, c.CreationTime, c.FormatCode, c.ContentTypeCode, c.TypeCode} {
		if !plain(v, "") {
			return bad("a value is not one line of text")
		}
	}
	switch {
	case c.ID == "":
		return bad("no identifier of the transaction")
	case (c.Category != "" || c.Action != "") && (!slices.Contains(categories, c.Category) || !slices.Contains(actions, c.Action)):
		return bad("the type is none of the list")
	case c.Purpose != "" && !slices.Contains(purposes, c.Purpose):
		return bad("the purpose is none of the list")
	case c.Encapsulation != "" && !slices.Contains(capsules, c.Encapsulation):
		return bad("the encapsulation is none of the list")
	case len(c.Other) > 0:
		return bad("an element that no document knows")
	}
	for _, id := range c.PatientIDs {
		if !oid(id.Domain) || id.Local == "" || !plain(id.Local, ";") {
			return bad("a patient identifier is not an OID and a value")
		}
	}
	for i, a := range c.Patient {
		if !slices.Contains(patientNames, a.Name) || !plain(a.Value, ";") {
			return bad("what is said of the patient cannot be written")
		}
		if slices.ContainsFunc(c.Patient[:i], func(b Attribute) bool { return a.Name == b.Name }) {
			return bad("something is said of the patient twice")
		}
	}
	if b := c.Value("dateOfBirth"); b != "" {
		if _, err := time.Parse(time.DateOnly, b); err != nil {
			return bad("the date of birth is not YYYY-MM-DD")
		}
	}
	return nil
}

// plain says that v is one line of text without any of those characters, and without space around it.
func plain(v, forbidden string) bool {
	return utf8.ValidString(v) && strings.TrimSpace(v) == v && !strings.ContainsAny(v, forbidden) && printable(v) == v
}

// fold writes a line as RFC 5322 §2.2.3 has it: broken before white space, where there is some before column 76.
func fold(b *bytes.Buffer, s string) {
	for len(s) > 76 {
		i := strings.LastIndexByte(s[:76], ' ')
		if first := strings.IndexByte(s, ' '); i <= first { // never right after the name, nor in the space a fold begins with
			if i = strings.IndexByte(s[min(len(s), 76):], ' '); i < 0 {
				break
			}
			i += 76
		}
		b.WriteString(s[:i] + "\r\n")
		s = s[i:]
	}
	b.WriteString(s + "\r\n")
}

// Attachment is the part that carries a context; id, with angle brackets, is its Content-ID, which the message's field X-Direct-Context names.
func Attachment(id string, context []byte) message.Attachment {
	return message.Attachment{Type: "text/plain; charset=utf-8", Disposition: `attachment; filename="` + fileName + `"`, ID: id,
		Write: func(w io.Writer) error {
			_, err := w.Write(context)
			return err
		}}
}
