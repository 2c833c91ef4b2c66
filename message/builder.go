package message

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"carepost/addr"
)

// Builder composes a header section with CRLF line ends. What could break out of its field is refused: the first such error is
// kept, and nothing is written after it. The zero Builder is empty.
type Builder struct {
	buf []byte
	err error
}

// Add appends a field, folded before column 78 where white space allows (RFC 5322 §2.1.1). A value that is not ASCII is written
// as encoded words (RFC 2047), which only unstructured fields may hold. Line ends and control characters are refused.
func (b *Builder) Add(name, value string) *Builder {
	value = strings.Trim(value, " \t")
	if !ascii(value) {
		if hasControl(value) {
			return b.fail("a control character in a field")
		}
		value = encodeWords(value, foldColumn-len(name)-2)
	}
	return b.add(name, value)
}

// AddMailboxes appends an address list. Names are quoted or encoded as they need it.
func (b *Builder) AddMailboxes(name string, ms ...Mailbox) *Builder {
	var v strings.Builder
	for i, m := range ms {
		if i > 0 {
			v.WriteString(", ")
		}
		if m.Address.IsZero() {
			return b.fail("an empty address")
		}
		if m.Name == "" {
			v.WriteString(m.Address.String())
			continue
		}
		if hasControl(m.Name) {
			return b.fail("a control character in a name")
		}
		v.WriteString(phrase(m.Name) + " <" + m.Address.String() + ">")
	}
	return b.add(name, v.String())
}

// AddDate appends the Date field.
func (b *Builder) AddDate(t time.Time) *Builder { return b.Add("Date", FormatDate(t)) }

// FormatDate writes a date-time of RFC 5322 §3.3.
func FormatDate(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }

// AddRaw appends a field as it is, but for bare LF line ends, which become CRLF. It must be one whole field.
func (b *Builder) AddRaw(f Field) *Builder {
	if b.err != nil {
		return b
	}
	h, err := ReadHeader(bufio.NewReaderSize(bytes.NewReader(f.Raw), len(f.Raw)), Limits{})
	switch {
	case err != nil:
		b.err = err
		return b
	case len(h.fields) != 1 || len(h.raw) != len(f.Raw) || f.Raw[len(f.Raw)-1] != '\n':
		return b.fail("raw bytes that are not one field")
	}
	for line := range bytes.Lines(f.Raw) {
		b.buf = append(append(b.buf, bytes.TrimRight(line, "\r\n")...), '\r', '\n')
	}
	return b
}

// Err returns the first error; it wraps ErrSyntax.
func (b *Builder) Err() error { return b.err }

// WriteTo writes the header and the blank line that ends it (io.WriterTo).
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := w.Write(append(b.buf[:len(b.buf):len(b.buf)], '\r', '\n'))
	return int64(n), err
}

func (b *Builder) fail(why string) *Builder {
	if b.err == nil {
		b.err = syntax(why)
	}
	return b
}

// add appends a field of printable ASCII and folds it.
func (b *Builder) add(name, value string) *Builder {
	if b.err != nil {
		return b
	}
	if n, err := fieldName([]byte(name + ":")); err != nil || n != name {
		return b.fail("not a field name")
	}
	if !ascii(value) || hasControl(value) {
		return b.fail("a character in a field that has no place in it")
	}
	out, ok := fold(b.buf, name+":", value)
	if !ok {
		return b.fail("a field that cannot be folded")
	}
	b.buf = out
	return b
}

// fold appends a field to dst, breaking before white space so that lines stay within foldColumn where they can. Unfolding gives
// the value back. It says false when a line would pass maxLineOctets.
func fold(dst []byte, start, value string) ([]byte, bool) {
	dst = append(dst, start...)
	col := len(start)
	if col > maxLineOctets { // a name, and perhaps no value after it
		return dst, false
	}
	for i := 0; i < len(value); {
		// One run of white space (a single space for the first word) and the word after it.
		j := i
		for j < len(value) && (value[j] == ' ' || value[j] == '\t') {
			j++
		}
		for j < len(value) && value[j] != ' ' && value[j] != '\t' {
			j++
		}
		piece := value[i:j]
		switch {
		case i == 0:
			dst = append(dst, ' ')
			col++
		case col+len(piece) > foldColumn:
			dst = append(dst, '\r', '\n')
			col = 0
		}
		dst = append(dst, piece...)
		if col += len(piece); col > maxLineOctets {
			return nil, false
		}
		i = j
	}
	return append(dst, '\r', '\n'), true
}

// phrase writes a display name (RFC 5322 §3.2.5).
func phrase(name string) string {
	if !ascii(name) || strings.Contains(name, "=?") {
		return encodeWords(name, foldColumn-20)
	}
	for _, w := range strings.Split(name, " ") {
		if w == "" || atomLen(w) != len(w) || strings.ContainsAny(w, ".") {
			return quote(name)
		}
	}
	return name
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// hasControl finds what no field may hold: line ends, NUL and all other controls but the tab.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// NewBoundary makes a boundary that no base64 or quoted-printable text can hold (RFC 2045 §6.7: "=_" occurs in neither), with
// 128 bits from rand. It holds characters that must be quoted in a parameter.
func NewBoundary(rand io.Reader) (string, error) {
	r, err := random(rand)
	return "=_" + r, err
}

// NewMessageID makes a message identifier at d with its angle brackets, with 128 bits from rand.
func NewMessageID(rand io.Reader, d addr.Domain) (string, error) {
	r, err := random(rand)
	return "<" + r + "@" + d.String() + ">", err
}

func random(rand io.Reader) (string, error) {
	var b [16]byte
	_, err := io.ReadFull(rand, b[:])
	return hex.EncodeToString(b[:]), err
}
