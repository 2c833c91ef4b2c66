package drop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/internal/mailbox"
)

// A mail program reads what was laid down: mutt lists it, decodes it and marks it as seen. It needs a terminal: script gives it one.
func TestMutt(t *testing.T) {
	h := newHouse(t)
	h.deliver(header + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nZmlyc3QgbGluZQpzZWNvbmQgbGluZSB3aXRoIMOcCg==\r\n")
	h.must(h.run(h.claim(mailbox.Maildir)))
	dir := t.TempDir()
	out, rc := filepath.Join(dir, "out"), filepath.Join(dir, "muttrc")
	h.must(os.WriteFile(rc, []byte("set folder="+dir+"\nset wait_key=no\nset quit=yes\nset pipe_decode=yes\nset charset=utf-8\n"+
		"push \"<pipe-message>cat >"+out+"<enter><quit>\"\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), "script", "-qec", "mutt -n -F "+rc+" -f '"+h.drops.Maildir+"'", "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "HOME="+dir)
	keyboard, err := cmd.StdinPipe() // stays open: an end of it is an end of mutt
	h.must(err)
	defer keyboard.Close()
	var screen strings.Builder
	cmd.Stdout = &screen
	var complaints strings.Builder
	cmd.Stderr = &complaints
	h.must(cmd.Start())
	if err := cmd.Wait(); err != nil {
		t.Fatalf("mutt: %v: %s", err, complaints.String())
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v; the screen: %q", err, screen.String())
	}
	for _, want := range []string{"Subject: the results of May\n", "first line\n", "second line with Ü\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("mutt shows no %q:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), "\r") {
		t.Error("mutt shows carriage returns")
	}
	names := h.files(h.drops.Maildir)
	if len(names) != 1 || !strings.HasPrefix(names[0], "cur") || !strings.Contains(names[0], ":2,") {
		t.Fatalf("after mutt: %v", names)
	}
}
