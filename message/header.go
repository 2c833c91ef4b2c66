package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/mail"
	"strings"
	"time"
)

// Field is one header field. Raw holds its exact bytes: name, colon, folds and the final line end.
type Field struct {
	Name string // as written, without white space
	Raw  []byte
}

// Value returns the field's body, unfolded (RFC 5322 §2.2.3) and without the white space around it.
func (f Field) Value() string {
	_, v, _ := bytes.Cut(f.Raw, []byte{':'})
	v = bytes.Trim(v, " \t\r\n")
	if bytes.IndexByte(v, '\n') < 0 {
		return string(v)
	}
	out := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' { // a bare CR was refused, so each of these is part of a fold
			out = append(out, c)
		}
	}
	return string(out)
}

// Header is a header section: its fields in their order, and their exact bytes. The zero Header is empty. Its contents are
// shared between copies and must not be changed.
type Header struct {
	raw    []byte
	fields []Field
}

// structural are the fields that decide how an entity is understood: each may occur once.
var structural = [...]string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID"}

// ReadHeader reads a header section up to and including the blank line that ends it, or up to the end of br. Lines end with
// CRLF or a bare LF. Errors wrap ErrSyntax, ErrAmbiguous or ErrLimit, or are those of br.
func ReadHeader(br *bufio.Reader, lim Limits) (Header, error) {
	p := newHeaderParser(lim.withDefaults())
	var line []byte
	for {
		piece, err := br.ReadSlice('\n')
		if len(piece) > 0 {
			if err := p.room(len(line) + len(piece)); err != nil {
				return Header{}, err
			}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			line = append(line, piece...)
			continue
		}
		if err != nil && err != io.EOF {
			return Header{}, err
		}
		whole := piece
		if len(line) > 0 {
			line = append(line, piece...)
			whole = line
		}
		if len(whole) > 0 {
			end, addErr := p.add(whole)
			if addErr != nil {
				return Header{}, addErr
			}
			if end {
				return p.header(), nil
			}
		}
		if err == io.EOF {
			return p.header(), nil
		}
		line = line[:0]
	}
}

// Fields returns the fields in their order.
func (h Header) Fields() []Field { return h.fields }

// Bytes returns the header as it was read, without the blank line that ended it.
func (h Header) Bytes() []byte { return h.raw }

// Get returns the value of the first field of that name, in any case of letters, or "".
func (h Header) Get(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value()
		}
	}
	return ""
}

// Values returns the values of all fields of that name in their order.
func (h Header) Values(name string) []string {
	var vs []string
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			vs = append(vs, f.Value())
		}
	}
	return vs
}

// Has says whether there is a field of that name.
func (h Header) Has(name string) bool { return h.Count(name) > 0 }

// Count returns how many fields have that name.
func (h Header) Count(name string) int {
	n := 0
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// single returns the value of a field that may occur once.
func (h Header) single(name string) (value string, ok bool, err error) {
	for _, f := range h.fields {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		if ok {
			return "", false, ambiguous("two fields " + name)
		}
		value, ok = f.Value(), true
	}
	return value, ok, nil
}

// checkStructure refuses what lets two readers see two entities.
func (h Header) checkStructure() error {
	for _, name := range structural {
		if _, _, err := h.single(name); err != nil {
			return err
		}
	}
	return nil
}

// MessageID returns the Message-ID with its angle brackets, or "" when there is none, more than one, or no well-formed one.
func (h Header) MessageID() string {
	if h.Count("Message-ID") != 1 {
		return ""
	}
	if ids := h.MessageIDs("Message-ID"); len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// MessageIDs returns the message identifiers of all fields of that name, with their angle brackets: for In-Reply-To, References
// and the fields of reports. What is no identifier is passed over.
func (h Header) MessageIDs(name string) []string {
	var ids []string
	for _, v := range h.Values(name) {
		for {
			i := strings.IndexByte(v, '<')
			if i < 0 {
				break
			}
			j := strings.IndexByte(v[i:], '>')
			if j < 0 {
				break
			}
			if id := v[i : i+j+1]; validID(id) {
				ids = append(ids, id)
			}
			v = v[i+j+1:]
		}
	}
	return ids
}

// validID wants printable characters between one pair of angle brackets.
func validID(id string) bool {
	n := len(id)
	if n < 3 || n > maxLineOctets-100 || id[0] != '<' || id[n-1] != '>' {
		return false
	}
	for i := 1; i < n-1; i++ {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// Date returns the origination date. Errors wrap ErrSyntax when it is missing or malformed, ErrAmbiguous when there are two.
func (h Header) Date() (time.Time, error) {
	v, ok, err := h.single("Date")
	if err != nil {
		return time.Time{}, err
	}
	if !ok {
		return time.Time{}, syntax("no Date")
	}
	return ParseDate(v)
}

// ParseDate reads a date-time of RFC 5322 §3.3, as the fields of reports hold them too. Errors wrap ErrSyntax.
func ParseDate(s string) (time.Time, error) {
	if len(s) > 200 {
		return time.Time{}, syntax("not a date")
	}
	t, err := mail.ParseDate(s)
	if err != nil {
		return time.Time{}, syntax("not a date")
	}
	return t, nil
}
