package smtp

import "io"

// DataReader reads the content after DATA (RFC 5321 §4.1.1.4, §4.5.2): dots unstuffed, up to and without the final ". CR LF". It is
// made by Reader.Data.
//
// It returns io.EOF at the end of data and there only: a connection that ends before is io.ErrUnexpectedEOF, CR or LF alone or NUL
// is ErrBareByte. Errors stick. Bytes that came before an error are worth nothing.
type DataReader struct {
	r     *Reader
	lines Lines
	err   error // io.EOF after the end
}

// Data reads content from r. Until it has returned an error, r must not be read otherwise.
func (r *Reader) Data() *DataReader {
	r.content = true
	return &DataReader{r: r}
}

// Read implements io.Reader.
func (d *DataReader) Read(p []byte) (int, error) {
	for {
		if d.err != nil {
			return 0, d.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if n := d.take(p); n > 0 {
			return n, nil
		}
		if d.err != nil {
			continue
		}
		if err := d.r.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			d.fail(err)
		}
	}
}

func (d *DataReader) fail(err error) {
	d.err = err
	d.r.endContent()
}

// take moves content that has been read ahead to p and returns how much: 0 when more must be read, or when d.err is set.
func (d *DataReader) take(p []byte) (n int) {
	for n < len(p) && d.r.Buffered() > 0 {
		b := d.r.ready()
		if d.lines.at == begin && b[0] == '.' {
			if len(b) == 1 || len(b) == 2 && b[1] == '\r' {
				return n // the end, perhaps
			}
			if b[1] == '\r' && b[2] == '\n' {
				d.r.r += 3
				d.fail(io.EOF)
				return n
			}
			d.lines.at = inside // RFC 5321 §4.5.2: the first character is deleted
			d.r.r++
			continue
		}
		run, err := d.lines.span(b[:min(len(b), len(p)-n)], true)
		n += copy(p[n:], b[:run])
		d.r.r += run
		if err != nil {
			d.fail(err)
			return n
		}
	}
	return n
}

// DotWriter sends content after DATA: dots stuffed, bytes as they are. CR or LF alone or NUL is refused with ErrBareByte, never
// repaired; the connection must then be closed without Close, so that the peer throws away what it has.
type DotWriter struct {
	w     io.Writer
	lines Lines
	err   error
}

// NewDotWriter writes to w, which had better be buffered.
func NewDotWriter(w io.Writer) *DotWriter { return &DotWriter{w: w} }

var dot = []byte{'.'}

// Write implements io.Writer.
func (d *DotWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && d.err == nil {
		if d.lines.at == begin && p[n] == '.' {
			_, d.err = d.w.Write(dot)
			d.lines.at = inside
			continue
		}
		run, bad := d.lines.span(p[n:], true)
		if bad != nil {
			d.err = bad
			break
		}
		var m int
		m, d.err = d.w.Write(p[n : n+run])
		n += m
	}
	return n, d.err
}

// Close writes the end of data. Content that does not end with CR LF cannot be sent by DATA as it stands (RFC 5321 §4.1.1.4): then
// nothing is written and the error is ErrNoLineEnd. The writer below is not flushed or closed.
func (d *DotWriter) Close() error {
	if d.err == nil && !d.lines.Whole() {
		d.err = ErrNoLineEnd
	}
	if d.err == nil {
		_, d.err = d.w.Write([]byte(".\r\n"))
	}
	return d.err
}
