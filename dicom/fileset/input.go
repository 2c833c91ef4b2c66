package fileset

import (
	"context"
	"errors"
	"io"
	"os"
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
func (c candidate) open() (File, source, error) {
	if c.given != nil {
		f, err := c.given.Open()
		return f, source{path: c.path, given: c.given.Open, size: c.given.Size}, err
	}
	f, err := os.Open(c.path)
	if err != nil {
		return nil, source{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(irregular)
	}
	if err != nil {
		f.Close()
		return nil, source{}, err
	}
	return f, source{path: c.path, size: info.Size(), mod: info.ModTime()}, nil
}

// open opens a source and makes sure that it is still the file Scan saw.
func (s source) open() (File, error) {
	if s.given != nil {
		return s.given()
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	if err := s.same(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
