//go:build linux

package crashfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// variable holds the settings of the process that serves a file system.
const variable = "CAREPOST_CRASHFS"

// served is what that process is told.
type served struct {
	Dir     string
	Options Options
}

// Main serves a file system and ends the process, if it was started for that; otherwise it returns at once. It is the first
// thing in TestMain.
func Main() {
	settings := os.Getenv(variable)
	if settings == "" {
		return
	}
	var s served
	err := json.Unmarshal([]byte(settings), &s)
	if err == nil {
		err = serve(s, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crashfs:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve mounts and answers requests until there are no more.
func serve(s served, in io.Reader, out io.Writer) error {
	d := newDisk(s.Options)
	hour := time.Hour // everything that changes comes from the kernel
	reply := json.NewEncoder(out)
	server, err := fs.Mount(s.Dir, &entry{d: d, n: d.root}, &fs.Options{
		AttrTimeout: &hour, EntryTimeout: &hour, NullPermissions: true, RootStableAttr: &fs.StableAttr{Ino: d.root.inode},
		MountOptions: fuse.MountOptions{
			FsName: "crashfs", Name: "crashfs", DirectMount: true, DisableXAttrs: true, MaxWrite: 1 << 20, Options: []string{"default_permissions"},
		},
	})
	if err != nil {
		return reply.Encode(answer{Error: "mounting (it takes /dev/fuse, and root or fusermount3): " + err.Error()})
	}
	err = d.answer(json.NewDecoder(in), reply)
	if server.Unmount() != nil { // somebody has files open there
		err = errors.Join(err, syscall.Unmount(s.Dir, syscall.MNT_DETACH))
	}
	return err
}

func (d *disk) answer(requests *json.Decoder, reply *json.Encoder) error {
	if err := reply.Encode(answer{}); err != nil {
		return err
	}
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := reply.Encode(d.do(r)); err != nil {
			return err
		}
	}
}

func (d *disk) do(r request) (a answer) {
	if r.Snapshot != "" {
		if err := d.snapshot(r.Snapshot); err != nil {
			a.Error = err.Error()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Faults != nil {
		d.Faults = *r.Faults
	}
	a.Used, a.Syncs = d.used, d.syncs
	return a
}
