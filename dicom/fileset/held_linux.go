package fileset

import (
	"sync"
	"syscall"
)

// held are the files of a Plan that stay open. A nil one holds none.
type held struct {
	mu    sync.Mutex
	files []int32 // descriptors; taken where it is open no more
	most  int
}

const (
	taken     = -1
	openOther = 1 << 10 // files that a program may open beside those that are held
	maxHeld   = 1 << 17
)

// newHeld holds what the limit of open files leaves, or nothing.
func newHeld(wanted bool) *held {
	var limit syscall.Rlimit
	if !wanted || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur <= openOther {
		return nil
	}
	return &held{most: int(min(limit.Cur-openOther, maxHeld))}
}

// hold keeps f open and gives the number to ask for it by; 0 where it is not kept, and to be closed.
func (h *held) hold(f *rawFile) int32 {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.files) >= h.most {
		return 0
	}
	h.files = append(h.files, int32(f.fd))
	return int32(len(h.files))
}

// take gives the file of path that was kept. It is its caller's to close.
func (h *held) take(n int32, path string) (f rawFile, ok bool) {
	if h == nil || n == 0 {
		return f, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	fd := &h.files[n-1]
	f, ok = rawFile{path, int(*fd)}, *fd != taken
	*fd = taken
	return f, ok
}

// close closes all that are open still, and holds no more of them.
func (h *held) close() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.most = 0
	for i, fd := range h.files {
		if fd != taken {
			syscall.Close(int(fd))
			h.files[i] = taken
		}
	}
}
