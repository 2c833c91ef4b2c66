// Package dovecottest runs a Dovecot of a test's own on loopback: IMAP4 and POP3 for mailboxes in a temporary directory, and the socket at
// which Postfix asks whether a password is right.
package dovecottest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/smtp/smtptest"
)

// Server is a Dovecot that runs until its test ends. It knows the users that it was given, and their passwords.
type Server struct {
	IMAP, IMAPS, POP3, POP3S string         // host:port; the first of each by STARTTLS
	Auth                     string         // socket of the SASL service
	Roots                    *x509.CertPool // vouch for its certificate, which is for 127.0.0.1
	CA                       string         // the same as a PEM file

	dir  string
	tick int
}

// Start runs a Dovecot for users and their passwords.
func Start(t testing.TB, users map[string]string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "carepost-dovecot") // its sockets want a short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{dir: dir, Auth: filepath.Join(dir, "auth"), CA: filepath.Join(dir, "cert.pem"), IMAP: port(t), IMAPS: port(t), POP3: port(t), POP3S: port(t)}
	s.certify(t)
	var list strings.Builder
	for name, password := range users {
		fmt.Fprintf(&list, "%s:{PLAIN}%s::::%s\n", name, password, filepath.Join(dir, "mail", name))
		s.write(t, filepath.Join("mail", name, "Maildir", "new", ".keep"), "")
	}
	s.write(t, "users", list.String())
	s.write(t, "dovecot.conf", s.config(t))
	for _, open := range []string{dir, filepath.Join(dir, "mail")} {
		if out, err := exec.Command("chmod", "-R", "a+rwX", open).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var said bytes.Buffer
	cmd := exec.Command("dovecot", "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("Dovecot is wanted (scripts/peers): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Dovecot: %s%s", said.String(), log)
		}
	})
	for _, at := range []string{s.IMAP, s.IMAPS, s.POP3, s.POP3S} {
		s.await(t, at)
	}
	return s
}

// await waits until it listens.
func (s *Server) await(t testing.TB, at string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if conn, err := net.Dial("tcp", at); err == nil {
			conn.Close()
			return
		}
		<-time.After(10 * time.Millisecond) // another process: there is nothing to wait on
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	t.Fatalf("Dovecot does not listen at %s: %s", at, log)
}

// port is one that was free a moment ago, below those that systems give to who asks for any.
func port(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

func (s *Server) certify(t testing.TB) {
	cert, roots, err := smtptest.Certificate("mail.provider.example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s.Roots = roots
	s.write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	s.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

func (s *Server) write(t testing.TB, name, text string) {
	t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) config(t testing.TB) string {
	us, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	name := us.Username
	if os.Geteuid() == 0 {
		name = "nobody" // it keeps no mail of root's
	}
	who, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	portOf := func(at string) string { return at[strings.LastIndex(at, ":")+1:] }
	return fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
listen = 127.0.0.1
protocols = imap pop3
default_internal_user = %[2]s
default_login_user = %[2]s
default_internal_group = %[3]s
mail_uid = %[2]s
mail_gid = %[3]s
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%%h/Maildir
ssl = required
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
auth_failure_delay = 0
auth_mechanisms = plain login scram-sha-256
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
service anvil { 
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %[4]s
  }
  inet_listener imaps {
    port = %[5]s
    ssl = yes
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %[6]s
  }
  inet_listener pop3s {
    port = %[7]s
    ssl = yes
  }
}
service stats {
  chroot =
}
service auth {
  unix_listener %[1]s/auth {
    mode = 0666
  }
}
`, s.dir, name, groupOf(t, who), portOf(s.IMAP), portOf(s.IMAPS), portOf(s.POP3), portOf(s.POP3S))
}

func groupOf(t testing.TB, u *user.User) string {
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return g.Name
}

// Put lays a mail into the mailbox of a user.
func (s *Server) Put(t testing.TB, user, mail string) {
	t.Helper()
	s.tick++
	s.write(t, filepath.Join("mail", user, "Maildir", "new", fmt.Sprintf("%d.%d.host", time.Now().UnixNano(), s.tick)), mail)
}

// Count says how many mails are in the mailbox of a user.
func (s *Server) Count(t testing.TB, user string) (n int) {
	t.Helper()
	for _, sub := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(s.dir, "mail", user, "Maildir", sub))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.Name()[0] != '.' {
				n++
			}
		}
	}
	return n
}

// Renew has the mailbox of a user begin anew, with other UIDs and another UIDVALIDITY; its mails stay.
func (s *Server) Renew(t testing.TB, user string) {
	t.Helper()
	dir := filepath.Join(s.dir, "mail", user, "Maildir")
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if name := e.Name(); strings.HasPrefix(name, "dovecot") {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.tick++
	// Else Dovecot would take the time of day, and twice within a second the same.
	s.write(t, filepath.Join("mail", user, "Maildir", "dovecot-uidlist"), fmt.Sprintf("3 V%d N100\n", 1_000_000_000+s.tick))
	if out, err := exec.Command("chmod", "-R", "a+rwX", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
