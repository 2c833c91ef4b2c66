package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carepost/message"
)

// peeping reads a message and, at its end, while the draft is still open, what lies in files without names under dir.
type peeping struct {
	r    io.Reader
	dir  string
	seen [][]byte
}

func (p *peeping) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err == io.EOF {
		open, _ := filepath.Glob("/proc/self/fd/*")
		for _, fd := range open {
			if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, p.dir) {
				content, _ := os.ReadFile(fd)
				p.seen = append(p.seen, content)
			}
		}
	}
	return n, err
}

// ATT-02, ATT-05, ATT-07: not an octet of a message that is refused in the end comes to standard output or lies on the disk, neither
// while it is being judged nor afterwards, however much of it was decrypted before.
func TestRefusedPlaintextIsNowhere(t *testing.T) {
	p := newPost(t)
	const canary = "CANARY-51c9"
	letter := letterText + strings.Repeat(canary+" in the body\r\n", 60_000)
	good := p.sealed(letter)
	head, body, _ := bytes.Cut(good, []byte("\n\n"))
	der, err := io.ReadAll(message.NewBase64Reader(bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	altered := func(at int) []byte {
		d := bytes.Clone(der)
		d[at] ^= 1
		return recoded(head, d)
	}
	signed := p.signed("Content-Type: message/rfc822\r\n\r\n"+letter, p.sender)
	drafts := 0
	for name, c := range map[string]struct {
		wire   []byte
		anchor string
	}{
		"trusted by nobody":    {good, p.ownRoot},
		"the last block":       {altered(len(der) - 12), p.anchor},
		"the padding":          {altered(len(der) - 12 - 16), p.anchor},
		"a block in the midst": {altered(len(der) / 2), p.anchor},
		"cut":                  {recoded(head, der[:len(der)-30]), p.anchor},
		"changed, then sealed": {p.encrypted(bytes.Replace(signed, []byte("in the body"), []byte("in the soul"), 1)), p.anchor},
		"not signed":           {p.encrypted([]byte("Content-Type: text/plain\r\n\r\n" + letter)), p.anchor},
		"a third part":         {p.encrypted(bytes.Replace(signed, []byte("\n------"), []byte("\n------x\n\n------"), 2)), p.anchor},
	} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		cmd := newOpenCmd()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		var out, complaint bytes.Buffer
		in := &peeping{r: bytes.NewReader(c.wire), dir: dir}
		cmd.SetIn(in)
		cmd.SetOut(&out)
		cmd.SetErr(&complaint)
		cmd.SetArgs([]string{"--to", "lab@b.example", "--key", p.key, "--cert", p.cert, "--anchor", c.anchor})
		if err := cmd.ExecuteContext(t.Context()); exitCode(err) == exitDone || out.Len() > 0 {
			t.Errorf("%s: %v, %d octets came out", name, err, out.Len())
		}
		if strings.Contains(complaint.String(), canary) {
			t.Errorf("%s: told in the verdict", name)
		}
		if slices.ContainsFunc(in.seen, func(b []byte) bool { return len(b) > 200_000 }) {
			drafts++ // the message is read ahead of what is written, so not every time
		}
		for _, b := range in.seen {
			if bytes.Contains(b, []byte(canary)) {
				t.Errorf("%s: the draft is in the clear", name)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %d files are left", name, len(left))
		}
	}
	if drafts == 0 {
		t.Error("no draft was seen")
	}
}

// recoded puts other octets into a sealed message.
func recoded(head, der []byte) []byte {
	var b bytes.Buffer
	b.Write(head)
	b.WriteString("\n\n")
	w := message.NewBase64Writer(&b)
	w.Write(der)
	w.Close()
	return b.Bytes()
}
