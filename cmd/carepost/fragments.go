package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"carepost/message"
)

// pieces are the files that are the fragments of one message (RFC 2046 §5.2.2).
type pieces struct {
	files []*os.File
	names []string
	byN   map[int]*io.SectionReader
	named map[int]string
	id    string
	of    int   // 0: none has said
	size  int64 // of the files
}

func (p *pieces) close() {
	for _, f := range p.files {
		f.Close()
	}
}

// openPieces opens the fragments of one message, in whatever order they are named. What is not there, and files that are none, are told.
func openPieces(names []string) (*pieces, error) {
	p := &pieces{names: names, byN: map[int]*io.SectionReader{}, named: map[int]string{}}
	for _, name := range names {
		if err := p.open(name); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// open adds a file.
func (p *pieces) open(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return usage(err)
	}
	p.files = append(p.files, f)
	info, err := f.Stat()
	if err != nil {
		return notNow(err)
	}
	h, err := message.ReadHeader(bufio.NewReader(f), message.Limits{})
	if err != nil {
		return usage(fmt.Errorf("%s is no mail; several files are the fragments of one message (message/partial)", name))
	}
	x, is, err := h.Fragment()
	switch twin, twice := p.named[x.N]; {
	case !is:
		return usage(fmt.Errorf("%s is no fragment of a message (message/partial): name it alone", name))
	case err != nil:
		return incomplete(fmt.Errorf("%s: %w", name, err))
	case p.id != "" && x.ID != p.id:
		return usage(fmt.Errorf("%s is a fragment of another message than %s", name, p.names[0]))
	case twice:
		return usage(fmt.Errorf("%s and %s are the same fragment, number %d", twin, name, x.N))
	case p.of > 0 && x.Of > 0 && p.of != x.Of:
		return disagree(name)
	}
	p.id, p.of, p.size = x.ID, max(p.of, x.Of), p.size+info.Size()
	p.byN[x.N], p.named[x.N] = io.NewSectionReader(f, 0, info.Size()), name
	return nil
}

func disagree(name string) error {
	return incomplete(fmt.Errorf("%s: the fragments do not agree about how many there are", name))
}

// whole is the message that they make.
func (p *pieces) whole() (io.Reader, error) {
	if p.of == 0 {
		return nil, incomplete(errors.New("the last fragment of the message is not among the files: none says how many there are"))
	}
	for n, name := range p.named {
		if n > p.of {
			return nil, disagree(name)
		}
	}
	var parts []*io.SectionReader
	for n := 1; n <= p.of; n++ {
		if p.byN[n] == nil {
			return nil, incomplete(fmt.Errorf("fragment %d of %d is not among the files: without it the message is not whole", n, p.of))
		}
		parts = append(parts, p.byN[n])
	}
	r, err := message.Join(parts)
	if errors.Is(err, message.ErrFragment) {
		return nil, incomplete(err)
	}
	if err != nil {
		return nil, notNow(err)
	}
	return r, nil
}

// loneFragment says what to do with a mail that is one of several fragments; nil where it is none.
func loneFragment(h message.Header, name, command string) error {
	x, is, err := h.Fragment()
	switch {
	case !is:
		return nil
	case err != nil:
		return incomplete(fmt.Errorf("%s: %w", name, err))
	}
	of := ""
	if x.Of > 0 {
		of = fmt.Sprintf(" of %d", x.Of)
	}
	return incomplete(fmt.Errorf("%s is fragment %d%s of a message (message/partial): name the files of all of them: %s FILE FILE …", name, x.N, of, command))
}

// newFileInput reads standard input, the one file that is named, or the message that several are the fragments of.
func newFileInput(cmd *cobra.Command, what string, names []string) (in *input, done func(), err error) {
	if len(names) == 0 {
		in = newInput(cmd, what)
		return in, func() {}, nil
	}
	if len(names) > 1 {
		p, err := openPieces(names)
		if err != nil {
			return nil, nil, err
		}
		r, err := p.whole()
		if err != nil {
			p.close()
			return nil, nil, err
		}
		return fileInput(cmd, what, r, p.size), p.close, nil
	}
	f, err := os.Open(names[0])
	if err != nil {
		return nil, nil, usage(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = usage(fmt.Errorf("%s is no file", names[0]))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return fileInput(cmd, what, f, info.Size()), func() { f.Close() }, nil
}

// wholeMessage looks at the beginning of in: a fragment by itself is no message to be opened.
func wholeMessage(in *input, name, command string) error {
	br := bufio.NewReaderSize(in.r, headSize)
	in.r = br
	head, _ := br.Peek(headSize) // who reads it gets the error
	h, err := message.ReadHeader(bufio.NewReader(bytes.NewReader(head)), message.Limits{})
	if err != nil {
		return nil // others say what is wrong with it
	}
	return loneFragment(h, name, command)
}

// headSize is how much of a message is looked at for its header.
const headSize = 16 << 10

// fileInput reads files whose size is known, with a bar on a terminal.
func fileInput(cmd *cobra.Command, what string, r io.Reader, size int64) *input {
	in := &input{started: time.Now(), what: what, r: readerUntil{cmd.Context(), r}}
	if columns(os.Stderr) > 0 {
		in.total = size
	}
	return in
}
