//go:build crashpoints

package crash

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Variable names the point at which the process dies.
const Variable = "CAREPOST_CRASH"

// fault is what the environment asks for. Package state, because a point has nothing else to ask; no build but a trial's has it.
var fault = sync.OnceValue(func() *plan { return read(os.Getenv(Variable)) })

type plan struct {
	name string
	left atomic.Int64 // passings until the end
}

func read(text string) *plan {
	name, times, _ := strings.Cut(text, ":")
	p := &plan{name: name}
	n, err := strconv.Atoi(times)
	if err != nil || n < 1 {
		n = 1
	}
	p.left.Store(int64(n))
	return p
}

// due says whether this passing is the one.
func (p *plan) due(name string) bool { return p.name == name && p.left.Add(-1) == 0 }

// Point kills the process if it is the one that the environment names.
func Point(name string) {
	if fault().due(name) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it takes effect
	}
}
