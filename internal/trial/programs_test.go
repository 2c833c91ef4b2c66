package trial_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/config"
	"carepost/internal/transit"
)

// post is one way for a person at an installation to send mail, with a DICOM.ZIP or a folder of DICOM files attached, or with none.
type post func(t *testing.T, p *practice, to addr.Address, subject, text, attached string)

// Two installations exchange letters and studies by `carepost send`, by swaks and by mutt; each arrives once, is answered, is laid into the
// folders of its recipient, and reads there as it was sent. DIR-46, DCM-23, DCM-28.
func TestMailPrograms(t *testing.T) {
	t.Parallel()
	north, south := pair(t, binary(t, ""))
	home := map[*practice]string{}
	for _, p := range []*practice{north, south} {
		home[p] = filepath.Join(filepath.Dir(p.dir), "home-"+p.domain.String())
		p.run(t, "", "account", "drop", p.desk.String(), "--maildir", filepath.Join(home[p], "Maildir"), "--studies", filepath.Join(home[p], "studies"), "--config", p.dir)
		p.start(t)
	}
	images, err := filepath.Abs(filepath.Join("..", "demo", "study", "files"))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "DICOM.ZIP")
	if err := os.WriteFile(archive, smallStudy(t, north.binary), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range []struct {
		name     string
		send     post
		from, to *practice
		study    string
	}{
		{"carepost", bySend, north, south, images},
		{"swaks", bySwaks, north, south, archive},
		{"mutt", byMutt, south, north, archive},
	} {
		for _, attached := range []string{"", c.study} {
			what := "letter"
			if attached != "" {
				what = "study"
			}
			t.Run(c.name+" "+what, func(t *testing.T) {
				n++
				before := folders(t, filepath.Join(home[c.to], "studies"))
				subject := fmt.Sprintf("DICOM-ZIP %s %d", canarySubject, n)
				c.send(t, c.from, c.to.desk, subject, "The "+canaryBody+" sings: K\u00e4fig.\n", attached)
				m := arrival(t, c.to, subject)
				if attached != "" {
					whole(t, c.to, m, images, filepath.Join(home[c.to], "studies"), before)
				}
				rest(t, north, south)
				if reports := c.from.mails(c.from.desk); slices.ContainsFunc(reports, func(m admind.Mail) bool { return strings.Contains(m.Subject, "Not delivered") }) {
					t.Errorf("the sender is told of a failure: %+v", reports)
				}
				readByMutt(t, filepath.Join(home[c.to], "Maildir"), subject, canaryBody, "K\u00e4fig")
			})
		}
	}
	newLookout().silent(t, north, south)
}

// arrival waits for the mail of that subject, and for its notice to be on its way.
func arrival(t *testing.T, p *practice, subject string) (found admind.Mail) {
	t.Helper()
	until(t, func() bool {
		n := 0
		for _, m := range p.mails(p.desk) {
			if m.Subject == subject {
				found = m
				n++
			}
		}
		if n > 1 {
			t.Fatalf("%d copies of %q", n, subject)
		}
		state := ""
		p.ask(func(ctx context.Context, c *admind.Client) error {
			l, err := c.Message(ctx, found.Message)
			if err == nil {
				state = l.Recipients[0].State
			}
			return err
		})
		return n == 1 && state == string(transit.Settled)
	}, func() string { return fmt.Sprintf("%q to arrive\n%s", subject, p.lastWords()) })
	return found
}

// folders of studies that are there; hidden ones are not finished.
func folders(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

// whole compares a study that arrived with the one that was sent, as it is saved and as it was laid into the folder of studies, beside those
// that were there before.
func whole(t *testing.T, p *practice, m admind.Mail, images, studies string, before []string) {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "saved")
	p.run(t, "", "mail", "save", p.desk.String(), fmt.Sprint(m.UID), saved, "--study", "--config", p.dir)
	var fresh []string
	until(t, func() bool {
		fresh = slices.DeleteFunc(folders(t, studies), func(name string) bool { return slices.Contains(before, name) })
		return len(fresh) == 1
	}, func() string {
		return fmt.Sprintf("one more study in its folder; there are %v\n%s", fresh, p.lastWords())
	})
	have, laid := contents(t, saved), contents(t, fresh[0])
	for text := range contents(t, images) {
		if !have[text] || !laid[text] {
			t.Errorf("an image of %d bytes: saved %v, laid into the folder %v", len(text), have[text], laid[text])
		}
	}
}

// contents are the files below a folder, by what they hold.
func contents(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[string(text)] = true
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

func bySend(t *testing.T, p *practice, to addr.Address, subject, text, attached string) {
	args := []string{"send", "--config", p.dir, "--from", p.desk.String(), "--to", to.String(), "--subject", subject, "--text", text, "--json", "--wait", patience.String()}
	if attached != "" {
		args = append(args, attached)
	}
	var said any
	if out := p.run(t, "", args...); json.Unmarshal([]byte(out), &said) != nil || !strings.Contains(out, string(transit.Processed)) {
		t.Errorf("send says %s", out)
	}
}

func bySwaks(t *testing.T, p *practice, to addr.Address, subject, text, attached string) {
	s := p.submission(t)
	host, port, _ := strings.Cut(s.at, ":")
	args := []string{"--server", host, "--port", port, "--ehlo", "desk.example", "--from", p.desk.String(), "--to", to.String(),
		"--tls", "--tls-verify", "--tls-ca-path", s.anchor, "--auth", "PLAIN", "--auth-user", p.desk.String(), "--auth-password", password,
		"--header", "Subject: " + subject}
	if attached == "" {
		args = append(args, "--add-header", "MIME-Version: 1.0", "--add-header", "Content-Type: text/plain; charset=utf-8", "--body", text)
	} else {
		args = append(args, "--attach-type", "text/plain; charset=utf-8", "--attach-body", text,
			"--attach-type", "application/zip", "--attach-name", "DICOM.ZIP", "--attach", "@"+attached)
	}
	out, err := exec.CommandContext(t.Context(), "swaks", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "250 2.0.0 Taken as ") {
		t.Fatalf("swaks: %v\n%.4000s", err, out)
	}
}

func byMutt(t *testing.T, p *practice, to addr.Address, subject, text, attached string) {
	s := p.submission(t)
	dir := t.TempDir()
	rc := fmt.Sprintf("set from=%s\nset use_envelope_from=yes\nset realname=\"The desk\"\nset copy=no\nset send_charset=utf-8\nset charset=utf-8\n"+
		"set smtp_url=\"smtp://%s@%s\"\nset smtp_pass=%q\nset smtp_authenticators=plain\nset ssl_starttls=yes\nset ssl_force_tls=yes\n"+
		"set ssl_usesystemcerts=no\nset ssl_ca_certificates_file=%q\nset certificate_file=%q\nset ssl_verify_host=yes\nset hostname=desk.example\n",
		p.desk, strings.ReplaceAll(p.desk.String(), "@", "%40"), s.at, password, s.anchor, s.anchor)
	args := []string{"-n", "-F", filepath.Join(dir, "muttrc"), "-s", subject}
	if attached != "" {
		args = append(args, "-a", attached)
	}
	if err := os.WriteFile(args[2], []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "mutt", append(args, "--", to.String())...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "TERM=xterm")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mutt: %v\n%s%s", err, out, p.lastWords())
	}
}

// submission is where mail programs of an installation submit, and the certificate by which they know it.
func (p *practice) submission(t *testing.T) (s struct{ at, anchor string }) {
	t.Helper()
	c, err := config.Load(filepath.Join(p.dir, config.Name))
	if err != nil {
		t.Fatal(err)
	}
	s.at = c.Listen.Submission
	card, err := config.LoadCard(filepath.Join(p.dir, config.CardName))
	if err != nil {
		t.Fatal(err)
	}
	s.anchor = filepath.Join(t.TempDir(), "anchor.pem")
	if err := os.WriteFile(s.anchor, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: card.Anchor.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// readByMutt has mutt show the mail of that subject from a Maildir, as its reader sees it. It needs a terminal: script gives it one.
func readByMutt(t *testing.T, maildir, subject string, want ...string) {
	t.Helper()
	dir := t.TempDir()
	out, rc := filepath.Join(dir, "out"), filepath.Join(dir, "muttrc")
	commands := fmt.Sprintf("set folder=%s\nset wait_key=no\nset quit=yes\nset pipe_decode=yes\nset charset=utf-8\nset mark_old=no\n"+
		"push \"<limit>~s '%s$'<enter><pipe-message>cat >%s<enter><quit>\"\n", dir, subject, out)
	if err := os.WriteFile(rc, []byte(commands), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "script", "-qec", "mutt -n -F "+rc+" -f '"+maildir+"'", "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "HOME="+dir)
	cmd.WaitDelay = time.Second
	keyboard, err := cmd.StdinPipe() // stays open: an end of it is an end of mutt
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	var screen strings.Builder
	cmd.Stdout, cmd.Stderr = &screen, &screen
	if err := cmd.Run(); err != nil {
		t.Fatalf("mutt: %v: %q", err, screen.String())
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v; the screen: %q", err, screen.String())
	}
	for _, w := range append(want, "Subject: "+subject+"\n") {
		if !strings.Contains(string(text), w) {
			t.Errorf("mutt shows no %q:\n%.2000s", w, text)
		}
	}
}
