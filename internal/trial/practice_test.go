package trial_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/store"
	"carepost/internal/vault"
)

// patience is how long a trial waits for what must happen, on a machine that has other work.
const patience = 90 * time.Second

// practice is one installation, and the process that serves it.
type practice struct {
	domain  addr.Domain
	desk    addr.Address // an account
	dir     string
	binary  string
	address string // on loopback
	log     string // what its processes say, one after the other

	mu      sync.Mutex
	process *process // the last one
	hurried time.Time
}

// process is one run of the binary.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it says so
	ended chan struct{} // closed when it has
	err   error         // of its end
}

func (p *practice) data() string { return filepath.Join(p.dir, "data") }

// launch starts the gateway, which dies at a point of package crash unless that is empty.
func (p *practice) launch(t testing.TB, point string) *process {
	t.Helper()
	cmd := exec.Command(p.binary, "serve", "--config", p.dir)
	cmd.Env = append(os.Environ(), "CAREPOST_CRASH="+point)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	run := &process{cmd: cmd, ready: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer log.Close()
		said := false
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			io.WriteString(log, line)
			if strings.Contains(line, " is ready") && !said {
				said = true
				close(run.ready)
			}
			if err != nil {
				break
			}
		}
		run.err = cmd.Wait()
		close(run.ended)
	}()
	p.mu.Lock()
	p.process = run
	p.mu.Unlock()
	return run
}

// start launches the gateway and waits until it serves.
func (p *practice) start(t testing.TB) {
	t.Helper()
	run := p.launch(t, "")
	select {
	case <-run.ready:
	case <-run.ended:
		t.Fatalf("%s ended at its start: %v\n%s", p.domain, run.err, p.lastWords())
	case <-time.After(patience):
		t.Fatalf("%s is not ready after %s\n%s", p.domain, patience, p.lastWords())
	}
}

// running is the process that was started last.
func (p *practice) running() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// kill ends it as a power cut of the process does: nothing of its own runs any more.
func (p *practice) kill(t testing.TB) {
	t.Helper()
	run := p.running()
	if err := run.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-run.ended
	if !run.killed() {
		t.Fatalf("%s ended by itself: %v\n%s", p.domain, run.err, p.lastWords())
	}
}

// end leaves no process behind.
func (p *practice) end() {
	if run := p.running(); run != nil {
		run.cmd.Process.Kill()
		<-run.ended
	}
}

// stop asks it to end, as an operator does, and wants it to end well.
func (p *practice) stop(t testing.TB) {
	t.Helper()
	run := p.running()
	run.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-run.ended:
	case <-time.After(patience):
		t.Fatalf("%s does not stop\n%s", p.domain, p.lastWords())
	}
	if run.err != nil {
		t.Errorf("%s stops with %v\n%s", p.domain, run.err, p.lastWords())
	}
}

// killed says that the process has ended by SIGKILL.
func (run *process) killed() bool {
	select {
	case <-run.ended:
	default:
		return false
	}
	status, ok := run.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// lastWords is the end of the log.
func (p *practice) lastWords() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-4<<10):])
}

// client speaks to the running gateway as the commands do.
func (p *practice) client() *admind.Client {
	return admind.NewClient(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(p.data(), "admin.sock"))
	})
}

// ask calls the running gateway. A gateway that is dying or starting has no answer: false.
func (p *practice) ask(f func(ctx context.Context, c *admind.Client) error) bool {
	c := p.client()
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return f(ctx, c) == nil
}

// books opens the store of an installation that nobody serves, in a copy: what its next process finds stays as it is.
func (p *practice) books(t testing.TB) *books {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"carepost.db", "carepost.db-wal"} {
		if err := copyFile(filepath.Join(p.data(), name), filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	kek, err := vault.OpenKEK(filepath.Join(p.dir, "keys", "kek"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: kek})
	if err != nil {
		t.Fatalf("%s: %v", p.domain, err)
	}
	t.Cleanup(func() { s.Close() })
	return &books{s, map[string]map[string]int{}}
}

// view reads in them.
func view(t testing.TB, s *books, f func(tx *store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), f); err != nil {
		t.Error(err)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// busy names what an installation has left to do now, or soon: work that was tried before, or is due within the minute. What waits
// for a deadline, or for its hour, is at rest. ok is false where there is no answer.
func (p *practice) busy() (left []string, ok bool) {
	ok = p.ask(func(ctx context.Context, c *admind.Client) error {
		works, err := c.Queue(ctx, "", 0)
		left = nil
		for _, w := range works {
			if w.State != "ready" || w.Attempts > 0 || time.Until(w.Next) < time.Minute {
				left = append(left, fmt.Sprintf("%s %s (attempt %d: %s)", w.State, w.Kind, w.Attempts, w.Error))
			}
		}
		return err
	})
	return left, ok
}

// quiet says that there is nothing left to do.
func (p *practice) quiet() bool {
	left, ok := p.busy()
	return ok && len(left) == 0
}

// mails are those of an account as its holder is shown them; none where there is no answer.
func (p *practice) mails(of addr.Address) (out []admind.Mail) {
	p.ask(func(ctx context.Context, c *admind.Client) error {
		out = nil
		for after := uint32(0); ; { // a page at a time
			page, err := c.Mails(ctx, of, "", after, 0)
			if err != nil || len(page) == 0 {
				return err
			}
			out = append(out, page...)
			after = page[len(page)-1].UID
		}
	})
	return out
}

// hurry has work that waits for another try tried now: the other side is back, and a trial need not wait for the back-off. It does so now and
// then, for each of these is an act with its entry.
func (p *practice) hurry() {
	p.mu.Lock()
	due := time.Since(p.hurried) > 300*time.Millisecond
	if due {
		p.hurried = time.Now()
	}
	p.mu.Unlock()
	if !due {
		return
	}
	p.ask(func(ctx context.Context, c *admind.Client) error {
		works, err := c.Queue(ctx, "ready", 0)
		for _, w := range works[:min(len(works), 100)] {
			if w.Attempts > 0 && time.Until(w.Next) > time.Second {
				_ = c.RetryWork(ctx, w.ID) // another has it already: as good
			}
		}
		return err
	})
}

// rest waits until nobody has anything left to do, as long as it becomes less.
func rest(t testing.TB, all ...*practice) {
	t.Helper()
	least := 0
	for done := false; !done; {
		var left []string
		until(t, func() bool {
			left = nil
			for _, p := range all {
				l, ok := p.busy()
				if !ok {
					l = []string{p.domain.String() + " does not answer"}
				}
				left = append(left, l...)
				p.hurry()
			}
			done = len(left) == 0
			return done || least == 0 || len(left) < least/2
		}, func() string {
			return fmt.Sprintf("everything to be done; left are %d: %s", len(left), strings.Join(left[:min(len(left), 5)], "; "))
		})
		least = len(left)
	}
	for _, p := range all { // work may be settled a moment before its draft is gone
		var drafts []os.DirEntry
		var err error
		until(t, func() bool {
			drafts, err = os.ReadDir(filepath.Join(p.data(), "drafts"))
			return err == nil && len(drafts) == 0
		}, func() string {
			return fmt.Sprintf("%s to be at rest without its %d drafts (%v)", p.domain, len(drafts), err)
		})
	}
}

// until waits for ok. These are processes over real sockets: there is no clock to fake.
func until(t testing.TB, ok func() bool, what func() string) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end.C:
			t.Fatalf("waited %s for %s", patience, what())
		case <-tick.C:
		}
	}
}

// full says that the run is one of those before a change is called done.
func full() bool { return os.Getenv("CAREPOST_FULL") != "" }
