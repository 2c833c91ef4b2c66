package trial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
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

// snail runs s-nail as the office has it set up.
func (o *office) snail(t *testing.T, input string, args ...string) string {
	t.Helper()
	pair := filepath.Join(o.dir, "desk.pair")
	key, err := os.ReadFile(certtest.WriteKey(t, o.dir, "desk.key", o.own.Key))
	cert, err2 := os.ReadFile(certtest.WriteCertificates(t, o.dir, "desk.pem", o.own.Certificate))
	if err := errors.Join(err, err2, os.WriteFile(pair, append(key, cert...), 0o600)); err != nil {
		t.Fatal(err)
	}
	card, err := config.LoadCard(filepath.Join(o.partner.dir, config.CardName))
	if err != nil {
		t.Fatal(err)
	}
	set := []string{"v15-compat", "from=" + o.desk.String(), "mta=smtp://" + o.mx, "smtp-auth=none", "hostname=praxis.example", "sendwait",
		"smime-ca-file=" + certtest.WriteCertificates(t, o.dir, "ca.pem", card.Anchor), "smime-ca-no-defaults",
		"smime-sign", "smime-sign-cert=" + pair, "smime-force-encryption", "smime-cipher=aes256", "smime-sign-digest=SHA256",
		"smime-encrypt-" + o.partner.desk.String() + "=" + o.theirs, "ttycharset=utf-8", "quiet"}
	all := []string{"-:/"}
	for _, s := range set {
		all = append(all, "-S", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "s-nail", append(all, args...)...)
	cmd.Dir, cmd.Stdin = o.dir, strings.NewReader(input)
	cmd.Env = append(os.Environ(), "HOME="+o.dir, "LC_ALL=C.UTF-8", "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("s-nail %q: %v\n%s%s", args, err, out, o.partner.lastWords())
	}
	return string(out)
}

// An office program that knows S/MIME alone reads the study that it is sent, and sends one that is COMPLETE; on our side nothing but a rule
// and its certificate is needed. DCM-19, DCM-23, PS3.15 B.8.
func TestOfficePrograms(t *testing.T) {
	t.Parallel()
	north, _ := pair(t, binary(t, ""))
	o := newOffice(t, north)
	north.start(t)
	images, err := filepath.Abs(filepath.Join("..", "demo", "study", "files"))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "DICOM.ZIP")
	if err := os.WriteFile(archive, smallStudy(t, north.binary), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]struct {
		read func(box string) (plain string)
		send func(subject, text, attached string)
	}{
		"s-nail": {
			func(box string) string {
				said := o.snail(t, "verify 1\ndecrypt 1 plain\n", "-#", "-f", box)
				if !strings.Contains(said, "verified successfully") { // signature, path, and the address in From
					t.Errorf("s-nail says %s", said)
				}
				return filepath.Join(o.dir, "plain")
			},
			func(subject, text, attached string) {
				o.snail(t, text, "-#", "-s", subject, "-a", attached, north.desk.String())
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			north.run(t, "", "send", "--config", north.dir, "--from", north.desk.String(), "--to", o.desk.String(), "--subject", canarySubject, "--text", "The "+canaryBody+" sings: K\u00e4fig.",
				"--json", "--wait", patience.String(), images)
			plain, err := os.ReadFile(program.read(o.mbox(t)))
			if err != nil {
				t.Fatal(err)
			}
			_, letter, _ := strings.Cut(string(plain), "\n") // the line of the mailbox file
			opened := filepath.Join(t.TempDir(), "opened.eml")
			if err := os.WriteFile(opened, []byte(letter), 0o600); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(letter, "Subject: DICOM-ZIP "+canarySubject+"\n") || !strings.Contains(letter, "The "+canaryBody+" sings") {
				t.Errorf("%s shows\n%.3000s", name, letter)
			}
			unpacked := filepath.Join(t.TempDir(), "unpacked")
			north.run(t, "", "dicom", "unpack", opened, "-d", unpacked)
			same(t, images, unpacked)

			subject := "phantom by " + name
			program.send(subject, "The "+canaryBody+" sings.\n", archive)
			var found admind.Mail
			until(t, func() bool {
				for _, m := range north.mails(north.desk) {
					if m.Subject == subject {
						found = m
					}
				}
				return found.UID != 0
			}, func() string { return fmt.Sprintf("%q to arrive\n%s", subject, north.lastWords()) })
			shown := north.run(t, "", "mail", "show", north.desk.String(), fmt.Sprint(found.UID), "--config", north.dir)
			if !strings.Contains(shown, "Direct 4.2.3") || !strings.Contains(shown, "\nCOMPLETE") || !strings.Contains(shown, "The "+canaryBody+" sings.") {
				t.Errorf("what %s has sent is shown as\n%s", name, shown)
			}
			saved := filepath.Join(t.TempDir(), "saved")
			north.run(t, "", "mail", "save", north.desk.String(), fmt.Sprint(found.UID), saved, "--study", "--config", north.dir)
			same(t, images, saved)
		})
	}
}

// same finds every file of one folder in another, by what they hold.
func same(t *testing.T, images, in string) {
	t.Helper()
	have := contents(t, in)
	for text := range contents(t, images) {
		if !have[text] {
			t.Errorf("an image of %d bytes is not there", len(text))
		}
	}
}
