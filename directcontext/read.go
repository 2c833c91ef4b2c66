package directcontext

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"carepost/message"
)

// Field is the field of the (inner) header that names the part with the context.
const Field = "X-Direct-Context"

// Find finds the part that the header names by its Content-ID. ErrNoContext where there is no such field; an error that wraps ErrSyntax
// where it leads nowhere, or to several parts.
func Find(root *message.Part) (*message.Part, []Finding, error) {
	if !root.Header.Has(Field) {
		return nil, nil, ErrNoContext
	}
	id := contentID(root.Header.Get(Field))
	if id == "" || root.Header.Count(Field) > 1 {
		return nil, nil, fmt.Errorf("%w: %s is not one Content-ID", ErrSyntax, Field)
	}
	var part *message.Part
	for p := range root.Walk() {
		if len(p.Parts) > 0 || contentID(p.Header.Get("Content-ID")) != id {
			continue
		}
		if part != nil {
			return nil, nil, fmt.Errorf("%w: two parts have the Content-ID", ErrSyntax)
		}
		part = p
	}
	if part == nil {
		return nil, nil, fmt.Errorf("%w: no part has the Content-ID", ErrSyntax)
	}
	var fs []Finding
	if !part.Type.Is("text", "plain") {
		fs = append(fs, Finding{"context-type", "the part is not text/plain"})
	}
	if kind, params, err := part.Header.Disposition(); err != nil || kind != "attachment" || params["filename"] != fileName {
		fs = append(fs, Finding{"context-disposition", "the part is not an attachment named " + fileName})
	}
	return part, fs, nil
}

// contentID is what stands between the angle brackets, if there are any. Nothing is asked of its form but that it is one word: some write
// identifiers without an @.
func contentID(v string) string {
	v = strings.Trim(v, " \t\r\n")
	if inner, ok := strings.CutPrefix(v, "<"); ok {
		v = strings.TrimSuffix(inner, ">")
	}
	if strings.ContainsAny(v, "<> \t\r\n") {
		return ""
	}
	return v
}

// Read finds and reads the context of a message. Errors as Find and Parse.
func Read(root *message.Part, r io.ReaderAt) (Context, []Finding, error) {
	part, fs, err := Find(root)
	if err != nil {
		return Context{}, nil, err
	}
	c, more, err := Parse(part.Open(r))
	if errors.Is(err, message.ErrEncoding) {
		err = fmt.Errorf("%w: the transfer encoding is broken", ErrSyntax)
	}
	return c, append(fs, more...), err
}

// Parse reads a context. Errors wrap ErrSyntax or ErrLimit and repeat nothing of it, or are those of r.
func Parse(r io.Reader) (Context, []Finding, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxContext+1))
	switch {
	case err != nil:
		return Context{}, nil, err
	case len(b) > maxContext:
		return Context{}, nil, fmt.Errorf("%w: longer than %d octets", ErrLimit, maxContext)
	case !utf8.Valid(b):
		return Context{}, nil, fmt.Errorf("%w: no text in UTF-8", ErrSyntax)
	}
	text := strings.TrimLeft(strings.TrimPrefix(string(b), "\ufeff"), "\r\n")
	h, err := message.ReadHeader(bufio.NewReader(strings.NewReader(text)), message.Limits{HeaderBytes: maxContext, Fields: maxElements})
	if errors.Is(err, message.ErrLimit) {
		return Context{}, nil, fmt.Errorf("%w: too many elements", ErrLimit)
	}
	if err != nil {
		return Context{}, nil, fmt.Errorf("%w: no lines of name and value", ErrSyntax)
	}
	p := parser{seen: map[string]bool{}}
	for _, f := range h.Fields() {
		if err := p.element(strings.ToLower(f.Name), f.Name, printable(f.Value())); err != nil {
			return Context{}, nil, err
		}
	}
	p.whole()
	return p.c, p.fs, nil
}

// parser gathers what the elements say.
type parser struct {
	c    Context
	fs   []Finding
	seen map[string]bool
}

func (p *parser) find(rule, format string, args ...any) {
	p.fs = append(p.fs, Finding{rule, fmt.Sprintf(format, args...)})
}

// element reads one. The order is that of nobody.
func (p *parser) element(name, written, value string) (err error) {
	if p.seen[name] {
		return fmt.Errorf("%w: an element stands twice", ErrSyntax)
	}
	p.seen[name] = true
	c := &p.c
	known := true
	switch name {
	case "version":
		c.Version = value
	case "id":
		c.ID = value
	case "patient-id":
		return p.patientIDs(value)
	case "type":
		c.Category, c.Action, _ = strings.Cut(strings.ToLower(value), "/")
		c.Category, c.Action = strings.TrimSpace(c.Category), strings.TrimSpace(c.Action)
		p.listed("type", c.Category, categories)
		p.listed("type", c.Action, actions)
	case "purpose":
		c.Purpose = strings.ToLower(value)
		p.listed("purpose", c.Purpose, purposes)
	case "patient":
		var odd string
		if c.Patient, odd, err = attributes(value); odd != "" {
			p.find("context-patient", "something is said of the patient under a name that is in no list")
		}
		if b := c.Value("dateOfBirth"); b != "" && err == nil {
			if _, bad := time.Parse(time.DateOnly, b); bad != nil {
				p.find("context-patient", "the date of birth is not YYYY-MM-DD")
			}
		}
		return err
	case "encapsulation":
		c.Encapsulation = strings.ToLower(value)
		p.listed("encapsulation", c.Encapsulation, capsules)
	case "creation-time":
		c.CreationTime = value
	case "format-code":
		c.FormatCode = value
	case "content-type-code":
		c.ContentTypeCode = value
	case "type-code":
		c.TypeCode = value
	default:
		known = false
		c.Other = append(c.Other, Attribute{printable(written), value})
	}
	if known && written != name {
		p.find("context-case", "the name of an element is not in lower case")
	}
	return nil
}

func (p *parser) listed(what, value string, list []string) {
	if !slices.Contains(list, value) {
		p.find("context-"+what, "the %s is none of the list", what)
	}
}

func (p *parser) patientIDs(value string) error {
	parts := strings.Split(value, ";")
	if len(parts) > maxPatientIDs {
		return fmt.Errorf("%w: more than %d patient identifiers", ErrLimit, maxPatientIDs)
	}
	for _, part := range parts {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, err := ParsePatientID(part)
		if err != nil {
			p.find("context-patient-id", "a patient identifier is not an OID and a value")
			id = PatientID{Local: part}
		}
		p.c.PatientIDs = append(p.c.PatientIDs, id)
	}
	return nil
}

// whole looks for what must be there.
func (p *parser) whole() {
	if p.c.Version == "" {
		p.find("context-version", "no version")
	} else if p.c.Version != Version && p.c.Version != "1.0" {
		p.find("context-version", "another version than %s", Version)
	}
	if p.c.ID == "" {
		p.find("context-id", "no identifier of the transaction")
	}
}

// attributes reads name=value; name=value. odd is the first name that is in no list.
func attributes(s string) (out []Attribute, odd string, err error) {
	for part := range strings.SplitSeq(s, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || len(out) >= maxElements {
			return nil, "", fmt.Errorf("%w: the patient is not described by name=value; name=value", ErrSyntax)
		}
		if i := slices.IndexFunc(patientNames, func(n string) bool { return strings.EqualFold(n, name) }); i >= 0 {
			name = patientNames[i]
		} else if odd == "" {
			odd = name
		}
		if slices.ContainsFunc(out, func(a Attribute) bool { return a.Name == name }) {
			return nil, "", fmt.Errorf("%w: something is said of the patient twice", ErrSyntax)
		}
		out = append(out, Attribute{name, value})
	}
	return out, odd, nil
}

// printable keeps control characters out of what is shown.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 {
			return ' '
		}
		return r
	}, s))
}

// Encapsulated gives the parts that hold requests or messages for programs, in the order in which they must be processed; each is to be
// answered, even if one before it failed.
func Encapsulated(root *message.Part) (out []*message.Part) {
	for p := range root.Walk() {
		if p.Type.Is("application", "x-direct-encapsulated+http") || p.Type.Is("application", "x-direct-encapsulated+hl7v2") {
			out = append(out, p)
		}
	}
	return out
}
