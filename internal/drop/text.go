package drop

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// lines writes what it is given with LF for every CRLF. A CR without LF stays. end writes what it has held back.
type lines struct {
	w  io.Writer
	cr bool // the last octet was a CR, not written yet
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if l.cr {
			l.cr = false
			if p[0] != '\n' {
				if _, err := l.w.Write([]byte{'\r'}); err != nil {
					return 0, err
				}
			}
		}
		i := bytes.IndexByte(p, '\r')
		l.cr = i >= 0
		if i < 0 {
			i = len(p)
		}
		if _, err := l.w.Write(p[:i]); err != nil {
			return 0, err
		}
		p = p[min(i+1, len(p)):]
	}
	return n, nil
}

func (l *lines) end() error {
	if !l.cr {
		return nil
	}
	l.cr = false
	_, err := l.w.Write([]byte{'\r'})
	return err
}

// nameless leaves the paths out of an error's text: folders are named after people, and logs are read by others. What it wraps can be
// branched on.
func nameless(err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		return &bare{at.Op + ": " + at.Err.Error(), err}
	case errors.As(err, &link):
		return &bare{link.Op + ": " + link.Err.Error(), err}
	}
	return err
}

type bare struct {
	text string
	err  error
}

func (b *bare) Error() string { return b.text }
func (b *bare) Unwrap() error { return b.err }
