package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/cms"
	"carepost/message"
	"carepost/smime"
	"carepost/trust/certtest"
)

// canary stands in every line of what must not be seen.
const canary = "CANARY-5e7a91"

// nest is where `carepost open` may leave something behind: its draft goes to tmp, which holds nothing else.
type nest struct {
	*post
	tmp  string
	most int64 // the longest draft that was seen on the disk
}

// run opens wire in a process of its own, and looks at every file that it has, named or not, while it reads.
func (n *nest) run(t *testing.T, wire []byte, args ...string) (stdout, stderr []byte, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Args = append([]string{"carepost", "open", "--to", "lab@b.example", "--key", n.key, "--cert", n.cert}, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+n.tmp)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(wire); i += 128 << 10 {
		last := i+128<<10 >= len(wire)
		part := wire[i:min(i+128<<10, len(wire))]
		if last && len(part) > 1 {
			in.Write(part[:len(part)-1])
			part = part[len(part)-1:]
		}
		n.look(t, cmd.Process.Pid)
		if _, err := in.Write(part); err != nil {
			break // it has seen enough
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.Bytes(), errs.Bytes(), cmd.ProcessState.ExitCode()
}

// look searches the files that a process has open below tmp, and all that have a name there.
func (n *nest) look(t *testing.T, pid int) {
	t.Helper()
	var files []string
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, n.tmp) {
			files = append(files, fd)
		}
	}
	filepath.WalkDir(n.tmp, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue // the process has ended
		}
		text, err := io.ReadAll(f)
		f.Close()
		n.most = max(n.most, int64(len(text)))
		if err == nil && bytes.Contains(text, []byte(canary)) {
			t.Errorf("plaintext on the disk, at %d of %d", bytes.Index(text, []byte(canary)), len(text))
		}
	}
}

// refuses wants nothing of the message to be seen anywhere.
func (n *nest) refuses(t *testing.T, wire []byte, args ...string) {
	t.Helper()
	out, errs, code := n.run(t, wire, args...)
	if code == exitDone || code == exitUsage || len(out) > 0 {
		t.Errorf("exit %d, %d bytes come out\n%s", code, len(out), errs)
	}
	if bytes.Contains(errs, []byte(canary)) {
		t.Errorf("plaintext in the report:\n%s", errs)
	}
	if left, err := os.ReadDir(n.tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// rewired changes the decoded octets of a sealed message.
func rewired(t *testing.T, wire []byte, change func(der []byte) []byte) []byte {
	t.Helper()
	at := bytes.Index(wire, []byte("\r\n\r\n")) + 4
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(wire[at:]), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.NewBuffer(bytes.Clone(wire[:at]))
	w := message.NewBase64Writer(b)
	w.Write(change(der))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// turned is rewired with one bit turned, that far from the end.
func turned(t *testing.T, wire []byte, end int) []byte {
	return rewired(t, wire, func(der []byte) []byte { der[len(der)-end] ^= 1; return der })
}

// lettered has another letter of base64 in the middle.
func lettered(b []byte) []byte {
	b = bytes.Clone(b)
	at := len(b) / 2
	for b[at] < 'A' || b[at] > 'Y' {
		at++
	}
	b[at]++
	return b
}

// Not one plaintext byte of a message that is refused in the end is seen: not on the disk while it is read, not on standard output, not in
// the report. ATT-02, ATT-05, ATT-07.
func TestRefusedPlaintextIsNowhere(t *testing.T) {
	n := &nest{post: newPost(t), tmp: t.TempDir()}
	letter := strings.Replace(letterText, "Confidential matter", canary, 1) + strings.Repeat(canary+" "+strings.Repeat("x", 50)+"\r\n", 20_000)
	wrapped := "Content-Type: message/rfc822\r\n\r\n" + letter
	seal := func(c cms.Algorithm, by certtest.Pair, letter string) []byte {
		t.Helper()
		var b bytes.Buffer
		err := smime.Seal(&b, strings.NewReader(letter), smime.SealOptions{Cipher: c, Recipients: []*x509.Certificate{n.recipient.Certificate},
			Signers: []cms.Signer{{Key: by.Key, Certificate: by.Certificate, Time: time.Now()}}})
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good, gcm := seal(cms.AES256CBC, n.sender, letter), seal(cms.AES256GCM, n.sender, letter)
	for name, wire := range map[string][]byte{"CBC": good, "GCM": gcm} {
		n.most = 0
		out, errs, code := n.run(t, wire, "--anchor", n.anchor)
		if code != exitDone || string(out) != letter {
			t.Fatalf("%s: exit %d: %s", name, code, errs)
		}
		if n.most < 1<<20 {
			t.Fatalf("%s: a draft of %d bytes was seen on the disk: nothing is proven", name, n.most)
		}
	}
	listed := certtest.WriteCRL(t, n.dir, "listed.crl", n.a.CRL(t, n.sender.Certificate))
	pointing := n.a.Issue(t, "desk@a.example", certtest.Points(nil, []string{"http://127.0.0.1:1/a.crl"}))
	changed := bytes.Replace(n.signed(wrapped, n.sender), []byte(canary+" xx"), []byte(canary+" xy"), 1)
	lenient := []string{"--policy", "lenient", "--anchor", n.anchor}
	outside := "From: desk@a.example\r\nTo: lab@b.example\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <2@a.example>\r\n"
	bare := func(entity []byte) string { // encrypted, without a message's header
		return string(n.openssl(string(entity), "cms", "-encrypt", "-aes-256-cbc", n.cert))
	}
	for name, c := range map[string]struct {
		wire []byte
		args []string
	}{
		"foreign anchor":         {good, []string{"--anchor", n.ownRoot}},
		"foreign anchor, GCM":    {gcm, []string{"--anchor", n.ownRoot}},
		"revoked":                {good, []string{"--anchor", n.anchor, "--crl", listed}},
		"revocation not known":   {seal(cms.AES256CBC, pointing, letter), []string{"--anchor", n.anchor}},
		"expired":                {good, []string{"--anchor", n.anchor, "--at", "2050-01-01T00:00:00Z"}},
		"another sender":         {good, []string{"--anchor", n.anchor, "--from", "boss@a.example"}},
		"another From":           {seal(cms.AES256GCM, n.sender, strings.Replace(letter, "desk@", "boss@", 1)), []string{"--anchor", n.anchor}},
		"not to us, under v1.3":  {seal(cms.AES256CBC, n.sender, strings.Replace(letter, "lab@", "desk@", 1)), []string{"--anchor", n.anchor, "--policy", "v1.3"}},
		"changed after signing":  {n.encrypted(changed), []string{"--anchor", n.anchor}},
		"certificate left out":   {n.encrypted(n.signed(wrapped, n.sender, "-nocerts")), []string{"--anchor", n.anchor}},
		"SHA-1":                  {n.encrypted(n.signed(wrapped, n.sender, "-md", "sha1")), []string{"--anchor", n.anchor}},
		"not signed":             {n.encrypted([]byte(wrapped)), []string{"--anchor", n.anchor}},
		"not signed, multipart":  {n.encrypted([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + wrapped + "\r\n--b--\r\n")), []string{"--anchor", n.anchor}},
		"opaque signature":       {n.encrypted(n.signed(wrapped, n.sender, "-nodetach")), []string{"--anchor", n.anchor}},
		"three parts":            {n.encrypted(append(bytes.TrimSuffix(bytes.TrimSpace(n.signed(wrapped, n.sender)), []byte("--")), "\r\n\r\nmore\r\n"...)), []string{"--anchor", n.anchor}},
		"broken header inside":   {n.encrypted(n.signed("Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n"+letter, n.sender)), []string{"--anchor", n.anchor}},
		"noise inside":           {n.encrypted([]byte(strings.Repeat(canary+"\x80\x81", 50_000))), []string{"--anchor", n.anchor}},
		"padding":                {turned(t, good, 10+17), []string{"--anchor", n.anchor}},
		"last block":             {turned(t, good, 10+1), []string{"--anchor", n.anchor}},
		"a block in the middle":  {turned(t, good, 700_000), []string{"--anchor", n.anchor}},
		"the first block":        {rewired(t, good, func(der []byte) []byte { der[1000] ^= 1; return der }), []string{"--anchor", n.anchor}},
		"tag":                    {turned(t, gcm, 6+1), []string{"--anchor", n.anchor}},
		"ciphertext under a tag": {turned(t, gcm, 700_000), []string{"--anchor", n.anchor}},
		"bytes after the end":    {rewired(t, gcm, func(der []byte) []byte { return append(der, 0) }), []string{"--anchor", n.anchor}},
		"opaque, changed":        {n.encrypted(lettered(n.signed(wrapped, n.sender, "-nodetach"))), lenient},
		"opaque, of a stranger":  {n.encrypted(n.signed(wrapped, n.sender, "-nodetach")), []string{"--policy", "lenient", "--anchor", n.ownRoot}},
		"signed around, v1.2":    {[]byte(outside + string(n.signed(bare([]byte(wrapped)), n.sender))), []string{"--anchor", n.anchor}},
		"signed around, changed": {lettered([]byte(outside + string(n.signed(bare([]byte(wrapped)), n.sender)))), lenient},
		"triple, outer changed":  {lettered([]byte(outside + string(n.signed(bare(n.signed(wrapped, n.sender)), n.sender)))), lenient},
	} {
		t.Run(name, func(t *testing.T) { n.refuses(t, c.wire, c.args...) })
	}
	t.Run("cut", func(t *testing.T) {
		cuts := 12
		if os.Getenv("CAREPOST_FULL") != "" {
			cuts = 150
		}
		for _, wire := range [][]byte{good, gcm} {
			for i := range cuts {
				n.refuses(t, wire[:len(wire)*(i+1)/(cuts+1)], "--anchor", n.anchor)
			}
			for _, end := range []int{6, 9, 30, 70, 2000} { // the last delimiter, the signature, the trailer
				n.refuses(t, wire[:len(wire)-end], "--anchor", n.anchor)
			}
		}
	})
}
