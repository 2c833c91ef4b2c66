package mailbox

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"carepost/internal/transit"
	"carepost/message"
)

// LetterName is the file in which the letter of a mail stays with the study that came in it.
const LetterName = "LETTER.TXT"

const (
	maxLetterText  = 256 << 10 // octets of the text of a letter that are kept
	maxLetterToken = 64 << 10  // octets of one tag of HTML
	maxLetterList  = 50        // attachments that a letter names
)

// Letter is what a person reads of a mail: instructions that stay with the study when it has been handed over (PS3.11 X.1, DCM-27).
type Letter struct {
	From, To, Date, Subject, MessageID string   // as the header has them, decoded
	Text                               string   // of all texts that are no attachment; of HTML only where there is no other; lines end with LF
	Cut                                bool     // there is more than Text holds, or it cannot be read to its end
	Unprotected                        bool     // it came neither encrypted nor signed
	Attached                           []string // names and types of what is attached besides the File-set; they are in the mail
}

// ReadLetter reads the letter of an opened message. A message without text has an empty one. An error is one of msg, or says that it
// cannot be read as MIME.
func ReadLetter(msg transit.Body) (Letter, error) {
	root, err := message.Parse(msg, msg.Size(), message.Limits{})
	if err != nil {
		return Letter{}, fmt.Errorf("mailbox: letter: %w", err)
	}
	h := root.Header
	l := Letter{From: oneLine(h.Text("From")), To: oneLine(h.Text("To")), Date: oneLine(h.Get("Date")), Subject: oneLine(h.Text("Subject")), MessageID: h.MessageID(), Unprotected: Unprotected(h)}
	set, _, err := FindSet(root, msg)
	if err != nil && !errors.Is(err, ErrNoFileSet) {
		return Letter{}, err
	}
	var plain, marked []*message.Part
	for p := range root.Walk() {
		kind, _, err := p.Header.Disposition()
		attached := p != root && (err != nil || kind == "attachment" || p.Filename() != "")
		switch {
		case len(p.Parts) > 0 || p.Type.Type == "multipart" || p == set:
		case attached || p.Type.Type != "text":
			if len(l.Attached) < maxLetterList {
				l.Attached = append(l.Attached, strings.TrimSpace(oneLine(p.Filename())+" ("+oneLine(p.Type.Type+"/"+p.Type.Subtype)+")"))
			}
		case p.Type.Is("text", "html"):
			marked = append(marked, p)
		default:
			plain = append(plain, p)
		}
	}
	if len(plain) == 0 {
		plain = marked
	}
	for _, p := range plain {
		if err := l.read(p, msg); err != nil {
			return Letter{}, fmt.Errorf("mailbox: letter: %w", err)
		}
	}
	return l, nil
}

// read adds a text.
func (l *Letter) read(p *message.Part, msg transit.Body) error {
	room := maxLetterText - len(l.Text)
	if room <= 0 {
		l.Cut = true
		return nil
	}
	var raw []byte
	var err error
	if p.Type.Is("text", "html") {
		raw, err = io.ReadAll(io.LimitReader(p.Open(msg), 8*maxLetterText)) // tags are left out of it
	} else {
		raw, err = io.ReadAll(io.LimitReader(p.Open(msg), int64(room)+1))
	}
	if err != nil && !errors.Is(err, message.ErrEncoding) {
		return err
	}
	l.Cut = l.Cut || err != nil
	text := message.DecodeCharset(p.Type.Params["charset"], raw)
	if p.Type.Is("text", "html") {
		text = untagged(text)
	}
	text = strings.Trim(harmless(text), "\n")
	if len(text) > room {
		text, l.Cut = strings.ToValidUTF8(text[:room], ""), true
	}
	if l.Text != "" && text != "" {
		l.Text += "\n\n"
	}
	l.Text += text
	return nil
}

// String is the letter as a file of text: head, text, and what else the mail holds.
func (l Letter) String() string {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{
		{"From", l.From}, {"To", l.To}, {"Date", l.Date}, {"Subject", l.Subject}, {"Message-ID", l.MessageID},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "%-11s %s\n", f.name+":", f.value)
		}
	}
	if l.Unprotected {
		b.WriteString("Protection: none: neither encrypted nor signed\n")
	}
	b.WriteString("\n")
	switch {
	case l.Text == "":
		b.WriteString("[the mail has no text]\n")
	default:
		b.WriteString(l.Text + "\n")
	}
	if l.Cut {
		b.WriteString("[and so on: the whole text is in the mail]\n")
	}
	if len(l.Attached) > 0 {
		b.WriteString("\nAttached to the mail besides this study, and to be found there:\n")
		for _, a := range l.Attached {
			b.WriteString("  " + a + "\n")
		}
	}
	return b.String()
}

// untagged is the text of HTML: what is for machines is left out, and blocks begin lines. Nothing is fetched, nothing runs.
func untagged(s string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	z.SetMaxBuf(maxLetterToken)
	mute := atom.Atom(0) // within it nothing is text
	for {
		switch z.Next() {
		case html.ErrorToken:
			return squeezed(b.String())
		case html.TextToken:
			if mute == 0 {
				b.WriteString(strings.Join(strings.FieldsFunc(" "+string(z.Text())+" ", func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " "))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch a := atom.Lookup(name); a {
			case atom.Script, atom.Style, atom.Title, atom.Template:
				mute = a
			case atom.Br, atom.P, atom.Div, atom.Tr, atom.Li, atom.H1, atom.H2, atom.H3, atom.H4, atom.Table, atom.Ul, atom.Ol, atom.Blockquote, atom.Hr:
				b.WriteString("\n")
			case atom.Td, atom.Th:
				b.WriteString("\t")
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch a := atom.Lookup(name); a {
			case mute:
				mute = 0
			case atom.P, atom.Div, atom.H1, atom.H2, atom.H3, atom.H4, atom.Table, atom.Blockquote:
				b.WriteString("\n")
			}
		}
	}
}

// squeezed leaves one space between words, and one empty line between paragraphs.
func squeezed(s string) string {
	var out []string
	empty := 0
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\u00a0' }), " ")
		if line = strings.TrimSpace(line); line != "" {
			empty = 0
		} else if empty++; empty > 1 {
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// harmless ends lines with LF and leaves out what disturbs a terminal or turns the direction of a text around.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// oneLine is a value as one line.
func oneLine(s string) string { return strings.Join(strings.Fields(harmless(s)), " ") }
