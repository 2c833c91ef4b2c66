package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime/quotedprintable"
	"strings"

	"carepost/addr"
)

// Bounds of what is read of a report, decoded.
const (
	maxReportFields = 256 << 10
	maxReportText   = 64 << 10
)

// ErrNotReport says that a message is no multipart/report of the wanted type.
var ErrNotReport = errors.New("message: not such a report")

// Report is a multipart/report (RFC 6522) to be written: a text for people, fields for programs, and fields of the message that
// it is about.
type Report struct {
	Type     string // "disposition-notification" or "delivery-status"
	Boundary string
	Text     string
	Groups   []*Builder // the fields, with a blank line between the groups
	Original *Builder   // nil for none
	// Returned is the message that it is about, instead of Original: its header (Whole: all of it), as it came. ErrSyntax where it fits into
	// no report (Returnable).
	Returned []byte
	Whole    bool
}

// WriteTo writes the whole message after the given fields of its header, to which MIME-Version and Content-Type are added. All
// lines end with CRLF.
func (rp *Report) WriteTo(w io.Writer, header *Builder) error {
	if !validBoundary(rp.Boundary) {
		return syntax("not a boundary")
	}
	header.Add("MIME-Version", "1.0")
	header.Add("Content-Type", "multipart/report; report-type="+rp.Type+"; boundary="+quote(rp.Boundary))
	text, enc := textBody(rp.Text)
	returned, returnedEnc, ok := returnable(rp.Returned)
	if !ok {
		return syntax("an original that cannot be returned")
	}
	if returnedEnc == "8bit" { // RFC 2045 §6.4: what is around it says so too
		header.Add("Content-Transfer-Encoding", returnedEnc)
	}

	// Every piece ends with the line end that belongs to the delimiter after it.
	var b bytes.Buffer
	delimiters := 0
	put := func(h *Builder) error { _, err := h.WriteTo(&b); return err }
	start := func(h *Builder) error {
		b.WriteString("--" + rp.Boundary + "\r\n")
		delimiters++
		return put(h)
	}
	var partHeader Builder
	partHeader.Add("Content-Type", "text/plain; charset=utf-8").Add("Content-Transfer-Encoding", enc)
	errs := []error{put(header), start(&partHeader)}
	b.Write(text)
	errs = append(errs, start(new(Builder).Add("Content-Type", "message/"+rp.Type)))
	for _, g := range rp.Groups {
		errs = append(errs, put(g))
	}
	switch {
	case len(rp.Returned) > 0:
		media := "text/rfc822-headers"
		if rp.Whole {
			media = "message/rfc822"
		}
		errs = append(errs, start(new(Builder).Add("Content-Type", media).Add("Content-Transfer-Encoding", returnedEnc)))
		b.Write(returned)
	case rp.Original != nil:
		errs = append(errs, start(new(Builder).Add("Content-Type", "text/rfc822-headers")), put(rp.Original))
	}
	b.WriteString("--" + rp.Boundary + "--\r\n")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if bytes.Count(b.Bytes(), []byte("--"+rp.Boundary)) != delimiters+1 {
		return syntax("the content holds the boundary")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Returnable says whether a message, or its header, can be part of a report: text in lines, with at most 998 octets each (RFC 5322
// §2.1.1) and no NUL.
func Returnable(original []byte) bool {
	_, _, ok := returnable(original)
	return ok
}

// returnable gives an original the line ends of a message, and one more for the delimiter after it.
func returnable(original []byte) (lines []byte, enc string, ok bool) {
	lines = append(crlf(nil, original, 0), "\r\n"...)
	enc = "7bit"
	for line := range bytes.Lines(lines) {
		if len(line) > maxLineOctets+2 || bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line[:len(line)-2], '\r') >= 0 {
			return nil, "", false
		}
		if !ascii(string(line)) {
			enc = "8bit"
		}
	}
	return lines, enc, true
}

// textBody encodes a text for people, with its last line end.
func textBody(text string) (body []byte, enc string) {
	lines := crlf(nil, []byte(strings.ToValidUTF8(text, "\ufffd")), 0)
	if !bytes.HasSuffix(lines, []byte("\r\n")) {
		lines = append(lines, "\r\n"...)
	}
	plain := true
	for line := range bytes.Lines(lines) {
		l := string(bytes.TrimSuffix(line, []byte("\r\n")))
		plain = plain && ascii(l) && !hasControl(l) && len(l) <= maxLineOctets
	}
	if plain {
		return lines, "7bit"
	}
	var b bytes.Buffer
	q := quotedprintable.NewWriter(&b)
	q.Write(lines) // a bytes.Buffer takes everything
	q.Close()
	return b.Bytes(), "quoted-printable"
}

// ReadReport reads the text and the fields of a multipart/report of the given type. A report-type that says otherwise is believed;
// a missing one is not missed. The fields come in the groups that blank lines make of them; extra ones do no harm. Errors wrap
// ErrNotReport, ErrSyntax, ErrLimit or ErrEncoding, or are those of r.
func ReadReport(root *Part, r io.ReaderAt, reportType string) (text string, groups []Header, err error) {
	t, ok := IsReport(root.Header)
	if !ok || t != "" && t != reportType {
		return "", nil, ErrNotReport
	}
	for i, p := range root.Parts {
		switch {
		case p.Type.Is("message", reportType), p.Type.Is("message", "global-"+reportType):
			if groups != nil {
				return "", nil, ambiguous("two parts of fields in a report")
			}
			if groups, err = readGroups(p, r); err != nil {
				return "", nil, err
			}
		case i == 0 && p.Type.Is("text", "plain"):
			// The text is for people: what cannot be read of it is not shown.
			b, _ := io.ReadAll(io.LimitReader(p.Open(r), maxReportText))
			text = strings.ReplaceAll(toUTF8(p.Type.Params["charset"], b), "\r\n", "\n")
		}
	}
	if groups == nil {
		return "", nil, ErrNotReport
	}
	return text, groups, nil
}

// readGroups reads the fields of a report. Programs write them carelessly: lines of white space count as blank, and a group may
// begin with white space.
func readGroups(p *Part, r io.ReaderAt) ([]Header, error) {
	b, err := io.ReadAll(io.LimitReader(p.Open(r), maxReportFields+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxReportFields {
		return nil, limit("the fields of a report are too long")
	}
	groups := []Header{}
	var group []byte
	br := bufio.NewReader(nil) // one for all: there may be tens of thousands
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		br.Reset(bytes.NewReader(group))
		h, err := ReadHeader(br, Limits{})
		if err == nil {
			groups = append(groups, h)
		}
		group = group[:0] // a Header has bytes of its own
		return err
	}
	for line := range bytes.Lines(b) {
		if blank(line) {
			if err := flush(); err != nil {
				return nil, err
			}
			continue
		}
		if len(group) == 0 {
			line = bytes.TrimLeft(line, " \t")
		}
		group = append(group, line...)
	}
	return groups, flush()
}

// ParseRecipient reads the value of an Original-Recipient or Final-Recipient field (RFC 3464 §2.3, RFC 3798 §3.2): an address-type,
// a semicolon and an address, which some programs write with brackets or a name, and some without the type. What is none gives
// the zero Address.
func ParseRecipient(v string) addr.Address {
	if i := strings.IndexByte(v, ';'); i >= 0 {
		s := scanner{s: v[:i]}
		t := s.token()
		if s.end() && (strings.EqualFold(t, "rfc822") || strings.EqualFold(t, "utf-8")) {
			v = v[i+1:]
		}
	}
	ms, err := parseMailboxes(v, 1)
	if err != nil || len(ms) != 1 {
		return addr.Address{}
	}
	return ms[0].Address
}

// ParseID reads one message identifier, with or without its angle brackets, and returns it with them; "" for what is none.
func ParseID(v string) string {
	v = strings.Trim(v, " \t")
	if !strings.HasPrefix(v, "<") {
		v = "<" + v + ">"
	}
	if !validID(v) {
		return ""
	}
	return v
}
