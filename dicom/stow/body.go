package stow

import (
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
)

// body streams the parts of a request one after the other; each object is opened when its turn comes. net/http may close it while it is
// read.
type body struct {
	objects  []Object
	boundary string
	size     int64 // bytes
	moved    func(n int) error

	mu     sync.Mutex
	closed bool
	err    error // of the objects, or of moved
	i      int   // of the object that now is read, or comes next
	head   *strings.Reader
	now    io.ReadCloser
	left   int64
}

func newBody(objects []Object, moved func(int) error) *body {
	b := &body{objects: objects, boundary: rand.Text() + rand.Text(), moved: moved, i: -1, head: strings.NewReader("")}
	for i, o := range objects {
		b.size += int64(len(b.before(i))) + o.Size
	}
	b.size += int64(len(b.before(len(objects))))
	return b
}

// before is what stands in front of object i; after the last one it ends the body (RFC 2046 §5.1.1).
func (b *body) before(i int) string {
	start := "\r\n"
	if i == 0 {
		start = ""
	}
	if i == len(b.objects) {
		return start + "--" + b.boundary + "--\r\n"
	}
	return start + "--" + b.boundary + "\r\nContent-Type: " + TypeDICOM + "\r\n\r\n"
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && !b.closed {
		if b.head.Len() > 0 {
			return b.head.Read(p)
		}
		if b.now == nil {
			if b.i >= len(b.objects) {
				return 0, io.EOF
			}
			b.err = b.next()
			continue
		}
		if n, err := b.read(p); n > 0 || err != nil {
			b.err = err
			return n, err
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	return 0, errors.New("stow: closed")
}

// next goes on to the next object, or to the end.
func (b *body) next() (err error) {
	b.i++
	b.head = strings.NewReader(b.before(b.i))
	if b.i == len(b.objects) {
		return nil
	}
	b.now, err = b.objects[b.i].Open()
	b.left = b.objects[b.i].Size
	return err
}

// read reads of the object that is open: exactly as much as it is said to be.
func (b *body) read(p []byte) (n int, err error) {
	if b.left > 0 {
		n, err = b.now.Read(p[:min(int64(len(p)), b.left)])
	} else {
		n, err = b.now.Read(make([]byte, 1)) // its end proves it (fileset.ArchiveFile.Open)
		if n > 0 {
			return 0, errors.New("longer than it was")
		}
	}
	b.left -= int64(n)
	switch {
	case err == io.EOF && b.left > 0:
		return n, io.ErrUnexpectedEOF
	case err == io.EOF && n == 0:
		err, b.now = b.now.Close(), nil
	case err == io.EOF:
		err = nil // it says so again
	}
	if err == nil && n > 0 && b.moved != nil {
		err = b.moved(n)
	}
	return n, err
}

// failed is the error that kept the objects from being read.
func (b *body) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Close ends the reading.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.now != nil {
		b.now.Close()
		b.now = nil
	}
	return nil
}
