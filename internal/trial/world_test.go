package trial_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"carepost/addr"
	"carepost/internal/config"
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
	look(t) // or the result of an earlier run would stand for a later state of the sources
	path := filepath.Join(built.dir, "carepost"+tags)
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "carepost/cmd/carepost").CombinedOutput(); err != nil {
		t.Fatalf("building with the tags %q: %v\n%s", tags, err, out)
	}
	built.by[tags] = path
	return path
}

// look touches every source that the binary is made of, so that `go test` knows what this test depends on.
func look(t testing.TB) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, "_test.go") {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const password = "four canaries on a wire" // of every account

// pair makes two installations that know one another. Nobody serves them yet.
func pair(t testing.TB, binary string) (a, b *practice) {
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
		p.run(t, password+"\n", "account", "password", p.desk.String(), "--config", p.dir)
		t.Cleanup(p.end)
		all = append(all, p)
	}
	return all[0], all[1]
}

// queue sets the table [queue] of carepost.toml. A running gateway does not look.
func (p *practice) queue(t testing.TB, lines ...string) {
	t.Helper()
	path := filepath.Join(p.dir, config.Name)
	text, err := os.ReadFile(path)
	before, after, _ := strings.Cut(string(text), "\n[queue]")
	_, after, found := strings.Cut(after, "\n[")
	if err != nil || !found {
		t.Fatalf("%s has no table [queue] with another one behind it (%v)", path, err)
	}
	text = []byte(before + "\n[queue]\n" + strings.Join(lines, "\n") + "\n[" + after)
	if err := os.WriteFile(path, text, 0o600); err != nil {
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
