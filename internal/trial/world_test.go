package trial_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"carepost/addr"
)

// TestMain removes what the tests have built.
func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built are the binaries of this run, each made when it is first asked for.
var built struct {
	mu  sync.Mutex
	dir string
	by  map[string]string // path by build tags
}

// binary builds cmd/carepost with the given tags.
func binary(t testing.TB, tags string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if path := built.by[tags]; path != "" {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "carepost-trial-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.by = dir, map[string]string{}
	}
	path := filepath.Join(built.dir, "carepost"+tags)
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "carepost/cmd/carepost").CombinedOutput(); err != nil {
		t.Fatalf("building with the tags %q: %v\n%s", tags, err, out)
	}
	built.by[tags] = path
	return path
}

const password = "four canaries on a wire" // of every account

// canaryFrom and canaryTo are local parts of addresses: words that occur nowhere else, like the others of this kind.
const (
	canaryFrom = "stieglitzpost"
	canaryTo   = "girlitzpost"
)

// pair makes two installations that know one another. The lines given go to the end of both carepost.toml. Nobody serves them yet.
func pair(t testing.TB, binary string, config ...string) (a, b *practice) {
	t.Helper()
	root, err := os.MkdirTemp("", "trial") // a short name: sockets have room for a hundred letters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	// Addresses of loopback that no other trial has: the ports are the usual ones then, and lie below those that the system gives to whoever
	// connects, so that a process which is killed and started again finds them free.
	net := fmt.Sprintf("127.%d.%d", 1+rand.IntN(250), rand.IntN(250))
	var all []*practice
	for i, domain := range []addr.Domain{"north.example", "south.example"} {
		p := &practice{
			domain: domain, desk: addr.Address{Endpoint: canaryFrom, Domain: domain}, address: fmt.Sprintf("%s.%d", net, i+1),
			dir: filepath.Join(root, domain.String()), log: filepath.Join(root, domain.String()+".log"), binary: binary,
		}
		args := []string{"init", p.dir, "--domain", domain.String(), "--pilot", "--address", p.address, "--account", canaryFrom, "--account", canaryTo}
		if i > 0 {
			args = append(args, "--partner", all[0].dir)
		}
		p.run(t, "", args...)
		p.configure(t, config...)
		p.run(t, password+"\n", "account", "password", p.desk.String(), "--config", p.dir)
		t.Cleanup(p.end)
		all = append(all, p)
	}
	return all[0], all[1]
}

// configure adds lines to carepost.toml, below its [queue] where they are of that table.
func (p *practice) configure(t testing.TB, lines ...string) {
	t.Helper()
	path := filepath.Join(p.dir, "carepost.toml")
	text, err := os.ReadFile(path)
	for _, line := range lines {
		text = []byte(strings.Replace(string(text), "[queue]\n", "[queue]\n"+line+"\n", 1))
	}
	if err = errors.Join(err, os.WriteFile(path, text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// run runs a command of the binary and gives what it prints. A command that fails fails the test.
func (p *practice) run(t testing.TB, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(p.binary, args...)
	cmd.Dir = filepath.Dir(p.dir)
	cmd.Stdin = strings.NewReader(input)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("carepost %s: %v\n%s%s", strings.Join(args, " "), err, out, complaints.String())
	}
	return string(out)
}
