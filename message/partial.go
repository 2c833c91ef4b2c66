package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// MaxFragments bounds the fragments of one message.
const MaxFragments = 1000

// ErrFragment says that fragments make no message.
var ErrFragment = errors.New("message: not fragments of a message")

// Fragment is what a message of the type message/partial says of itself (RFC 2046 §5.2.2).
type Fragment struct {
	ID    string // of the message that it is a part of
	N, Of int    // from 1; Of is 0 where it does not say
}

// Fragment reads what a header says of being a fragment; is says that it is one, and an error wraps ErrFragment if it is no good.
func (h Header) Fragment() (f Fragment, is bool, err error) {
	t, err := h.ContentType()
	if err != nil || !t.Is("message", "partial") {
		return f, false, nil
	}
	enc, err := h.Encoding()
	if err != nil || enc != "7bit" && enc != "8bit" && enc != "binary" {
		return f, true, fmt.Errorf("%w: it is encoded, which it must not be", ErrFragment)
	}
	f.ID = t.Params["id"]
	if f.N, err = strconv.Atoi(t.Params["number"]); err != nil || f.N < 1 || f.N > MaxFragments || f.ID == "" || len(f.ID) > 1000 {
		return f, true, fmt.Errorf("%w: it does not say which it is", ErrFragment)
	}
	if total, there := t.Params["total"]; there {
		if f.Of, err = strconv.Atoi(total); err != nil || f.Of < f.N || f.Of > MaxFragments {
			return f, true, fmt.Errorf("%w: it does not say of how many it is", ErrFragment)
		}
	}
	return f, true, nil
}

// Join is the message that fragments make, in their order (RFC 2046 §5.2.2.1): the fields of the first one's own header, but for those that
// belong to what it encloses, which come from the header that it encloses; of the later ones the bodies alone. An error wraps ErrFragment, or
// is of the readers.
func Join(fragments []*io.SectionReader) (io.Reader, error) {
	var out []io.Reader
	for i, r := range fragments {
		outer, body, err := headed(r)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, body)
			continue
		}
		inner, body, err := headed(body)
		if err != nil {
			return nil, err
		}
		if t, err := inner.ContentType(); err != nil || t.Is("message", "partial") { // fragments of fragments could go on for ever
			return nil, fmt.Errorf("%w: the first encloses another, or nothing that can be read", ErrFragment)
		}
		var head bytes.Buffer
		write := func(h Header, enclosed bool) {
			for _, x := range h.Fields() {
				if OfEnclosed(x.Name) == enclosed {
					head.Write(bytes.TrimRight(x.Raw, "\r\n"))
					head.WriteString("\r\n")
				}
			}
		}
		write(outer, false)
		write(inner, true)
		head.WriteString("\r\n")
		out = append(out, &head, body)
	}
	return io.MultiReader(out...), nil
}

// OfEnclosed says that a field belongs to the message that a first fragment encloses (RFC 2046 §5.2.2.1 (1), (2)).
func OfEnclosed(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "content-") || slices.Contains([]string{"subject", "message-id", "encrypted", "mime-version"}, name)
}

// headed splits what r holds in header and body.
func headed(r *io.SectionReader) (Header, *io.SectionReader, error) {
	within := &counting{r: io.NewSectionReader(r, 0, r.Size())}
	br := bufio.NewReaderSize(within, 4<<10)
	h, err := ReadHeader(br, Limits{})
	switch {
	case errors.Is(err, ErrSyntax), errors.Is(err, ErrLimit), errors.Is(err, ErrAmbiguous), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return h, nil, fmt.Errorf("%w: one has no header that can be read", ErrFragment)
	case err != nil:
		return h, nil, err
	}
	at := within.n - int64(br.Buffered())
	return h, io.NewSectionReader(r, at, r.Size()-at), nil
}

// counting counts what is read.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
