package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cost is what something took: seconds, of the processor for all processes of a pipe together, and their greatest memory added up.
type cost struct {
	cpu, wall float64
	sys       float64 // of cpu, the kernel's part
	rss       int64
}

// stage is a program of a pipe.
type stage struct {
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
	peak int64 // of VmHWM
}

// pipe runs programs, each reading what the one before writes: the first from a file, the last into one. Empty names are no file.
func pipe(in, out string, stages ...*stage) (c cost, err error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	var next *os.File
	if in != "" {
		if next, err = os.Open(in); err != nil {
			return c, err
		}
		files = append(files, next)
	}
	start := time.Now()
	for i, s := range stages {
		s.cmd = exec.Command(s.args[0], s.args[1:]...)
		s.cmd.Stderr = &s.log
		if next != nil {
			s.cmd.Stdin = next
		}
		var w *os.File
		switch {
		case i < len(stages)-1:
			next, w, err = os.Pipe()
			files = append(files, next, w)
		case out != "":
			w, err = os.Create(out)
			files = append(files, w)
		}
		if err != nil {
			return c, err
		}
		if w != nil {
			s.cmd.Stdout = w
		}
		if err := s.cmd.Start(); err != nil {
			return c, err
		}
	}
	for _, f := range files { // the children have their own: a pipe ends with its writer
		f.Close()
	}
	err = wait(&c, start, stages)
	return c, err
}

func wait(c *cost, start time.Time, stages []*stage) (err error) {
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(stages, done)
	}()
	for _, s := range stages {
		if e := s.cmd.Wait(); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w\n%s", strings.Join(s.args, " "), e, &s.log))
		}
	}
	c.wall = time.Since(start).Seconds()
	close(done)
	<-watched
	for _, s := range stages {
		c.cpu += (s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()).Seconds()
		c.sys += s.cmd.ProcessState.SystemTime().Seconds()
		c.rss += s.memory()
	}
	return err
}

// watch looks at the greatest memory of each process every few milliseconds.
func watch(stages []*stage, done <-chan struct{}) {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range stages {
			s.peak = max(s.peak, greatest(s.cmd.Process.Pid))
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// greatest is VmHWM of a process, 0 if it has gone.
func greatest(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n << 10
}

// memory is a process's greatest. The kernel counts ours in where it starts one, so that what it says is exact only when it is more than
// we ever had; what was last seen is exact but for the last milliseconds.
func (s *stage) memory() int64 {
	if n := s.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10; n > greatest(os.Getpid()) {
		return n
	}
	return s.peak
}

// loop is a process that does things by order, and tells what processor time they took it.
type loop struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	log bytes.Buffer

	thread time.Duration // that the last work took its thread
}

func startLoop(args ...string) (*loop, error) {
	l := &loop{cmd: exec.Command(args[0], args[1:]...)}
	l.cmd.Stderr = &l.log
	var err error
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = bufio.NewScanner(out)
	return l, l.cmd.Start()
}

// run does something n times, and returns the processor time of the whole process, as own does for ours: a machine that collects and
// compiles in threads of its own pays for them. The driver answers with the time of its one thread, which is a part of that.
func (l *loop) run(what string, n int) (time.Duration, error) {
	before, err := l.spent()
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintln(l.in, what, n)
	if err == nil && !l.out.Scan() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l.cmd.Args, errors.Join(err, l.stop()))
	}
	ns, err := strconv.ParseInt(l.out.Text(), 10, 64)
	if err != nil {
		return 0, err
	}
	l.thread = time.Duration(ns)
	after, err := l.spent()
	if took := after - before; err != nil || took < l.thread {
		return 0, fmt.Errorf("%s: %v of the process, %v of its thread: %w", l.cmd.Args, took, l.thread, errors.Join(err, errClock))
	}
	return after - before, nil
}

var errClock = errors.New("the clock of the process is wrong")

// spent is the processor time of all threads up to now.
func (l *loop) spent() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(int32(^l.cmd.Process.Pid<<3|2), &t) // clock_getcpuclockid(3)
	return time.Duration(t.Nano()), err
}

func (l *loop) stop() error {
	if err := errors.Join(l.in.Close(), l.cmd.Wait()); err != nil {
		return fmt.Errorf("%w\n%s", err, &l.log)
	}
	return nil
}

// own is the processor time that f takes this process, all that runs beside it included, on one core.
func own(f func() error) (time.Duration, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	before := spent()
	err := f()
	return spent() - before, err
}

func spent() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
