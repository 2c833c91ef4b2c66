//go:build linux

package crashfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options of a file system. The zero value is the strict model without latency or limit.
type Options struct {
	Torn       bool          // a random half of the unsynced sectors and of the unsynced changes of names survive
	LooseNames bool          // names are durable at once
	Flush      time.Duration // what one flush of the device takes; callers that wait together share the next one
	Faults
}

// Faults can be changed while the file system is mounted.
type Faults struct {
	Size          int64 // bytes that files may hold together; ENOSPC beyond; 0: no limit
	IgnoreDirSync bool  // fsync of a directory says yes and does nothing
	FailSync      bool  // fsync of a file says EIO; the bytes are taken for clean, and are lost
	FailDirSync   bool  // fsync of a directory says EIO; the next one may do better
	FailWrite     bool  // write says EIO
}

// FS is a mounted file system.
type FS struct {
	dir   string
	child *exec.Cmd

	mu   sync.Mutex // one request at a time
	ask  *json.Encoder
	pipe io.Closer
	hear *json.Decoder
}

// request is what a test asks of the process that serves its file system.
type request struct {
	Snapshot string  `json:",omitempty"` // a folder to make
	Faults   *Faults `json:",omitempty"`
	Usage    bool    `json:",omitempty"`
}

type answer struct {
	Error string `json:",omitempty"`
	Used  int64
	Syncs int64
}

// New mounts a file system on a folder that goes with the test. It fails the test where that cannot be done.
func New(tb testing.TB, o Options) *FS {
	tb.Helper()
	f, err := Mount(tb.TempDir(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f
}

// Mount mounts a file system on dir. The caller closes it.
func Mount(dir string, o Options) (_ *FS, err error) {
	settings, err := json.Marshal(served{Dir: dir, Options: o})
	if err != nil {
		return nil, fmt.Errorf("crashfs: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("crashfs: %w", err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), variable+"="+string(settings), "GORACE=atexit_sleep_ms=0")
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the test: this one goes when its input ends
	in, err := c.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("crashfs: %w", err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("crashfs: %w", err)
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("crashfs: %w", err)
	}
	f := &FS{dir: dir, child: c, ask: json.NewEncoder(in), pipe: in, hear: json.NewDecoder(out)}
	if _, err := f.answer(); err != nil { // the first tells that it is mounted
		in.Close()
		c.Wait()
		return nil, err
	}
	return f, nil
}

// Dir is where the file system is mounted.
func (f *FS) Dir() string { return f.dir }

// Snapshot writes what a power cut at this moment would leave into dir, which it makes.
func (f *FS) Snapshot(dir string) error {
	_, err := f.request(request{Snapshot: dir})
	return err
}

// Set changes the faults.
func (f *FS) Set(x Faults) error {
	_, err := f.request(request{Faults: &x})
	return err
}

// Used is how many bytes the files hold together.
func (f *FS) Used() (int64, error) {
	a, err := f.request(request{Usage: true})
	return a.Used, err
}

// Syncs is how many times something was asked to be made durable.
func (f *FS) Syncs() (int64, error) {
	a, err := f.request(request{Usage: true})
	return a.Syncs, err
}

func (f *FS) request(r request) (answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask.Encode(r); err != nil {
		return answer{}, fmt.Errorf("crashfs: its process: %w", err)
	}
	return f.answer()
}

func (f *FS) answer() (a answer, err error) {
	if err := f.hear.Decode(&a); err != nil {
		return a, fmt.Errorf("crashfs: its process does not answer (does TestMain call crashfs.Main?): %w", err)
	}
	if a.Error != "" {
		return a, errors.New("crashfs: " + a.Error)
	}
	return a, nil
}

// Close unmounts the file system; what is still open in it is lost.
func (f *FS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.child == nil {
		return nil
	}
	c := f.child
	f.child = nil
	if err := errors.Join(f.pipe.Close(), c.Wait()); err != nil {
		_ = syscall.Unmount(f.dir, syscall.MNT_DETACH)
		return fmt.Errorf("crashfs: its process: %w", err)
	}
	return nil
}
