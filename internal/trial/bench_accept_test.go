package trial_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Messages of 10 KB from Postfix's smtp-source to our gateway and to Postfix, both started for this, both on the same disk, in the
// same run: rounds take turns and medians count, for the machine has other work. Postfix hands what it has queued to its discard(8);
// ours decides about each message (not sealed: set aside). Both do so while they accept.
//
// msg/s is the rate of durable acceptance, "done" the rate with everything behind it; CPU seconds are of all of a server's processes,
// for the whole round.
func BenchmarkAccept(b *testing.B) {
	carepost := build(b)
	for _, m := range []struct {
		name     string
		sessions int
		messages int
		args     []string
	}{
		{"sessions=20", 20, 4000, nil}, // smtp-source's own way: each message on a connection of its own
		{"sessions=20/reused", 20, 4000, []string{"-d"}},
		{"sessions=1", 1, 1500, nil},
		{"sessions=1/reused", 1, 1500, []string{"-d"}},
	} {
		b.Run(m.name, func(b *testing.B) {
			dir := b.TempDir()
			us, they := startGateway(b, carepost, filepath.Join(dir, "us")), startPostfix(b)
			if a, p := device(b, dir), device(b, they.dir); a != p {
				b.Fatalf("the two are on different disks: %s and %s", dir, they.dir)
			}
			args := append([]string{"-s", strconv.Itoa(m.sessions), "-l", "10240", "-f", "a@x.example", "-t", "b@north.example"}, m.args...)
			for _, s := range []*server{us, they} {
				s.load(b, 200, args)
			}
			ours, theirs := &rounds{}, &rounds{}
			for b.Loop() {
				for range 3 {
					theirs.add(they.load(b, m.messages, args))
					ours.add(us.load(b, m.messages, args))
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, x := range []struct {
				name string
				r    *rounds
				s    *server
			}{{"carepost", ours, us}, {"postfix", theirs, they}} {
				b.ReportMetric(x.r.median(func(r round) float64 { return r.accepted }), x.name+"-msg/s")
				b.ReportMetric(x.r.median(func(r round) float64 { return r.done }), x.name+"-done/s")
				b.ReportMetric(1e6*x.r.median(func(r round) float64 { return r.cpu }), x.name+"-cpu-µs/msg")
				b.ReportMetric(x.s.memory(b), x.name+"-MB")
			}
			b.ReportMetric(ours.median(func(r round) float64 { return r.accepted })/theirs.median(func(r round) float64 { return r.accepted }), "x-postfix")
		})
	}
}

// round is one load on one server.
type round struct {
	accepted, done float64 // messages per second
	cpu            float64 // seconds per message
}

type rounds struct{ all []round }

func (r *rounds) add(x round) { r.all = append(r.all, x) }

func (r *rounds) median(of func(round) float64) float64 {
	var v []float64
	for _, x := range r.all {
		v = append(v, of(x))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// server is one that takes mail: its address and its processes.
type server struct {
	at  string
	dir string
	pid int
}

// load has smtp-source send, and waits until the server rests.
func (s *server) load(b *testing.B, messages int, args []string) round {
	b.Helper()
	before := s.cpu(b)
	begun := time.Now()
	cmd := exec.Command("smtp-source", append(slices.Clip(args), "-m", strconv.Itoa(messages), "inet:"+s.at)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	accepted := time.Since(begun)
	const rest = 500 * time.Millisecond
	done, last := time.Now(), s.cpu(b)
	for calm := time.Now(); time.Since(calm) < rest; {
		<-time.After(rest / 10) // other processes: there is nothing to wait on
		if now := s.cpu(b); now > last {
			calm, done = time.Now(), time.Now()
			last = now
		}
	}
	n := float64(messages)
	return round{n / accepted.Seconds(), n / done.Sub(begun).Seconds(), (last - before) / n}
}

// cpu is what the server and those that it has started have used so far, in seconds.
func (s *server) cpu(b *testing.B) float64 {
	b.Helper()
	var ticks int64
	for _, pid := range s.processes(b) {
		f := statOf(pid)
		if f == nil {
			continue // gone: its parent has it now
		}
		for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
			n, _ := strconv.ParseInt(f[i], 10, 64)
			ticks += n
		}
	}
	return float64(ticks) / 100 // USER_HZ
}

// memory is that of all processes, shared pages divided among them, in MB; of a single process its peak.
func (s *server) memory(b *testing.B) float64 {
	b.Helper()
	var kb int64
	all := s.processes(b)
	for _, pid := range all {
		file, field := "smaps_rollup", "Pss:"
		if len(all) == 1 {
			file, field = "status", "VmHWM:"
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, field); ok {
				n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
				kb += n
			}
		}
	}
	return float64(kb) / 1024
}

// processes are the server's and its children.
func (s *server) processes(b *testing.B) []int {
	b.Helper()
	all := []int{s.pid}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if f := statOf(pid); f != nil && f[1] == strconv.Itoa(s.pid) {
				all = append(all, pid)
			}
		}
	}
	return all
}

// statOf gives the fields of /proc/PID/stat from the third on: state, ppid, …
func statOf(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

func device(b *testing.B, dir string) uint64 {
	b.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		b.Fatal(err)
	}
	return st.Dev
}
