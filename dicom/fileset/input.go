package fileset

import (
	"context"
	"errors"
	"io"
)

// File is what an Input is read from.
type File interface {
	io.ReaderAt
	io.Closer
}

// Input is an object that lies in no file of its own: in a sealed store, say.
type Input struct {
	Name string // by which problems, findings and Instance.Source call it: no patient data
	Size int64  // bytes
	Open func() (File, error)
}

// ScanInputs is Scan of objects that lie in no folder. They have to be opened again by WriteZIP, and give the same bytes then.
func ScanInputs(ctx context.Context, o ScanOptions, inputs ...Input) (*Plan, error) {
	var found collector
	for i := range inputs {
		found.list = append(found.list, candidate{path: inputs[i].Name, named: true, given: &inputs[i]})
	}
	return found.scan(ctx, o, nil)
}

// open opens a candidate and tells what is to be seen of it again.
func (c candidate) open(o *opener) (File, source, error) {
	if c.given != nil {
		f, err := c.given.Open()
		return f, source{path: c.path, given: c.given.Open, size: c.given.Size}, err
	}
	f, err := o.open(c.path)
	if err != nil {
		return nil, source{}, err
	}
	size, mod, regular, err := f.(*rawFile).state()
	if err == nil && !regular {
		err = errors.New(irregular)
	}
	if err != nil {
		f.Close()
		return nil, source{}, err
	}
	return f, source{path: c.path, size: size, mod: mod}, nil
}

// open opens a source and makes sure that it is still the file Scan saw.
func (s source) open(o *opener) (File, error) {
	f, err := s.reopen(o)
	if err != nil {
		return nil, err
	}
	if err := s.same(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reopen opens a source; whether it is still what it was is to be asked of same.
func (s source) reopen(o *opener) (File, error) {
	if s.given != nil {
		return s.given()
	}
	return o.open(s.path)
}
