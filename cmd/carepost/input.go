package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// input is the message that a filter reads from its standard input. It ends with the context, also while a pipe or a terminal
// is silent; it tells a person at the keyboard that it waits, and shows progress on a terminal.
type input struct {
	r       io.Reader
	n       int64 // octets read
	ended   bool  // there is no more
	started time.Time
	total   int64 // 0: no bar
	bar     *mpb.Bar
	bars    *mpb.Progress
	what    string
}

// newInput reads the standard input of cmd; what names the work: "sealing".
func newInput(cmd *cobra.Command, what string) *input {
	in := &input{started: time.Now(), what: what}
	file, ok := cmd.InOrStdin().(*os.File)
	if !ok {
		in.r = readerUntil{cmd.Context(), cmd.InOrStdin()}
		return in
	}
	info, err := file.Stat()
	switch {
	case err == nil && info.Mode().IsRegular():
		in.r = readerUntil{cmd.Context(), file}
		if columns(os.Stderr) > 0 {
			in.total = info.Size()
		}
		return in
	case columns(file) > 0:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: reading the message from the keyboard; Ctrl-D ends it\n", cmd.CommandPath())
	}
	in.r = newInterruptible(cmd.Context(), file)
	return in
}

// Read counts, and draws a bar for work that takes longer than a second.
func (in *input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	in.n += int64(n)
	in.ended = in.ended || err == io.EOF
	if in.total == 0 {
		return n, err
	}
	if in.bar == nil && time.Since(in.started) > time.Second {
		in.bars = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(40))
		in.bar = in.bars.AddBar(in.total, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(in.what+" ")),
			mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f")))
	}
	if in.bar != nil {
		in.bar.SetCurrent(in.n)
	}
	return n, err
}

// empty says that there was nothing.
func (in *input) empty() bool { return in.ended && in.n == 0 }

// close takes the bar away.
func (in *input) close() {
	if in.bar != nil {
		in.bar.Abort(true)
		in.bars.Wait()
	}
}

// readerUntil ends with ctx.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// interruptible reads from what may be silent for ever, such as a terminal, in a goroutine of its own, so that the end of ctx
// is noticed. The goroutine waits in a read when the program ends.
type interruptible struct {
	ctx   context.Context
	r     io.Reader
	ask   chan []byte
	reply chan readReply
	buf   []byte
	rest  []byte
	err   error
}

type readReply struct {
	n   int
	err error
}

func newInterruptible(ctx context.Context, r io.Reader) *interruptible {
	i := &interruptible{ctx: ctx, r: r, ask: make(chan []byte), reply: make(chan readReply, 1), buf: make([]byte, 128<<10)}
	go func() {
		for p := range i.ask {
			n, err := r.Read(p)
			i.reply <- readReply{n, err}
		}
	}()
	return i
}

func (i *interruptible) Read(p []byte) (int, error) {
	if len(i.rest) == 0 && i.err == nil {
		if i.err = i.ctx.Err(); i.err != nil {
			return 0, i.err
		}
		i.ask <- i.buf
		select {
		case got := <-i.reply:
			if i.rest, i.err = i.buf[:got.n], got.err; i.err != nil {
				close(i.ask)
			}
		case <-i.ctx.Done():
			i.err = i.ctx.Err() // the buffer is the goroutine's for good
		}
	}
	if len(i.rest) == 0 {
		return 0, i.err
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

// columns is the width of the terminal that f is; 0 where f is none, or one that cannot move its cursor.
func columns(f *os.File) int {
	if t := os.Getenv("TERM"); t == "dumb" || t == "" && runtime.GOOS != "windows" {
		return 0
	}
	if !cwriter.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := cwriter.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}
