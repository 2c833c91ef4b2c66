// Package demo runs two practices on this machine, each a full gateway with its own data directory, pilot CA, keys, anchors and
// name server, and sends a study from the one to the other: out of the files, sealed, over SMTP and TLS, opened, verified, checked
// against its DICOMDIR, answered by a processed notice, and at last compared byte for byte with what was sent.
//
// Nothing of it is a stand-in: the rooms are those of an installation, the trial's only freedoms are loopback ports.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/demo/study"
)

// Options of a run.
type Options struct {
	Studies  []string // files and folders; none = the study carried in the binary
	Keep     string   // folder that keeps everything; empty = nothing is kept
	Out      io.Writer
	Terminal bool // Out is a terminal: bars are drawn
}

// The parties. They are departments, not people.
var (
	sender    = addr.Address{Endpoint: "imaging", Domain: "north.example"}
	recipient = addr.Address{Endpoint: "reception", Domain: "south.example"}
)

// patience is how long the demo waits for the next step of a message before it gives up.
const patience = 5 * time.Minute

// ErrDifferent says that what arrived is not what was sent.
var ErrDifferent = errors.New("demo: what arrived differs from what was sent")

// Run plays the whole exchange and returns nil only when what arrived is byte for byte what was sent and the notice came back.
// Bad input is a *fileset.InputError: nothing has been sent then.
func Run(ctx context.Context, o Options) error {
	c := newConsole(o.Out, o.Terminal, time.Now())
	dir, done, err := workplace(o.Keep)
	if err != nil {
		return err
	}
	defer done()
	plan, err := pack(ctx, o, dir, c)
	if err != nil {
		return err
	}
	c.note("Two practices on this machine, each with its own CA, keys, name server and store; nothing leaves it.\n")
	c.note("  from  %s\n  to    %s\n", sender, recipient)
	c.started = time.Now()
	w, err := open(ctx, dir, c)
	if err != nil {
		return err
	}
	defer w.close()
	return w.exchange(ctx, plan, o.Keep)
}

// workplace makes the folder that everything lives in, and says how to leave it.
func workplace(keep string) (dir string, done func(), err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "carepost-demo-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	entries, err := os.ReadDir(keep)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = os.MkdirAll(keep, 0o700)
	case err == nil && len(entries) > 0:
		err = fmt.Errorf("demo: %s is not empty: name a new folder", keep)
	}
	return keep, func() {}, err
}

// pack reads the study and plans its File-set.
func pack(ctx context.Context, o Options, dir string, c *console) (*fileset.Plan, error) {
	paths := o.Studies
	if len(paths) == 0 {
		carried := filepath.Join(dir, "study")
		if err := os.CopyFS(carried, study.FS()); err != nil {
			return nil, fmt.Errorf("demo: the study carried along: %w", err)
		}
		paths = []string{carried}
	}
	plan, err := fileset.Scan(ctx, fileset.ScanOptions{}, paths...)
	if err != nil {
		return nil, err
	}
	return plan, nil
}
