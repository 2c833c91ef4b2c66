package dcdt

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/resolver"
)

// patience is how long a server may take until it answers.
const patience = 30 * time.Second

func program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: make peers installs it", name)
	}
	return path
}

// deadPort is one where nobody listens: it stays bound, without listening, so that nobody else gets it.
func deadPort(t testing.TB) int {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	port := p.LocalAddr().(*net.UDPAddr).Port
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		c.Close()
		return deadPort(t)
	}
	return port
}

// freePort is one that was free for UDP and TCP a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // held until the end of the search: the next round gets another
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			p.Close()
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no port is free for UDP and TCP")
	return 0
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run starts a server that ends with the test, and returns when it takes connections at its port.
func run(t testing.TB, port int, cmd *exec.Cmd) {
	t.Helper()
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(&seen, io.LimitReader(bufio.NewReader(log), 1<<20))
		io.Copy(io.Discard, log)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		cmd.Wait()
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			return
		}
		select {
		case <-done:
			t.Fatalf("%s does not run:\n%s", cmd.Path, &seen)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", cmd.Path)
		}
	}
}

// startNamed runs BIND with one zone and returns its host:port.
func startNamed(t testing.TB, origin, zone string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	write(t, dir, "zone", zone)
	conf := write(t, dir, "named.conf", fmt.Sprintf(`options { directory %[1]q; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none;
session-keyfile "%[1]s/session.key"; managed-keys-directory %[1]q; recursion no; notify no; dnssec-validation no; };
controls { };
zone %[3]q { type primary; file "zone"; };
`, dir, port, origin))
	run(t, port, exec.Command(program(t, "named"), "-g", "-n", "1", "-c", conf))
	server := fmt.Sprintf("127.0.0.1:%d", port)
	c := &resolver.Client{Servers: []string{server}}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // it listens before it has read its zone
		if _, err := c.Addrs(t.Context(), "ns."+origin); err == nil {
			return server
		} else if time.Now().After(end) {
			t.Fatalf("named does not serve the zone: %v", err)
		}
	}
}

// startSlapd runs OpenLDAP with the entries of an LDIF text below ou=dcdt and returns its port.
func startSlapd(t testing.TB, ldif string) int {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := write(t, dir, "slapd.conf", fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
argsfile %[1]s/args
database mdb
suffix "ou=dcdt"
directory %[1]s/db
index mail eq
access to * by * read
`, dir))
	add := exec.Command(program(t, "slapadd"), "-f", conf, "-l", write(t, dir, "entries.ldif", ldif))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	// -d 0 keeps it in the foreground, ours to end.
	run(t, port, exec.Command(program(t, "slapd"), "-f", conf, "-h", fmt.Sprintf("ldap://127.0.0.1:%d", port), "-d", "0"))
	return port
}

// certs is a slice of its arguments.
func certs(c ...*x509.Certificate) []*x509.Certificate { return c }
