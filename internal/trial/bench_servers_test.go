package trial_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build makes the binary that is to be measured.
func build(b *testing.B) string {
	b.Helper()
	carepost := filepath.Join(b.TempDir(), "carepost")
	if out, err := exec.Command("go", "build", "-o", carepost, "carepost/cmd/carepost").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return carepost
}

// startGateway runs an installation as one is made for a first trial, until the benchmark ends.
func startGateway(b *testing.B, carepost, dir string) *server {
	b.Helper()
	if out, err := exec.Command(carepost, "init", dir, "--domain", "north.example", "--pilot", "--account", "b").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	log, err := os.Create(dir + ".log")
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(carepost, "serve", "--config", dir)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			b.Fatal(err)
		}
		if _, rest, ok := strings.Cut(string(text), " is ready: mail "); ok {
			at, _, _ := strings.Cut(rest, ",")
			return &server{at: at, dir: dir, pid: cmd.Process.Pid}
		}
	}
	b.Fatal("the gateway did not start")
	return nil
}

// startPostfix runs a Postfix of its own with the settings that it comes with, but for what a fair race wants: nothing to look up, one
// log file, no pause while the queue manager catches up (in_flow_delay), and discard(8) behind the queue.
func startPostfix(b *testing.B) *server {
	b.Helper()
	dir, err := os.MkdirTemp("", "carepost-postfix") // unlike that of b.TempDir, other users can get into it
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	at := freePort(b)
	_, port, _ := net.SplitHostPort(at)
	for name, content := range map[string]string{
		"etc/main.cf": fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = discard:taken
in_flow_delay = 0
alias_maps =
alias_database =
`, dir),
		"etc/master.cf": "127.0.0.1:" + port + ` inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for _, sub := range []string{".", "queue", "data"} {
		path := filepath.Join(dir, sub)
		os.Mkdir(path, 0o755)
		if err := os.Chmod(path, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			b.Fatalf("%s %v: %v %s %s", name, args, err, out, log)
		}
	}
	run("chown", "postfix", filepath.Join(dir, "data"))
	run("postfix", "-c", filepath.Join(dir, "etc"), "start")
	b.Cleanup(func() { exec.Command("postfix", "-c", filepath.Join(dir, "etc"), "stop").Run() })
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", at); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			b.Fatal("Postfix did not start")
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "queue", "pid", "master.pid"))
	if err != nil {
		b.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		b.Fatal(err)
	}
	return &server{at: at, dir: dir, pid: pid}
}

// freePort is one that was free a moment ago, and below those that systems give to who asks for any.
func freePort(b *testing.B) string {
	b.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	b.Fatal("no free port")
	return ""
}
