// Package ldaptest runs real OpenLDAP servers for tests: one slapd in a directory of its own, on the loopback.
package ldaptest

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Server is a running slapd.
type Server struct {
	Address string // host:port
	stop    func()
}

// Start runs a slapd with the given suffixes (naming contexts), empty databases but for these entries, which are one LDIF text each; with
// one suffix a text may have many. It ends with the test.
func Start(tb testing.TB, suffixes []string, ldif ...string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	conf := &strings.Builder{}
	fmt.Fprintf(conf, "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n")
	fmt.Fprintf(conf, "pidfile %[1]s/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nthreads 4\n", dir)
	for i, suffix := range suffixes {
		data := filepath.Join(dir, fmt.Sprint("data", i))
		if err := os.Mkdir(data, 0o700); err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(conf, "database mdb\nmaxsize 67108864\nsuffix %q\ndirectory %s\nindex mail eq\ndbnosync\naccess to * by * read\n", suffix, data)
	}
	file := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	if len(ldif) > 0 {
		add := exec.Command("/usr/sbin/slapadd", "-q", "-f", file)
		for i := range suffixes { // one database each
			add.Args = append(add.Args[:4], "-n", fmt.Sprint(i+1))
			var mine []string
			for _, entry := range ldif {
				if dn, _, _ := strings.Cut(entry, "\n"); len(suffixes) == 1 || strings.HasSuffix(dn, suffixes[i]) {
					mine = append(mine, entry)
				}
			}
			add := exec.Command(add.Path, add.Args[1:]...)
			add.Stdin = strings.NewReader(strings.Join(mine, "\n"))
			if out, err := add.CombinedOutput(); err != nil {
				tb.Fatalf("slapadd: %v\n%s", err, out)
			}
		}
	}
	for tries := 0; ; tries++ {
		s, trouble := run(tb, dir, file)
		if s != nil {
			tb.Cleanup(s.stop)
			return s
		}
		if tries == 3 { // else somebody may have been faster at the port
			tb.Fatalf("slapd does not run:\n%s", trouble)
		}
	}
}

// run starts a slapd, or says why it does not listen.
func run(tb testing.TB, dir, file string) (s *Server, trouble string) {
	tb.Helper()
	s = &Server{Address: Dead(tb)}
	cmd := exec.Command("/usr/sbin/slapd", "-f", file, "-h", "ldap://"+s.Address, "-d", "0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		tb.Fatalf("slapd: %v; make peers installs it", err)
	}
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Kill()
		<-gone
	}
	for end := time.Now().Add(30 * time.Second); ; {
		if _, err := os.Stat(filepath.Join(dir, "pid")); err == nil { // written once it has the port: whoever answers there is it
			if c, err := net.DialTimeout("tcp", s.Address, time.Second); err == nil {
				c.Close()
				return s, ""
			}
		}
		select {
		case <-gone:
			return nil, out.String()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			s.stop()
			return nil, "it does not listen\n" + out.String()
		}
	}
}

// Stop ends the server: its address is dead then.
func (s *Server) Stop() { s.stop() }

// Dead is an address on the loopback where nobody listens.
func Dead(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Root is the LDIF of a suffix's own entry, "ou=x" or "dc=x,dc=y".
func Root(suffix string) string {
	kind, value, _ := strings.Cut(strings.Split(suffix, ",")[0], "=")
	class := map[string]string{"dc": "dcObject\nobjectClass: organization\no: " + value, "ou": "organizationalUnit", "o": "organization"}[kind]
	return fmt.Sprintf("dn: %s\nobjectClass: top\nobjectClass: %s\n%s: %s\n", suffix, class, kind, value)
}

// Entry is the LDIF of an inetOrgPerson below a suffix, with its mail and certificates.
func Entry(suffix, name, mail string, certs ...*x509.Certificate) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: cn=%s,%s\nobjectClass: inetOrgPerson\ncn: %[1]s\nsn: %[1]s\nmail: %[3]s\n", name, suffix, mail)
	for _, c := range certs {
		fmt.Fprintf(&b, "userCertificate;binary:: %s\n", base64.StdEncoding.EncodeToString(c.Raw))
	}
	return b.String()
}
