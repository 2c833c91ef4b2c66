package resolvertest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Named runs BIND with these zones, origins and master files, on loopback until the test ends, and returns its host:port.
func Named(tb testing.TB, zones map[string]string) string {
	tb.Helper()
	for tries := 0; ; tries++ {
		at, trouble := named(tb, zones)
		if trouble == "" {
			return at
		}
		if tries == 3 { // else somebody may have been faster at the port
			tb.Fatalf("named does not run:\n%s", trouble)
		}
	}
}

// named starts one, or says why it does not answer.
func named(tb testing.TB, zones map[string]string) (at, trouble string) {
	tb.Helper()
	dir := tb.TempDir()
	port := freePort(tb)
	conf := fmt.Sprintf(`options { directory %[1]q; listen-on port %[2]s { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none;
session-keyfile "%[1]s/session.key"; managed-keys-directory %[1]q; recursion no; notify no; dnssec-validation no; };
controls { };
`, dir, port)
	for origin, text := range zones {
		file := origin + ".zone"
		conf += fmt.Sprintf("zone %q { type primary; file %q; };\n", origin, file)
		write(tb, filepath.Join(dir, file), text)
	}
	write(tb, filepath.Join(dir, "named.conf"), conf)
	cmd := exec.Command("/usr/sbin/named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	log, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("named: %v; make peers installs it", err)
	}
	done := make(chan struct{})
	stop := sync.OnceFunc(func() {
		cmd.Process.Kill()
		<-done
		cmd.Wait()
	})
	tb.Cleanup(stop)
	running := make(chan string, 1)
	go func() {
		defer close(done)
		var seen strings.Builder
		deaf := false
		for lines := bufio.NewScanner(log); lines.Scan(); {
			fmt.Fprintln(&seen, lines.Text())
			deaf = deaf || strings.Contains(lines.Text(), "address in use")
			if strings.HasSuffix(lines.Text(), " running") {
				if deaf { // it runs on, and another answers there
					running <- seen.String()
				} else {
					running <- ""
				}
			}
		}
		select {
		case running <- seen.String():
		default:
		}
	}()
	select {
	case trouble = <-running:
		if trouble != "" {
			stop()
		}
	case <-time.After(60 * time.Second):
		tb.Fatal("named does not come up")
	}
	return net.JoinHostPort("127.0.0.1", port), trouble
}

// freePort is one that nobody has, for UDP and TCP.
func freePort(tb testing.TB) string {
	tb.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			p.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			return port
		}
	}
	tb.Fatal("no port is free for UDP and TCP")
	return ""
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}
