package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"carepost/dicom/fileset"
)

// packTarget is where `dicom pack` writes.
type packTarget struct {
	path   string // links followed
	direct bool   // a pipe or a device: written to as it is, never replaced
}

// target looks at what stands under the name asked for. Only a file, or nothing, is ever replaced.
func (f *dicomPack) target() (packTarget, error) {
	if f.out == "-" {
		return packTarget{}, nil
	}
	if f.out == "" {
		return packTarget{}, usage(errors.New("dicom pack: -o wants the name of a file"))
	}
	info, err := os.Stat(f.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.newTarget()
	case err != nil:
		return packTarget{}, notNow(err)
	}
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return packTarget{}, usage(fmt.Errorf("dicom pack: -o %s is a folder: name the file, such as %s", f.out, filepath.Join(f.out, "DICOM.ZIP")))
	case mode.IsRegular() && !f.force:
		return packTarget{}, usage(fmt.Errorf("dicom pack: %s is there already; --force replaces it, -o FILE names another", f.out))
	case mode.IsRegular():
		path, err := filepath.EvalSymlinks(f.out)
		if err != nil {
			return packTarget{}, notNow(err)
		}
		return packTarget{path: path}, nil
	case mode&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return packTarget{path: f.out, direct: true}, nil
	}
	return packTarget{}, usage(fmt.Errorf("dicom pack: -o %s is neither a file nor a pipe", f.out))
}

// newTarget is a name under which there is nothing.
func (f *dicomPack) newTarget() (packTarget, error) {
	if _, err := os.Lstat(f.out); err == nil {
		return packTarget{}, usage(fmt.Errorf("dicom pack: -o %s is a link to nothing", f.out))
	}
	if os.IsPathSeparator(f.out[len(f.out)-1]) {
		return packTarget{}, usage(fmt.Errorf("dicom pack: -o %s names a folder, not a file", f.out))
	}
	dir := filepath.Dir(f.out)
	if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return packTarget{}, usage(fmt.Errorf("dicom pack: there is no folder %s", dir))
	}
	return packTarget{path: f.out}, nil
}

// write makes the archive and says how long it is; 0 where it went to standard output.
func (f *dicomPack) write(ctx context.Context, stdout io.Writer, t packTarget, plan *fileset.Plan, progress func(done, total int64)) (int64, error) {
	into := func(w io.Writer) (int64, error) {
		counted := &countingWriter{w: w}
		b := bufio.NewWriterSize(counted, 256<<10)
		if err := plan.WriteZIP(ctx, b, progress); err != nil {
			return 0, err
		}
		err := b.Flush()
		return counted.n, err
	}
	switch {
	case f.out == "-":
		_, err := into(stdout)
		return 0, err
	case t.direct:
		return writeDirect(ctx, t.path, into)
	}
	return writeRenamed(t.path, into)
}

// writeRenamed writes under another name, so that no half archive stands under the name asked for.
func writeRenamed(path string, into func(io.Writer) (int64, error)) (int64, error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".partial-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name())
	n, err := into(tmp)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return 0, err
	}
	return n, os.Rename(tmp.Name(), path)
}

// writeDirect writes into a pipe or a device. The end of ctx is noticed while nobody reads.
func writeDirect(ctx context.Context, path string, into func(io.Writer) (int64, error)) (int64, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() { // a pipe opens when somebody reads; where nobody ever does, this waits until the program ends
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		done <- opened{file, err}
	}()
	var o opened
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case o = <-done:
	}
	if o.err != nil {
		return 0, o.err
	}
	stop := context.AfterFunc(ctx, func() { o.file.Close() })
	n, err := into(o.file)
	if !stop() {
		return 0, ctx.Err()
	}
	return n, errors.Join(err, o.file.Close())
}

// countingWriter counts what was written.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// unreadable tells a file that could not be read now from one that is no good.
func unreadable(p fileset.Problem) bool {
	if len(p.Files) != 1 || p.Source != "" {
		return false
	}
	info, err := os.Stat(p.Files[0])
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return false // not opened: a pipe would be waited for
	}
	file, err := os.Open(p.Files[0])
	if err == nil {
		file.Close()
	}
	return err != nil
}
