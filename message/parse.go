package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// readBuffer is what Parse holds of a long source, at least: far more than a delimiter line needs.
const readBuffer = 64 << 10

// Parse reads the whole tree of a message of size bytes, in one pass and with a buffer of fixed size. A message/rfc822 is a leaf.
// Behind the header of a message that is no multipart nothing is read. Errors wrap ErrSyntax, ErrAmbiguous or ErrLimit, or are
// those of r.
func Parse(r io.ReaderAt, size int64, lim Limits) (*Part, error) {
	lim = lim.withDefaults()
	buffer := min(int64(max(readBuffer, lim.LineBytes+2)), size+1) // a source that is shorter fits in, so no line fills it
	p := &treeParser{
		br:          bufio.NewReaderSize(io.NewSectionReader(r, 0, size), int(buffer)),
		lim:         lim,
		headerBytes: 4 * lim.HeaderBytes,
		fields:      10 * lim.Fields,
	}
	root := &Part{}
	if err := p.begin(root); err != nil {
		return nil, err
	}
	if err := p.run(size); err != nil {
		return nil, err
	}
	root.end(size)
	return root, nil
}

// treeParser walks the lines of the source. There is no recursion: the open multiparts are a stack no higher than Limits.Depth,
// and every line is compared with their delimiters once, so the work is linear whatever is left unclosed.
type treeParser struct {
	br  *bufio.Reader
	lim Limits

	line   []byte // the line with its end, or the beginning of one too long for the buffer; valid until the next call of next
	whole  bool   // line holds all of it
	at     int64  // offset of line
	offset int64  // offset after line
	before int64  // length of the line end before line
	after  int64  // length of its own

	part   *Part         // begun last
	header *headerParser // while its header is being read
	open   []multipart

	parts       int
	headerBytes int64 // left for headers
	fields      int
}

// multipart is one whose closing delimiter has not come.
type multipart struct {
	part      *Part
	delimiter []byte // "--" and the boundary
}

// run takes the lines until the tree is complete.
func (p *treeParser) run(size int64) error {
	for p.header != nil || len(p.open) > 0 {
		if p.header == nil {
			if err := p.skip(); err != nil {
				return err
			}
		}
		more, err := p.next()
		switch {
		case err != nil:
			return err
		case !more && p.offset < size:
			return io.ErrUnexpectedEOF
		case !more && p.header != nil:
			return p.endHeader(p.offset)
		case !more:
			return nil
		}
		if err := p.take(); err != nil {
			return err
		}
	}
	return nil
}

// skip passes over lines of a body that lie in the buffer and are no delimiters. One more stays before what may be one, since the
// delimiter takes its line end.
func (p *treeParser) skip() error {
	b, _ := p.br.Peek(p.br.Buffered()) // as much as there is
	if len(b) > 0 && b[0] == '-' {
		return nil
	}
	if i := IndexDelimiter(b, []byte("\n--")); i >= 0 {
		b = b[:i]
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	if len(b) == 0 {
		return nil
	}
	p.offset += int64(len(b))
	p.after = lineEnd(b, 0)
	_, err := p.br.Discard(len(b))
	return err
}

// next reads a line. Of one that does not fit the buffer only the beginning is kept.
func (p *treeParser) next() (more bool, err error) {
	p.at, p.before = p.offset, p.after
	piece, err := p.br.ReadSlice('\n')
	p.line, p.whole = piece, !errors.Is(err, bufio.ErrBufferFull)
	if !p.whole {
		p.line = bytes.Clone(piece[:2+maxBoundary])
	}
	var last byte
	for errors.Is(err, bufio.ErrBufferFull) {
		p.offset += int64(len(piece))
		last = piece[len(piece)-1]
		piece, err = p.br.ReadSlice('\n')
	}
	p.offset += int64(len(piece))
	p.after = lineEnd(piece, last)
	if err == io.EOF {
		err = nil
	}
	return p.offset > p.at, err
}

// lineEnd is the length of the line end of line; last is the octet before line.
func lineEnd(line []byte, last byte) int64 {
	n := len(line)
	if n == 0 || line[n-1] != '\n' {
		return 0
	}
	if n > 1 {
		last = line[n-2]
	}
	if last == '\r' {
		return 2
	}
	return 1
}

// take gives the line its place.
func (p *treeParser) take() error {
	i, final, err := p.match()
	if err != nil {
		return err
	}
	if i < 0 {
		if p.header == nil {
			return nil // a body, a preamble or an epilogue
		}
		if !p.whole {
			return limit("a header line is too long")
		}
		end, err := p.header.add(p.line)
		if err == nil && end {
			err = p.endHeader(p.offset)
		}
		return err
	}
	if p.header != nil { // RFC 2046 §5.1.1: a part may be a header alone, without a blank line
		if err := p.endHeader(p.at); err != nil {
			return err
		}
	}
	return p.delimit(i, final)
}

// match finds the open multipart, the innermost first, whose delimiter the line is; -1 if none.
func (p *treeParser) match() (i int, final bool, err error) {
	if len(p.line) < 3 || p.line[0] != '-' || p.line[1] != '-' {
		return -1, false, nil
	}
	doubtful := false
	for i := len(p.open) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(p.line, p.open[i].delimiter)
		if !ok {
			continue
		}
		if !p.whole || len(p.line) > p.lim.LineBytes {
			return 0, false, limit("a delimiter line is too long")
		}
		if blank(rest) {
			return i, false, nil
		}
		if rest, ok = bytes.CutPrefix(rest, []byte("--")); ok && blank(rest) {
			return i, true, nil
		}
		doubtful = true
	}
	if doubtful { // RFC 2046 §5.1.1 takes it for a delimiter, most readers do not
		return 0, false, ambiguous("a line that begins like a delimiter")
	}
	return -1, false, nil
}

func blank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }

// delimit ends what the delimiter of the i-th open multipart ends, and begins its next part.
func (p *treeParser) delimit(i int, final bool) error {
	outer := p.open[i].part
	if n := len(outer.Parts); n > 0 {
		outer.Parts[n-1].end(p.at - p.before)
	}
	if final {
		outer.Closed = true
		p.open = p.open[:i]
		return nil
	}
	p.open = p.open[:i+1]
	part := &Part{}
	outer.Parts = append(outer.Parts, part)
	return p.begin(part)
}

// end sets the end of a part, and of the last part in it and so on: the others have theirs.
func (q *Part) end(at int64) {
	for {
		// A part without a body, or without anything, reaches back into the line end that its delimiter takes.
		q.End, q.Body, q.Start = at, min(q.Body, at), min(q.Start, at)
		n := len(q.Parts)
		if n == 0 || q.Parts[n-1].End >= 0 {
			return
		}
		q = q.Parts[n-1]
	}
}

// begin starts a part after the current line.
func (p *treeParser) begin(part *Part) error {
	if p.parts++; p.parts > p.lim.Parts {
		return limit("too many parts")
	}
	part.Start, part.End = p.offset, -1
	lim := p.lim
	lim.HeaderBytes = min(lim.HeaderBytes, p.headerBytes)
	lim.Fields = min(lim.Fields, p.fields)
	p.part, p.header = part, newHeaderParser(lim)
	return nil
}

// endHeader understands the header that was read; the body begins at body.
func (p *treeParser) endHeader(body int64) error {
	h := p.header.header()
	p.header = nil
	p.headerBytes -= int64(len(h.raw))
	p.fields -= len(h.fields)
	if err := h.checkStructure(); err != nil {
		return err
	}
	part := p.part
	part.Header, part.Body = h, body

	t, err := h.ContentType()
	if err != nil && (!errors.Is(err, ErrSyntax) || t.Type == "multipart") {
		return err
	}
	if t.Type == "" {
		t = ContentType{Type: "application", Subtype: "octet-stream"}
	}
	if n := len(p.open); n > 0 && p.open[n-1].part.Type.Subtype == "digest" && !h.Has("Content-Type") {
		t = ContentType{Type: "message", Subtype: "rfc822"} // RFC 2046 §5.1.5
	}
	part.Type = t
	part.Encoding, _ = h.Encoding() // "" fails when it is opened
	if t.Type == "multipart" {
		return p.enter(part)
	}
	return nil
}

// enter opens a multipart.
func (p *treeParser) enter(part *Part) error {
	switch part.Encoding { // RFC 2045 §6.4
	case "7bit", "8bit", "binary":
	default:
		return ambiguous("an encoded multipart")
	}
	if len(p.open) >= p.lim.Depth {
		return limit("multiparts too deep within one another")
	}
	b := part.Type.Params["boundary"]
	if !validBoundary(b) {
		return syntax("a multipart without a fitting boundary")
	}
	d := []byte("--" + b)
	for _, o := range p.open {
		if bytes.Equal(o.delimiter, d) {
			return ambiguous("a boundary within itself")
		}
	}
	p.open = append(p.open, multipart{part, d})
	return nil
}

// validBoundary wants 1 to 70 printable characters and no space at the end. RFC 2046 §5.1.1 allows fewer characters; mail in
// use has the others too, and none of these can be misread but the quote and the backslash.
func validBoundary(b string) bool {
	if b == "" || len(b) > maxBoundary || b[len(b)-1] == ' ' {
		return false
	}
	for i := range len(b) {
		if b[i] < ' ' || b[i] >= 0x7f || b[i] == '"' || b[i] == '\\' {
			return false
		}
	}
	return true
}
