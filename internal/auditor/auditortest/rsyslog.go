// Package auditortest runs the audit repository that tests tell something: rsyslog, by TLS, for clients with a certificate.
package auditortest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carepost/trust/certtest"
)

// Names in the certificates.
const (
	ServerName = "arr.north.example"
	ClientName = "mx.north.example"
)

// Rsyslog is a server that is told things. It lives until the test ends.
type Rsyslog struct {
	At                      string // host:port
	CA, Certificate, Key    string // PEM files: the authority of both, and what a client shows
	StrangerCert, StrangerK string // of an authority that the server does not know

	tb      testing.TB
	dir     string
	process *exec.Cmd
}

// Start runs rsyslog.
func Start(tb testing.TB) *Rsyslog {
	tb.Helper()
	dir := tb.TempDir()
	ca := certtest.NewCA(tb, "Authority of an audit repository")
	r := &Rsyslog{tb: tb, dir: dir, CA: certtest.WriteCertificates(tb, dir, "ca.pem", ca.Certificate)}
	server, key := pair(tb, dir, "server", ca.Issue(tb, ServerName, forTLS))
	r.Certificate, r.Key = pair(tb, dir, "client", ca.Issue(tb, ClientName, forTLS))
	r.StrangerCert, r.StrangerK = pair(tb, dir, "stranger", certtest.NewCA(tb, "Somebody").Issue(tb, ClientName, forTLS))
	for tries := 0; ; tries++ {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		r.At = free.Addr().String()
		free.Close()
		r.configure(server, key)
		trouble := r.run()
		if trouble == "" {
			break
		}
		if tries == 3 { // else somebody may have been faster at the port
			tb.Fatalf("rsyslogd does not run (scripts/peers installs it, with rsyslog-gnutls):\n%s", trouble)
		}
	}
	tb.Cleanup(r.Kill)
	return r
}

// forTLS has a certificate serve both ends of a connection.
func forTLS(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

func pair(tb testing.TB, dir, name string, p certtest.Pair) (cert, key string) {
	return certtest.WriteCertificates(tb, dir, name+".pem", p.Certificate), certtest.WriteKey(tb, dir, name+".key", p.Key)
}

// configure writes what an operator would: docs/operation.md shows the same.
func (r *Rsyslog) configure(cert, key string) {
	_, port, _ := net.SplitHostPort(r.At)
	conf := fmt.Sprintf(`global(workDirectory=%[1]q maxMessageSize="64k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile=%[2]q
  defaultNetstreamDriverCertFile=%[3]q defaultNetstreamDriverKeyFile=%[4]q)
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name" permittedPeer=[%[5]q])
template(name="whole" type="string" string="%%rawmsg%%\n")
input(type="imtcp" address="127.0.0.1" port=%[6]q)
action(type="omfile" file="%[1]s/audit.log" template="whole")
`, r.dir, r.CA, cert, key, ClientName, port)
	if err := os.WriteFile(r.path("rsyslog.conf"), []byte(conf), 0o600); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *Rsyslog) path(name string) string { return filepath.Join(r.dir, name) }

// run starts the process and waits until it listens, or says why it does not.
func (r *Rsyslog) run() (trouble string) {
	cmd := exec.Command("rsyslogd", "-n", "-f", r.path("rsyslog.conf"), "-i", r.path("pid"))
	out, err := os.OpenFile(r.path("out"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	r.process = cmd
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", r.At); err == nil {
			c.Close()
			return ""
		}
	}
	r.Kill()
	said, _ := os.ReadFile(r.path("out"))
	return string(said)
}

// Restart runs it again after Kill or Stop, at the same place.
func (r *Rsyslog) Restart() {
	r.tb.Helper()
	os.Remove(r.path("pid"))
	if trouble := r.run(); trouble != "" {
		r.tb.Fatal(trouble)
	}
}

// Kill ends it as a power cut does.
func (r *Rsyslog) Kill() { r.end(syscall.SIGKILL) }

// Stop ends it as its operator does.
func (r *Rsyslog) Stop() { r.end(syscall.SIGTERM) }

func (r *Rsyslog) end(s syscall.Signal) {
	if r.process != nil {
		_ = r.process.Process.Signal(s)
		_ = r.process.Wait()
		r.process = nil
	}
}

// TLS is how a client connects.
func (r *Rsyslog) TLS() (*tls.Config, error) { return r.as(r.Certificate, r.Key) }

// Stranger is how a client connects that the server does not know.
func (r *Rsyslog) Stranger() (*tls.Config, error) { return r.as(r.StrangerCert, r.StrangerK) }

func (r *Rsyslog) as(cert, key string) (*tls.Config, error) {
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: ServerName}
	c.RootCAs.AppendCertsFromPEM(pem)
	own, err := tls.LoadX509KeyPair(cert, key)
	c.Certificates = []tls.Certificate{own}
	return c, err
}

// Messages are what it has written, in order, each without its line end.
func (r *Rsyslog) Messages() []string {
	text, err := os.ReadFile(r.path("audit.log"))
	if err != nil && !os.IsNotExist(err) {
		r.tb.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(bytes.TrimSuffix(text, []byte("\n")))) {
		if strings.HasPrefix(line, "<85>1 ") { // not rsyslog's own
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

// Said is what it has written on its standard outputs.
func (r *Rsyslog) Said() string {
	text, _ := os.ReadFile(r.path("out"))
	return string(text)
}
