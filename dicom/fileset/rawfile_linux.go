package fileset

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// rawFile is a regular file that is read by the system's own calls: the runtime's poller, which can do nothing for such files, is asked for
// nothing. A set has tens of thousands of small files, and each is opened twice.
type rawFile struct {
	path string
	fd   int
}

// opener opens files one after the other, most of which lie beside the one before: the folder of that one is kept, and the way to it is not
// walked again. It is used by one goroutine, and closed.
type opener struct {
	dir  string // with its slash; empty: none is kept
	fd   int
	held *held // may be nil
}

func (o *opener) open(path string) (File, error) {
	f, err := o.raw(path)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

// raw opens a file, if need be in place of those that are held open: there may be too many of them for the system, or for a server.
func (o *opener) raw(path string) (rawFile, error) {
	f, err := o.beside(path)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		o.held.close()
		return o.beside(path)
	}
	return f, err
}

// beside opens a file from its folder.
func (o *opener) beside(path string) (rawFile, error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		return openAt(atCwd, path, path, 0)
	}
	if dir != o.dir {
		o.close()
		f, err := openAt(atCwd, dir, path, syscall.O_DIRECTORY)
		if err != nil {
			return rawFile{}, err
		}
		o.dir, o.fd = dir, f.fd
	}
	return openAt(o.fd, name, path, 0)
}

func (o *opener) close() {
	if o.dir != "" {
		syscall.Close(o.fd)
		o.dir = ""
	}
}

const atCwd = -100 // AT_FDCWD of openat(2)

func openAt(dir int, name, path string, flags int) (rawFile, error) {
	for {
		fd, err := syscall.Openat(dir, name, flags|syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0) // a pipe is not waited for
		switch {
		case err == nil:
			return rawFile{path, fd}, nil
		case !errors.Is(err, syscall.EINTR):
			return rawFile{}, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (f *rawFile) ReadAt(p []byte, off int64) (n int, err error) { return f.read(p, off, len(p)) }

// read is ReadAt that is content with least: p may have room for more, which is asked for together with it, and not once again.
func (f *rawFile) read(p []byte, off int64, least int) (n int, err error) {
	for n < least {
		k, err := syscall.Pread(f.fd, p[n:min(len(p), n+1<<30)], off+int64(n))
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return n, &fs.PathError{Op: "read", Path: f.path, Err: err}
		case k == 0:
			return n, io.EOF
		default:
			n += k
		}
	}
	return n, nil
}

func (f *rawFile) Close() error {
	if err := syscall.Close(f.fd); err != nil {
		return &fs.PathError{Op: "close", Path: f.path, Err: err}
	}
	return nil
}

// state gives size, time of the last change and whether it is a regular file.
func (f *rawFile) state() (size int64, mod time.Time, regular bool, err error) {
	var st syscall.Stat_t
	for {
		err = syscall.Fstat(f.fd, &st)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, time.Time{}, false, &fs.PathError{Op: "stat", Path: f.path, Err: err}
	}
	return st.Size, time.Unix(st.Mtim.Unix()), st.Mode&syscall.S_IFMT == syscall.S_IFREG, nil
}
