package smime

import (
	"io"
	"runtime"
)

// A long message is worked on by two goroutines with a row of buffers between them: Open reads and decrypts in one, splits, hashes
// and writes in the other; Seal reads and hashes, and encrypts and writes. Otherwise nothing changes: the same octets, errors and
// panics in the order of the stream, and nobody at work any more when Open or Seal returns.
const (
	rowAfter   = 1 << 20 // octets: a shorter message pays nothing
	rowBuffer  = 128 << 10
	rowBuffers = 4
)

// row is what goes to and fro between the two. Each channel has room for all buffers, so that nobody waits for room.
type row struct {
	full chan filled
	free chan []byte

	panicked any // what the second goroutine ended with; to be looked at when it has closed its channel
}

// filled is a buffer with octets in it, and what came after them.
type filled struct {
	b   []byte
	err error
}

func newRow() *row {
	r := &row{full: make(chan filled, rowBuffers), free: make(chan []byte, rowBuffers)}
	for range rowBuffers {
		r.free <- make([]byte, rowBuffer)
	}
	return r
}

// due says whether it is time for a row after n octets, and there is a processor for it.
func due(n int) bool { return n >= rowAfter && runtime.GOMAXPROCS(0) > 1 }

// ahead reads r ahead of its reader.
type ahead struct {
	r    io.Reader
	n    int    // octets read without a row
	row  *row   // nil at first
	page filled // from the row; b is what was not read yet
	buf  []byte // that page.b lies in
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	if a.row == nil {
		if !due(a.n) {
			n, err := a.r.Read(p)
			a.n += n
			return n, err
		}
		a.row = newRow()
		go a.fill()
	}
	for len(a.page.b) == 0 && len(p) > 0 {
		if a.page.err != nil {
			return 0, a.page.err
		}
		if a.buf != nil {
			a.row.free <- a.buf
		}
		a.page = <-a.row.full
		if a.page.b == nil {
			panic(a.row.panicked)
		}
		a.buf = a.page.b[:rowBuffer]
	}
	n := copy(p, a.page.b)
	a.page.b = a.page.b[n:]
	return n, nil
}

// fill is the second goroutine: it reads up to an error or the end.
func (a *ahead) fill() {
	defer close(a.row.full)
	defer func() { a.row.panicked = recover() }()
	for b := range a.row.free {
		f := filled{}
		for n := 0; n < len(b) && f.err == nil; f.b = b[:n] {
			var k int
			k, f.err = a.r.Read(b[n:])
			n += k
		}
		a.row.full <- f
		if f.err != nil {
			return
		}
	}
}

// close returns when nothing reads r any more, which may take as long as filling one buffer from it. It is the last call.
func (a *ahead) close() {
	if a.row == nil {
		return
	}
	close(a.row.free)
	for range a.row.free { // not to be filled any more
	}
	for range a.row.full {
	}
	if a.row.panicked != nil {
		panic(a.row.panicked)
	}
}

// behind writes to w behind its writer.
type behind struct {
	w   io.Writer
	n   int    // octets written without a row
	row *row   // nil at first
	buf []byte // the first len(buf) octets of a buffer, which are for w
	err error  // of w; to be looked at when row.free is closed
}

// Write implements io.Writer. Its error may be that of an earlier Write.
func (b *behind) Write(p []byte) (n int, err error) {
	if b.row == nil {
		if !due(b.n) {
			n, err = b.w.Write(p)
			b.n += n
			return n, err
		}
		b.row = newRow()
		go b.empty()
	}
	for len(p) > 0 {
		if b.buf == nil {
			free, ok := <-b.row.free
			if !ok {
				return n, b.failed()
			}
			b.buf = free[:0]
		}
		k := min(len(p), rowBuffer-len(b.buf))
		b.buf = append(b.buf, p[:k]...)
		n, p = n+k, p[k:]
		if len(b.buf) == rowBuffer {
			b.row.full <- filled{b: b.buf}
			b.buf = nil
		}
	}
	return n, nil
}

// empty is the second goroutine: it writes up to an error or the end.
func (b *behind) empty() {
	defer close(b.row.free)
	defer func() { b.row.panicked = recover() }()
	for f := range b.row.full {
		if _, b.err = b.w.Write(f.b); b.err != nil {
			return
		}
		b.row.free <- f.b[:rowBuffer]
	}
}

// failed says why the second goroutine has ended.
func (b *behind) failed() error {
	if b.row.panicked != nil {
		panic(b.row.panicked)
	}
	return b.err
}

// close writes what is left, and returns when nothing writes to w any more: nil, or the first error behind the row. It is the last call.
func (b *behind) close() error {
	if b.row == nil {
		return nil
	}
	if b.buf != nil {
		b.row.full <- filled{b: b.buf}
	}
	close(b.row.full)
	for range b.row.free {
	}
	return b.failed()
}
