package trial_test

import (
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/config"
	"carepost/resolver/resolvertest"
	"carepost/trust/certtest"
)

// office is a practice of another domain that has an ordinary mail program and knows S/MIME alone (PS3.15 B.8): a mail server that takes
// whatever comes, and a person with a key.
type office struct {
	desk      addr.Address
	dir       string
	authority *certtest.CA
	own       certtest.Pair // of desk
	partner   *practice
	theirs    string // PEM: the certificate of the partner's desk
	mx        string // of the partner
	came      chan string
}

// newOffice makes p know the office by a rule and a pinned certificate, as docs/mail-programs.md has it, and the office p's. p does not run yet.
func newOffice(t *testing.T, p *practice) *office {
	t.Helper()
	o := &office{desk: addr.Address{Endpoint: "desk", Domain: "praxis.example"}, dir: t.TempDir(), partner: p, came: make(chan string, 10)}
	o.authority = certtest.NewCA(t, "Authority of the practice", certtest.From(time.Now().Add(-time.Hour)), certtest.Until(time.Now().Add(24*time.Hour)))
	o.own = o.authority.Issue(t, o.desk.String(), certtest.Key(certtest.RSA(t)), certtest.From(time.Now().Add(-time.Hour)), certtest.Until(time.Now().Add(24*time.Hour)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go o.serve(l)
	card := config.Card{Domain: o.desk.Domain, SMTP: l.Addr().String(), DNS: resolvertest.Start(t).Addr, Anchor: o.authority.Certificate}
	path := filepath.Join(o.dir, "card.toml")
	if err := os.WriteFile(path, []byte(strings.Replace(card.Text(), "http = \"\"\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "", "partner", "add", path, "--config", p.dir)
	p.run(t, "", "trust", "pin", o.desk.String(), certtest.WriteCertificates(t, o.dir, "desk.pem", o.own.Certificate), "--vouched", "the practice by telephone", "--config", p.dir)
	p.append(t, "[[rule]]\nwith = [\"praxis.example\"]\nform = \"smime\"\n")
	p.run(t, "", "cert", "issue", p.desk.String(), "--config", p.dir)
	for line := range strings.Lines(p.run(t, "", "cert", "list", "--config", p.dir)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == p.desk.String() {
			o.theirs = filepath.Join(o.dir, "partner.pem")
			p.run(t, "", "cert", "export", f[0], "--output", o.theirs, "--config", p.dir)
		}
	}
	c, err := config.Load(filepath.Join(p.dir, config.Name))
	if err != nil || o.theirs == "" {
		t.Fatalf("%v, certificate %q", err, o.theirs)
	}
	o.mx = c.Listen.MX
	return o
}

// append adds to the configuration.
func (p *practice) append(t *testing.T, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, config.Name), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "\n"+text); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
}

// serve is the mail server of the office (RFC 5321 §4.5.1, the least that there is). What comes is handed on with LF.
func (o *office) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			wire := textproto.NewConn(c)
			say := func(text string) { wire.PrintfLine("%s", text) }
			for say("220 mx.praxis.example"); ; {
				line, err := wire.ReadLine()
				if err != nil {
					return
				}
				switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); verb {
				case "DATA":
					say("354 go on")
					text, err := io.ReadAll(wire.DotReader())
					if err != nil {
						return
					}
					o.came <- string(text)
					say("250 taken")
				case "QUIT":
					say("221 bye")
					return
				default:
					say("250 mx.praxis.example")
				}
			}
		}()
	}
}

// mbox waits for a message and lays it into a mailbox file (RFC 4155).
func (o *office) mbox(t *testing.T) (path string) {
	t.Helper()
	select {
	case text := <-o.came:
		path = filepath.Join(t.TempDir(), "inbox")
		if err := os.WriteFile(path, []byte("From stieglitzpost@north.example Thu Jan  1 00:00:00 2026\n"+strings.ReplaceAll(text, "\nFrom ", "\n>From ")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatalf("nothing comes to the office\n%s", o.partner.lastWords())
	}
	return path
}
