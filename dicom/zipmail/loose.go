package zipmail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"carepost/dicom/fileset"
	"carepost/message"
)

// Objects gives the DICOM objects that a mail carries in other packaging than a DICOM.ZIP: as DICOM MIME (PS3.10, Supplement 54: parts of the
// type application/dicom, in a multipart/related or beside one another) or as attachments that are DICOM files by their first bytes, whatever
// ordinary programs call them. The findings say which. None: the mail carries no object. An error is of r.
func Objects(root *message.Part, r io.ReaderAt) (parts []*message.Part, fs []fileset.Finding, err error) {
	mime := 0
	for p := range root.Walk() {
		if len(p.Parts) > 0 || p.Type.Type == "multipart" {
			continue
		}
		if p.Type.Is("application", "dicom") {
			mime++
			parts = append(parts, p)
			continue
		}
		if !maybeObject(p) {
			continue
		}
		is, err := isObject(p, r)
		if err != nil {
			return nil, nil, fmt.Errorf("zipmail: %w", err)
		}
		if is {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return nil, nil, nil
	}
	note := func(severity fileset.Severity, rule, source, format string, args ...any) {
		fs = append(fs, fileset.Finding{Severity: severity, Rule: rule, Source: source, Text: fmt.Sprintf(format, args...)})
	}
	if mime > 0 {
		note(fileset.Violation, "mail-dicom-mime", "PS3.10 Sup 54", "%d parts of DICOM MIME rather than a DICOM.ZIP", mime)
	}
	if n := len(parts) - mime; n > 0 {
		note(fileset.Violation, "mail-loose-objects", "PS3.11 X.3.2", "%d DICOM files attached one by one rather than in a DICOM.ZIP", n)
	}
	if len(root.Parts) > 0 && !root.Closed {
		fs = append(fs, cutMail)
	}
	return parts, fs, nil
}

// maybeObject says that a part is worth looking into: what programs write for a file that they do not know.
func maybeObject(p *message.Part) bool {
	switch strings.ToLower(path.Ext(p.Filename())) {
	case ".dcm", ".dicom", ".dic":
		return true
	}
	t := p.Type
	kind, _, err := p.Header.Disposition()
	attached := err == nil && kind == "attachment"
	return t.Is("application", "octet-stream") || t.Is("application", "x-dicom") || t.Is("image", "dicom") || attached && t.Is("text", "plain") && p.Filename() != ""
}

// isObject looks at the first bytes (PS3.10 §7.1). What cannot be decoded is one where its name says so.
func isObject(p *message.Part, r io.ReaderAt) (bool, error) {
	var head [132]byte
	_, err := io.ReadFull(p.Open(r), head[:])
	switch {
	case errors.Is(err, message.ErrEncoding):
		return strings.EqualFold(path.Ext(p.Filename()), ".dcm"), nil
	case err == nil:
		return string(head[128:]) == "DICM", nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil
	}
	return false, err
}

// Loose makes what package fileset judges of the parts that Objects gave. It goes by the File ID of DICOM MIME (RFC 3240 §2, "id") where there
// is one, else by the name that the sender gave.
func Loose(parts []*message.Part, r io.ReaderAt) []fileset.Loose {
	out := make([]fileset.Loose, len(parts))
	for i, p := range parts {
		out[i] = fileset.Loose{Name: ObjectName(p), Size: p.End - p.Body, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(decoded{p.Open(r)}), nil
		}}
	}
	return out
}

// ObjectName is what a part of a mail is called as an object: its File ID, or the name that its sender gave it.
func ObjectName(p *message.Part) string {
	if id := p.Type.Params["id"]; id != "" && p.Type.Is("application", "dicom") {
		return id
	}
	return p.Filename()
}

// decoded says of a broken transfer encoding that the content is at fault, not the disk.
type decoded struct{ r io.Reader }

func (d decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if errors.Is(err, message.ErrEncoding) {
		err = fmt.Errorf("%w: %v", fileset.ErrContent, err)
	}
	return n, err
}

// Foreign says why nothing can be taken out of a mail whose attachments were wrapped in a way that no MIME program reads, and what its sender can
// do; "" where that is not so. An error is of r.
func Foreign(root *message.Part, r io.ReaderAt) (string, error) {
	for p := range root.Walk() {
		if len(p.Parts) > 0 || p.Type.Type == "multipart" {
			continue
		}
		base := path.Base(strings.ReplaceAll(p.Filename(), `\`, "/"))
		if p.Type.Is("application", "ms-tnef") || p.Type.Is("application", "vnd.ms-tnef") || strings.EqualFold(base, "winmail.dat") {
			return "its attachments are inside winmail.dat, which only Outlook reads: the sender must write in HTML or plain text rather than Rich Text", nil
		}
		if enc := strings.ToLower(p.Encoding); enc == "x-uuencode" || enc == "x-uue" || enc == "uuencode" {
			return uuencoded, nil
		}
		if p.Type.Type != "text" || p.Type.Subtype == "html" {
			continue
		}
		is, err := hasUuencode(p.Open(r))
		if err != nil {
			return "", fmt.Errorf("zipmail: %w", err)
		}
		if is {
			return uuencoded, nil
		}
	}
	return "", nil
}

const uuencoded = "its attachment is uuencoded, which is no MIME: the sender must set the mail program to MIME (base64)"

// hasUuencode looks for the line "begin 644 name" of uuencode(5), followed by a line of data.
func hasUuencode(r io.Reader) (bool, error) {
	br := bufio.NewReader(r)
	begun, start := false, true // start: of a line
	for {
		line, err := br.ReadSlice('\n')
		if start {
			text := strings.TrimRight(string(line[:min(len(line), 128)]), "\r\n")
			if begun && uuLine(text) {
				return true, nil
			}
			begun = strings.HasPrefix(text, "begin ") && len(text) > 10 && strings.Trim(text[6:9], "01234567") == "" && text[9] == ' '
		}
		start = !errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err == nil || !start:
		case errors.Is(err, io.EOF), errors.Is(err, message.ErrEncoding):
			return false, nil
		default:
			return false, err
		}
	}
}

// uuLine says that a line is one of uuencoded data: its first character tells how many octets the others stand for.
func uuLine(s string) bool {
	if s == "" || s[0] <= ' ' || s[0] > 'M' {
		return false
	}
	n := int(s[0]-' '+2) / 3 * 4
	return len(s) > n && len(s) <= n+3 && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '`' }) < 0
}
