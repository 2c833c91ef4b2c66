package message

import (
	"io"
	"iter"
	"mime/quotedprintable"
)

// Part is an entity of a message: the message itself, or a body part at any depth. Its bytes stay in the source, from Start (the
// first octet of the header) over Body (the first after the blank line) to End (exclusive; the line end before a delimiter
// belongs to the delimiter, RFC 2046 §5.1.1).
type Part struct {
	Header   Header
	Type     ContentType // application/octet-stream when it could not be read, without parameters when these could not
	Encoding string      // in lower case; "" when it could not be read
	Start    int64
	Body     int64
	End      int64
	Parts    []*Part // of a multipart
	Closed   bool    // a multipart had its closing delimiter
}

// Raw returns the body as transmitted.
func (p *Part) Raw(r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, p.Body, p.End-p.Body)
}

// Entity returns header and body as transmitted: what a detached signature covers (RFC 1847 §2.1).
func (p *Part) Entity(r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, p.Start, p.End-p.Start)
}

// Open returns the body decoded. Reading gives errors that wrap ErrEncoding when the encoding is unknown or not kept to.
func (p *Part) Open(r io.ReaderAt) io.Reader {
	body, err := Decode(p.Encoding, p.Raw(r))
	if err != nil {
		return failing{err}
	}
	return body
}

// Decode returns a reader of body without its transfer encoding, a name as Header.Encoding returns it (RFC 2045 §6); where there is
// nothing to undo it is body itself. An encoding that is unknown or not kept to gives an error that wraps ErrEncoding; errors
// of body stay what they are.
func Decode(encoding string, body io.Reader) (io.Reader, error) {
	switch encoding {
	case "7bit", "8bit", "binary":
		return body, nil
	case "base64":
		return NewBase64Reader(body), nil
	case "quoted-printable":
		src := &source{r: body}
		return qpReader{quotedprintable.NewReader(src), src}, nil
	}
	return nil, badEncoding("unknown Content-Transfer-Encoding")
}

// Walk yields the part and all parts within it, each before its own.
func (p *Part) Walk() iter.Seq[*Part] {
	return func(yield func(*Part) bool) { p.walk(yield) }
}

// walk recurses no deeper than Limits.Depth allowed the tree to be.
func (p *Part) walk(yield func(*Part) bool) bool {
	if !yield(p) {
		return false
	}
	for _, c := range p.Parts {
		if !c.walk(yield) {
			return false
		}
	}
	return true
}

// Filename returns the name that the sender gave the part, decoded for people: the filename of the disposition, else the name of
// the type, else "". It may hold anything but control characters, path separators too: never open a file by it.
func (p *Part) Filename() string {
	if _, params, err := p.Header.Disposition(); err == nil && params["filename"] != "" {
		return DecodeText(params["filename"])
	}
	return DecodeText(p.Type.Params["name"])
}

// qpReader tells in our words what is wrong with the text.
type qpReader struct {
	*quotedprintable.Reader
	src *source
}

func (q qpReader) Read(p []byte) (int, error) {
	n, err := q.Reader.Read(p)
	if err != nil && err != io.EOF && q.src.err == nil {
		err = badEncoding("not quoted-printable")
	}
	return n, err
}

// source remembers why its reader failed.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
