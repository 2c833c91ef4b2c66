package message

import (
	"bytes"
	"io"
)

// At gives random access to the decoded body of a part, without reading all of it: of one in base64 whose lines are of one length, as those
// of every common composer are, and of one without transfer encoding. nil where that cannot be had; errors are of r. What the lines do
// not keep to further in shows when it is read, as ErrEncoding.
func (p *Part) At(r io.ReaderAt) (*io.SectionReader, error) {
	raw := p.Raw(r)
	switch p.Encoding {
	case "7bit", "8bit", "binary":
		return raw, nil
	case "base64":
	default:
		return nil, nil
	}
	b := &base64At{r: raw}
	size, err := b.measure()
	if err != nil || size < 0 {
		return nil, err
	}
	return io.NewSectionReader(b, 0, size), nil
}

// base64At reads base64 in lines of the same length.
type base64At struct {
	r         *io.SectionReader
	line, eol int64 // octets of a line, and of its end
	chars     int64 // of base64 in all
}

// atLine is how long a line may be with its end, and how much may follow the last one.
const atLine = 1000

// measure finds out how long the lines are and how much they hold, decoded; -1 where they are not of one length.
func (b *base64At) measure() (int64, error) {
	head, err := b.piece(0, atLine)
	if err != nil {
		return 0, err
	}
	end := b.r.Size()
	tail, err := b.piece(max(0, end-atLine), atLine)
	if err != nil {
		return 0, err
	}
	text := bytes.TrimRight(tail, " \t\r\n")
	end -= int64(len(tail) - len(text))
	n := bytes.IndexByte(head, '\n')
	switch {
	case len(text) == 0:
		return -1, nil
	case n < 0 || int64(n) >= end: // one line
		b.line, b.eol = end, 0
	default:
		b.line, b.eol = int64(n), 1
		if n > 0 && head[n-1] == '\r' {
			b.line, b.eol = int64(n)-1, 2
		}
	}
	step := b.line + b.eol
	last := end % step
	b.chars = end/step*b.line + last
	if b.line == 0 || b.line%4 != 0 || last > b.line || last == 0 && b.eol > 0 || b.chars%4 != 0 {
		return -1, nil
	}
	padding := len(text) - len(bytes.TrimRight(text, "="))
	if padding > 2 {
		return -1, nil
	}
	return b.chars/4*3 - int64(padding), nil
}

// piece reads at most n octets at off.
func (b *base64At) piece(off, n int64) ([]byte, error) {
	buf := make([]byte, min(n, b.r.Size()-off))
	if _, err := b.r.ReadAt(buf, off); err != nil && err != io.EOF {
		return nil, err
	}
	return buf, nil
}

// ReadAt reads whole lines and decodes them.
func (b *base64At) ReadAt(p []byte, off int64) (n int, err error) {
	const most = 48 << 10 // decoded at once
	for n < len(p) {
		want := min(len(p)-n, most)
		got, err := b.some(p[n:n+want], off+int64(n))
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// some reads one piece.
func (b *base64At) some(p []byte, off int64) (int, error) {
	from := off / 3 * 4
	to := min((off+int64(len(p))+2)/3*4, b.chars)
	if from >= to {
		return 0, io.EOF
	}
	first, last := from/b.line, (to-1)/b.line // lines
	raw := make([]byte, (to-1)+last*b.eol+1-(from+first*b.eol))
	if _, err := b.r.ReadAt(raw, from+first*b.eol); err != nil && err != io.EOF {
		return 0, err
	}
	chars, ok := b.join(raw[:0], raw, b.line-from%b.line)
	if !ok || bytes.IndexByte(chars, '\r') >= 0 || bytes.IndexByte(chars, '\n') >= 0 { // which the decoder would pass over
		return 0, badEncoding("base64 in lines of different lengths")
	}
	out := make([]byte, strict.DecodedLen(len(chars)))
	n, err := strict.Decode(out, chars)
	if err != nil {
		return 0, badEncoding("not base64")
	}
	skip := int(off % 3)
	if skip >= n {
		return 0, io.EOF
	}
	n = copy(p, out[skip:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// join takes the line ends out. The first line has n characters left.
func (b *base64At) join(to, raw []byte, n int64) ([]byte, bool) {
	for int64(len(raw)) > n {
		line, rest := raw[:n], raw[n:]
		if int64(len(rest)) < b.eol || rest[b.eol-1] != '\n' || b.eol == 2 && rest[0] != '\r' {
			return nil, false
		}
		to, raw, n = append(to, line...), rest[b.eol:], b.line
	}
	return append(to, raw...), true
}
