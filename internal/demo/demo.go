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
	Studies []string // files and folders; none = the study carried in the binary
	Keep    string   // folder that keeps everything; empty = nothing is kept
	Out     io.Writer
	Columns int // width of the terminal that Out is: lines are broken, bars are drawn; 0 = Out is none
}

// The parties. They are departments, not people.
var (
	sender    = addr.Address{Endpoint: "imaging", Domain: "north.example"}
	recipient = addr.Address{Endpoint: "reception", Domain: "south.example"}
)

// patience is how long the demo waits for the next step of a message before it gives up.
const patience = 5 * time.Minute

// ErrDifferent says that what arrived is not what was sent; ErrKeep that Options.Keep is no folder to keep things in.
var (
	ErrDifferent = errors.New("demo: what arrived differs from what was sent")
	ErrKeep      = errors.New("demo: --keep wants a new or an empty folder")
)

// Run plays the whole exchange and returns nil only when what arrived is byte for byte what was sent, the notice came back, and
// Out took every line. Bad input is a *fileset.InputError: nothing has been sent then. Nothing of a run without Keep is left,
// however it ends.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := newConsole(o.Out, o.Columns, time.Now(), cancel)
	defer func() {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // what the rooms say then is a consequence
		}
	}()
	defer c.close()
	if err := free(o.Keep); err != nil {
		return err
	}
	var plan *fileset.Plan
	if len(o.Studies) > 0 { // before anything lies on the disk
		if plan, err = scan(ctx, c, o.Studies...); err != nil {
			return err
		}
	}
	dir, done, err := workplace(o.Keep)
	if err != nil {
		return err
	}
	defer done()
	if plan == nil {
		if plan, err = carried(ctx, c, filepath.Join(dir, "study")); err != nil {
			return err
		}
	}
	c.note("Two practices on this machine, each with its own CA, keys, name server and store; nothing leaves it.\n")
	c.note("  from  %s\n  to    %s\n", sender, recipient)
	c.started = time.Now()
	w, err := open(ctx, dir, c)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.meet(ctx); err != nil {
		return err
	}
	w.start(ctx)
	return w.exchange(ctx, plan, o.Keep)
}

// free looks whether things can be kept in a folder, which need not exist.
func free(keep string) error {
	if keep == "" {
		return nil
	}
	info, err := os.Stat(keep)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demo: --keep: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is a file", ErrKeep, keep)
	}
	entries, err := os.ReadDir(keep)
	if err != nil {
		return fmt.Errorf("demo: --keep: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty", ErrKeep, keep)
	}
	return nil
}

// workplace makes the folder that everything lives in, and says how to leave it.
func workplace(keep string) (dir string, done func(), err error) {
	if keep != "" {
		if err := os.MkdirAll(keep, 0o700); err != nil {
			return "", nil, fmt.Errorf("demo: --keep: %w", err)
		}
		return keep, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "carepost-demo-"); err != nil {
		return "", nil, fmt.Errorf("demo: a folder to work in: %w (TMPDIR says where)", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}

// carried writes out the study carried in the binary, and plans its File-set.
func carried(ctx context.Context, c *console, dir string) (*fileset.Plan, error) {
	if err := os.CopyFS(dir, study.FS()); err != nil {
		return nil, fmt.Errorf("demo: the study carried along: %w", err)
	}
	return scan(ctx, c, dir)
}

// scan reads the study and plans its File-set.
func scan(ctx context.Context, c *console, paths ...string) (*fileset.Plan, error) {
	return fileset.Scan(ctx, fileset.ScanOptions{Progress: c.reading}, paths...)
}
