package xdm

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// page writes INDEX.HTM, XHTML Basic with a link to every document (ITI TF-2 3.32.4.1.2.2).
func (p *Plan) page() []byte {
	var b bytes.Buffer
	title := or(p.letter.Title, "Documents")
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n" +
		"<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML Basic 1.0//EN\" \"http://www.w3.org/TR/xhtml-basic/xhtml-basic10.dtd\">\r\n" +
		"<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\">\r\n")
	fmt.Fprintf(&b, "<head><title>%s</title></head>\r\n<body>\r\n<h1>%s</h1>\r\n", escaped(title), escaped(title))
	line := func(what, value string) {
		if value != "" {
			fmt.Fprintf(&b, "<p>%s: %s</p>\r\n", what, escaped(value))
		}
	}
	line("From", p.letter.Author.String())
	var to []string
	for _, a := range p.letter.Recipients {
		to = append(to, a.String())
	}
	line("To", strings.Join(to, ", "))
	line("Sent", p.letter.Submitted.UTC().Format("2 January 2006 15:04 MST"))
	line("Patient", p.letter.Patient.Spoken())
	b.WriteString("<ul>\r\n")
	for i := range p.docs {
		d := &p.docs[i]
		fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a> (%s, %d bytes)</li>\r\n", escaped(d.file), escaped(or(d.Title, d.object)), escaped(d.MIMEType), d.size)
	}
	b.WriteString("</ul>\r\n")
	if len(p.letter.Studies) > 0 {
		b.WriteString("<p>Images: open the DICOMDIR with a DICOM program.</p>\r\n")
	}
	fmt.Fprintf(&b, "<p><a href=\"%s\">%s</a></p>\r\n</body>\r\n</html>\r\n", ReadmeName, ReadmeName)
	return b.Bytes()
}

// note writes README.TXT (ITI TF-2 3.32.4.1.2.2): ASCII, for whoever opens the archive and asks what it is.
func (p *Plan) note() []byte {
	lines := []string{
		"This archive holds documents and what is said of them, as IHE XDM has it",
		"(Cross-Enterprise Document Media Interchange).", "",
		"Sent by " + p.letter.Author.String() + ".", "",
		"INDEX.HTM lists the documents: open it with a browser.",
		"IHE_XDM/SUBSET01/METADATA.XML says the same to programs.",
	}
	if len(p.letter.Studies) > 0 {
		lines = append(lines, "DICOMDIR lists the images: open it with a DICOM program.")
	}
	text := strings.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, strings.Join(lines, "\r\n")+"\r\n")
	return []byte(text)
}

// Spoken is a patient on one line, for people.
func (p Patient) Spoken() string {
	parts := strings.Split(p.Name, "^")
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	words := []string{strings.Join(strings.Fields(parts[1]+" "+parts[2]+" "+parts[0]), " ")}
	if b := p.Birth; len(b) >= 8 {
		words = append(words, "born "+b[:4]+"-"+b[4:6]+"-"+b[6:8])
	}
	for _, id := range p.IDs {
		words = append(words, id.Value)
	}
	var kept []string
	for _, w := range words {
		if w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, ", ")
}

// Patients are those that a submission set speaks of, each once, in the words that say most. Nobody is taken for another: where a name, a
// birth date or all identifiers differ, there are two.
func (s *SubmissionSet) Patients() (out []Patient) {
	add := func(p Patient) {
		spoken := p.Spoken()
		i := slices.IndexFunc(out, p.like)
		switch {
		case spoken == "":
		case i < 0:
			out = append(out, p)
		case len(spoken) > len(out[i].Spoken()):
			out[i] = p
		}
	}
	add(s.Patient)
	for i := range s.Documents {
		add(s.Documents[i].Patient)
	}
	return out
}

// like says that nothing told of p and q tells them apart.
func (p Patient) like(q Patient) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && !strings.EqualFold(a, b) }
	if differ(p.Name, q.Name) || differ(p.Birth, q.Birth) {
		return false
	}
	return len(p.IDs) == 0 || len(q.IDs) == 0 || slices.ContainsFunc(p.IDs, func(i Identifier) bool { return slices.Contains(q.IDs, i) })
}
