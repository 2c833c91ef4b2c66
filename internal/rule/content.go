package rule

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"carepost/message"
)

// Bounds on looking into a message; what goes beyond is Unclear.
const (
	maxWithin   = 8        // messages within one another
	maxMessages = 50       // looked into in all, the first included
	maxGlance   = 64 << 10 // octets of a text in which something visible is looked for
	maxWatched  = 8 << 20  // octets of all texts together that expressions are looked for in
)

// Content is what a message holds, as far as rules speak of it. Types are those that it declares: nothing guesses what a part is.
type Content struct {
	Size       int64
	Types      []string // media types of the leaves, in forwarded messages too; lower case, each once, in their order
	Structured []string // those of them that programs read (Direct 2.1)
	Readable   bool     // there is one besides that people read
	Unclear    string   // why it cannot be looked through; empty: it could

	Watched []*regexp.Regexp // of those that Look was given, the ones that were found in a subject or a text
	TooLong bool             // to be looked through for them whole
}

// Look reads what a message of size bytes holds, and looks for expressions in its subjects and in the texts that people read: plain text as
// it is decoded, HTML with its tags. It guards against oversights; who wants to hide something from it can. An error is one of r.
func Look(r io.ReaderAt, size int64, watch ...*regexp.Regexp) (Content, error) {
	l := looking{Content: Content{Size: size}, watch: watch, left: maxWatched}
	todo := []nested{{io.NewSectionReader(r, 0, size), 0}}
	for seen := 1; len(todo) > 0 && l.Unclear == ""; seen++ {
		if seen > maxMessages || todo[0].depth > maxWithin {
			l.Unclear = "it holds too many messages within messages"
			break
		}
		more, err := l.look(todo[0])
		if err != nil {
			return Content{}, err
		}
		todo = append(todo[1:], more...)
	}
	return l.Content, nil
}

// nested is a message, and within how many others it lies.
type nested struct {
	*io.SectionReader
	depth int
}

type looking struct {
	Content
	watch []*regexp.Regexp
	left  int64 // of maxWatched
}

// find looks for the expressions in a text.
func (l *looking) find(text []byte) {
	for _, w := range l.watch {
		if !slices.Contains(l.Watched, w) && w.Match(text) {
			l.Watched = append(l.Watched, w)
		}
	}
}

// read reads a text, and looks for the expressions in it.
func (l *looking) read(r io.Reader) (text []byte, err error) {
	most := int64(maxGlance)
	if len(l.watch) > 0 {
		most = l.left + 1
	}
	if text, err = io.ReadAll(io.LimitReader(r, most)); err != nil && !told(err) {
		return nil, err
	}
	if len(l.watch) == 0 {
		return text, nil
	}
	if l.left -= int64(len(text)); l.left < 0 {
		l.left, l.TooLong = 0, true
	}
	l.find(text)
	return text, nil
}

// look looks at one message, and tells which lie within it.
func (l *looking) look(m nested) (within []nested, err error) {
	root, err := message.Parse(m, m.Size(), message.Limits{})
	if err != nil {
		if !told(err) {
			return nil, err
		}
		l.Unclear = "its MIME structure cannot be read"
		return nil, nil
	}
	l.find([]byte(root.Header.Text("Subject")))
	context := strings.TrimSpace(root.Header.Get("X-Direct-Context")) // the Content-ID of metadata for programs
	for p := range root.Walk() {
		switch kind := kindOf(p); {
		case len(p.Parts) > 0:
		case forwarded(kind) && plainly(p.Encoding):
			within = append(within, nested{p.Raw(m), m.depth + 1})
		default:
			machine := context != "" && strings.TrimSpace(p.Header.Get("Content-ID")) == context
			if err := l.leaf(kind, p, m, machine); err != nil {
				return nil, err
			}
		}
	}
	return within, nil
}

// leaf notes one part. machine says that it is for programs, whatever its type: the metadata of Direct Context.
func (l *looking) leaf(kind string, p *message.Part, m nested, machine bool) error {
	if !slices.Contains(l.Types, kind) {
		l.Types = append(l.Types, kind)
		if structured(kind) {
			l.Structured = append(l.Structured, kind)
		}
	}
	readable := !machine && legible(kind)
	if strings.HasPrefix(kind, "text/") && (len(l.watch) > 0 || readable && !l.Readable) {
		text, err := l.read(p.Open(m))
		if err != nil {
			return err
		}
		l.Readable = l.Readable || readable && len(bytes.TrimSpace(text)) > 0
		return nil
	}
	l.Readable = l.Readable || readable && !strings.HasPrefix(kind, "text/") && p.End > p.Body
	return nil
}

// told says that an error is about what the message is, not about reading it.
func told(err error) bool {
	return slices.ContainsFunc([]error{message.ErrSyntax, message.ErrLimit, message.ErrAmbiguous, message.ErrEncoding}, func(e error) bool { return errors.Is(err, e) })
}

// kindOf is the type of a part as far as it can be relied on: what is encoded in an unknown way is octets (RFC 2045 §6.4).
func kindOf(p *message.Part) string {
	switch p.Encoding {
	case "7bit", "8bit", "binary", "base64", "quoted-printable":
		return strings.ToLower(p.Type.Type + "/" + p.Type.Subtype)
	}
	return "application/octet-stream"
}

func forwarded(kind string) bool { return kind == "message/rfc822" || kind == "message/global" }

// plainly says that octets stand as they are. A message may be encoded in no other way (RFC 2046 §5.2.1): one that is, is a leaf.
func plainly(encoding string) bool {
	return encoding == "7bit" || encoding == "8bit" || encoding == "binary"
}

// structured says that a media type is for programs: HL7, X12, documents of XML and JSON.
func structured(kind string) bool {
	_, sub, _ := strings.Cut(kind, "/")
	for _, suffix := range []string{"+xml", "+json", "+cbor", "+er7"} {
		if strings.HasSuffix(sub, suffix) {
			return !legible(kind)
		}
	}
	switch sub {
	case "xml", "json", "edi-x12", "edifact", "edi-consent", "cbor":
		return true
	}
	return strings.HasPrefix(sub, "hl7") || strings.HasPrefix(sub, "x-hl7") || strings.HasPrefix(sub, "fhir")
}

// legible says that people read a media type with the programs that everybody has.
func legible(kind string) bool {
	switch kind {
	case "text/plain", "text/html", "text/rtf", "text/markdown", "application/pdf", "application/rtf", "application/xhtml+xml", "application/msword",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/vnd.oasis.opendocument.text":
		return true
	}
	return strings.HasPrefix(kind, "image/")
}
