package demo

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// console prints the timeline: when, what, and the evidence. Bars appear on a terminal only, for work over a second.
type console struct {
	out      io.Writer
	started  time.Time
	terminal bool

	mu  sync.Mutex
	bar *mpb.Progress
	of  map[string]*mpb.Bar
	t0  map[string]time.Time

	steps atomic.Int64 // of progress since moved was asked
}

func newConsole(out io.Writer, terminal bool, now time.Time) *console {
	return &console{out: out, started: now, terminal: terminal, of: map[string]*mpb.Bar{}, t0: map[string]time.Time{}}
}

// say prints one line of the timeline.
func (c *console) say(at time.Time, what, format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	lines := strings.Split(fmt.Sprintf(format, a...), "\n")
	fmt.Fprintf(c.out, "%7.2f s  %-10s %s\n", at.Sub(c.started).Seconds(), what, lines[0])
	for _, l := range lines[1:] {
		fmt.Fprintf(c.out, "%21s%s\n", "", l)
	}
}

// note prints a line outside the timeline.
func (c *console) note(format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	fmt.Fprintf(c.out, format+"\n", a...)
}

// progress draws a bar for work that has taken longer than a second and is not done yet.
func (c *console) progress(what string, done, total int64) {
	c.steps.Add(1)
	if !c.terminal || total <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.t0[what]; !ok {
		c.t0[what] = time.Now()
	}
	if c.of[what] == nil {
		if time.Since(c.t0[what]) < time.Second || done >= total {
			return
		}
		if c.bar == nil {
			c.bar = mpb.New(mpb.WithOutput(c.out), mpb.WithWidth(40))
		}
		c.of[what] = c.bar.AddBar(total, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%10s %-10s ", "", what))),
			mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f")))
	}
	c.of[what].SetCurrent(done)
}

// moved says whether there was progress since it was last asked.
func (c *console) moved() bool { return c.steps.Swap(0) > 0 }

// clear takes the bars away before a line is printed. The caller holds mu.
func (c *console) clear() {
	if c.bar == nil {
		return
	}
	for what, b := range c.of {
		b.Abort(true)
		delete(c.of, what)
	}
	c.bar.Wait()
	c.bar = nil
}

// size writes a number of bytes for people: "1.3 MB".
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	v, prefix := float64(n)/unit, 0
	for ; v >= unit && prefix < 3; prefix++ {
		v /= unit
	}
	return fmt.Sprintf("%.1f %cB", v, "kMGT"[prefix])
}

// count writes "1 study", "2 studies".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// peakMemory is the most that the whole process has had in memory, in bytes; 0 where the system does not tell.
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kb * 1024
		}
	}
	return 0
}
