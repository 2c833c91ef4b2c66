package trial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/internal/admind"
	"carepost/internal/config"
	"carepost/trust/certtest"
)

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
		read func(t *testing.T, box string) (shown, study string) // a file with what a reader sees, and one that holds the study
		send func(t *testing.T, subject, text, attached string)
	}{
		"s-nail": {
			func(t *testing.T, box string) (string, string) {
				said := o.snail(t, "verify 1\ndecrypt 1 plain\n", "-#", "-f", box)
				if !strings.Contains(said, "verified successfully") { // signature, path, and the address in From
					t.Errorf("s-nail says %s", said)
				}
				mailbox, err := os.ReadFile(filepath.Join(o.dir, "plain"))
				_, letter, _ := strings.Cut(string(mailbox), "\n") // the line of the mailbox file
				path := filepath.Join(o.dir, "opened.eml")
				if err := errors.Join(err, os.WriteFile(path, []byte(letter), 0o600)); err != nil {
					t.Fatal(err)
				}
				return path, path
			},
			func(t *testing.T, subject, text, attached string) {
				o.snail(t, text, "-#", "-s", subject, "-a", attached, north.desk.String())
			},
		},
		"mutt": {
			func(t *testing.T, box string) (string, string) {
				dir := t.TempDir()
				o.mutt(t, "set delete=no pipe_decode=yes\npush \"<display-message><pipe-message>cat >"+dir+"/text<enter>"+
					"<view-attachments><last-entry><previous-entry><save-entry><kill-line>"+dir+"/DICOM.ZIP<enter><exit><exit><quit>\"\n", "-f", box)
				return filepath.Join(dir, "text"), filepath.Join(dir, "DICOM.ZIP")
			},
			func(t *testing.T, subject, text, attached string) {
				body := filepath.Join(t.TempDir(), "body")
				if err := os.WriteFile(body, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				o.mutt(t, "", "-s", subject, "-i", body, "-a", attached, "--", north.desk.String())
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			north.run(t, "", "send", "--config", north.dir, "--from", north.desk.String(), "--to", o.desk.String(), "--subject", canarySubject, "--text", "The "+canaryBody+" sings.",
				"--json", "--wait", patience.String(), images)
			shown, study := program.read(t, o.mbox(t))
			text, err := os.ReadFile(shown)
			if err != nil || !strings.Contains(string(text), "Subject: DICOM-ZIP "+canarySubject+"\n") || !strings.Contains(string(text), "\nThe "+canaryBody+" sings.") {
				t.Errorf("%s shows (%v)\n%.3000s", name, err, text)
			}
			unpacked := filepath.Join(t.TempDir(), "unpacked")
			north.run(t, "", "dicom", "unpack", study, "-d", unpacked)
			same(t, images, unpacked)

			subject := "phantom by " + name
			program.send(t, subject, "The "+canaryBody+" sings.\n", archive)
			var found admind.Mail
			until(t, func() bool {
				for _, m := range north.mails(north.desk) {
					if m.Subject == subject {
						found = m
					}
				}
				return found.UID != 0
			}, func() string { return fmt.Sprintf("%q to arrive\n%s", subject, north.lastWords()) })
			judged := north.run(t, "", "mail", "show", north.desk.String(), fmt.Sprint(found.UID), "--config", north.dir)
			if !strings.Contains(judged, "Direct 4.2.3") || !strings.Contains(judged, "\nCOMPLETE") || !strings.Contains(judged, "The "+canaryBody+" sings.") {
				t.Errorf("what %s has sent is shown as\n%s", name, judged)
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

// mutt runs mutt as the office has it set up, with its S/MIME of openssl. It needs a terminal: script gives it one, and what it asks there is
// answered as a person would.
func (o *office) mutt(t *testing.T, more string, args ...string) {
	t.Helper()
	smime, err := os.ReadFile("/usr/share/doc/mutt/examples/smime.rc")
	if err != nil {
		t.Fatal(err)
	}
	card, err := config.LoadCard(filepath.Join(o.partner.dir, config.CardName))
	if err != nil {
		t.Fatal(err)
	}
	keys, certs := filepath.Join(o.dir, "keys"), filepath.Join(o.dir, "certificates")
	err = errors.Join(os.MkdirAll(keys, 0o700), os.MkdirAll(certs, 0o700))
	certtest.WriteKey(t, keys, "desk.0", o.own.Key)
	certtest.WriteCertificates(t, certs, "desk.0", o.own.Certificate)
	// The names of files and people, as smime_keys(1) lists them.
	index := o.desk.String() + " desk.0 desk ? t\n" + o.partner.desk.String() + " partner.0 partner ? t\n"
	rc, anchor := filepath.Join(o.dir, "muttrc"), certtest.WriteCertificates(t, o.dir, "ca.pem", card.Anchor)
	err = errors.Join(err, copyOver(o.theirs, filepath.Join(certs, "partner.0")), os.WriteFile(filepath.Join(keys, ".index"), []byte(index), 0o600),
		os.WriteFile(filepath.Join(certs, ".index"), []byte(index), 0o600),
		os.WriteFile(rc, fmt.Appendf(nil, "%s\nset crypt_use_gpgme=no smime_is_default=yes crypt_autosign=yes crypt_autoencrypt=yes\n"+
			"set smime_keys=%s smime_certificates=%s smime_ca_location=%s smime_default_key=desk.0\n"+
			"set folder=%s from=%s realname=\"The practice\" use_from=yes use_envelope_from=yes hostname=praxis.example copy=no smtp_url=smtp://%s\n"+
			"set ssl_starttls=yes ssl_force_tls=yes ssl_ca_certificates_file=%q certificate_file=%q ssl_verify_host=yes\n"+
			"set editor=true abort_unmodified=no autoedit=yes edit_headers=yes\n"+
			"set wait_key=no quit=yes mark_old=no confirmcreate=no confirmappend=no charset=utf-8 send_charset=utf-8\n%s",
			smime, keys, certs, anchor, o.dir, o.desk, o.mx, anchor, anchor, more), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	line := "mutt -n -F " + rc
	for _, a := range args {
		line += " '" + a + "'"
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel() // ends sit as well
	cmd := exec.CommandContext(ctx, "script", "-qec", line, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "HOME="+o.dir)
	cmd.WaitDelay = time.Second
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	p := &person{keyboard: keyboard, answers: map[string]string{"S/MIME passphrase:": "\r", "Mutt: Compose": "y"}}
	cmd.Stdout, cmd.Stderr = p, p
	go p.sit(ctx)
	if err := cmd.Run(); err != nil {
		t.Fatalf("mutt: %v: %q", err, p.text())
	}
}

// person answers what was asked last on a screen that has come to rest, and again if nothing comes of it: a program throws away what is typed
// while it draws.
type person struct {
	mu       sync.Mutex
	screen   strings.Builder
	keyboard io.Writer
	answers  map[string]string
}

func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.Write(b)
}

func (p *person) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

func (p *person) sit(ctx context.Context) {
	look := time.NewTicker(300 * time.Millisecond)
	defer look.Stop()
	for before := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		text := p.text()
		rest := len(text) == before
		before = len(text)
		at, key := -1, ""
		for asked, answer := range p.answers {
			if i := strings.LastIndex(text, asked); i > at {
				at, key = i, answer
			}
		}
		if rest && at >= 0 {
			io.WriteString(p.keyboard, key)
		}
	}
}

// copyOver copies a small file over another.
func copyOver(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
