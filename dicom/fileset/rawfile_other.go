//go:build !linux

package fileset

import (
	"os"
	"time"
)

// rawFile is a file as the runtime has it.
type rawFile struct{ *os.File }

// opener opens files.
type opener struct{ held *held }

func (o *opener) close() {}

func (o *opener) open(path string) (File, error) {
	f, err := o.raw(path)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

func (o *opener) raw(path string) (rawFile, error) {
	f, err := os.Open(path)
	return rawFile{f}, err
}

// held keeps nothing open here.
type held struct{}

func newHeld(bool) *held { return nil }

func (h *held) hold(*rawFile) int32 { return 0 }

func (h *held) take(int32, string) (f rawFile, ok bool) { return f, false }

func (h *held) close() {}

func (f *rawFile) read(p []byte, off int64, _ int) (int, error) { return f.ReadAt(p, off) }

// state gives size, time of the last change and whether it is a regular file.
func (f *rawFile) state() (size int64, mod time.Time, regular bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, time.Time{}, false, err
	}
	return info.Size(), info.ModTime(), info.Mode().IsRegular(), nil
}
