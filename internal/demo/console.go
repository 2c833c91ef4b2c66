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
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// console prints the timeline: when, what, and the evidence. On a terminal lines are broken between words, and bars appear for
// work over a second.
type console struct {
	out     io.Writer
	started time.Time
	columns int             // of the terminal; 0 = none
	broken  func(err error) // is told once that out takes no more

	mu  sync.Mutex
	bar *mpb.Progress
	of  map[string]*mpb.Bar
	t0  map[string]time.Time
	err error

	steps atomic.Int64 // of progress since moved was asked
}

func newConsole(out io.Writer, columns int, now time.Time, broken func(error)) *console {
	return &console{out: out, started: now, columns: columns, broken: broken, of: map[string]*mpb.Bar{}, t0: map[string]time.Time{}}
}

// margin stands before the words of a line of the timeline: when and what.
const margin = 22

// say prints one line of the timeline.
func (c *console) say(at time.Time, what, format string, a ...any) {
	c.print(fmt.Sprintf("%7.2f s  %-10s ", at.Sub(c.started).Seconds(), what), fmt.Sprintf(format, a...))
}

// remark prints what belongs to the line before it.
func (c *console) remark(format string, a ...any) {
	c.print(strings.Repeat(" ", margin), fmt.Sprintf(format, a...))
}

// note prints a line outside the timeline.
func (c *console) note(format string, a ...any) { c.print("", fmt.Sprintf(format, a...)) }

// print writes text after head, and goes on below the text where lines are broken.
func (c *console) print(head, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	for line := range strings.SplitSeq(text, "\n") {
		for _, part := range split(line, c.columns-len(head)) {
			if _, err := io.WriteString(c.out, strings.TrimRight(head+part, " ")+"\n"); err != nil && c.err == nil {
				c.err = fmt.Errorf("demo: %w", err)
				c.broken(c.err)
			}
			head = strings.Repeat(" ", len(head))
		}
	}
}

// split breaks a line between words so that no part is wider than width, as far as words allow. What stands indented, such as a
// command to copy, stays whole, and so does everything where there is no width.
func split(line string, width int) (parts []string) {
	for width > 20 && utf8.RuneCountInString(line) > width && !strings.HasPrefix(line, " ") {
		at, n := -1, 0
		for i, r := range line {
			if r == ' ' && (n <= width || at < 0) {
				at = i
			}
			if n++; n > width && at >= 0 {
				break
			}
		}
		if at < 0 {
			break
		}
		parts = append(parts, line[:at])
		line = line[at+1:]
	}
	return append(parts, line)
}

// reading shows how many files have been read, where that takes longer than a second.
func (c *console) reading(files int) {
	if c.columns == 0 || time.Since(c.started) < time.Second {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	const what = "read"
	if c.of[what] == nil {
		if c.bar == nil {
			c.bar = mpb.New(mpb.WithOutput(c.out), mpb.WithWidth(40))
		}
		c.of[what] = c.bar.MustAdd(0, nil, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name("reading the study: "), decor.CurrentNoUnit("%d files")))
	}
	c.of[what].SetCurrent(int64(files))
}

// progress draws a bar for work that has taken longer than a second and is not done yet.
func (c *console) progress(what string, done, total int64) {
	c.steps.Add(1)
	if c.columns == 0 || total <= 0 {
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
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%11s%-10s ", "", what))),
			mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f")))
	}
	c.of[what].SetCurrent(done)
}

// moved says whether there was progress since it was last asked.
func (c *console) moved() bool { return c.steps.Swap(0) > 0 }

// close takes the bars away for good.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}

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
