package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/message"
	"carepost/trust/certtest"
)

// letterText is the message inside; its subject must not be seen before the verdict.
const letterText = "From: Practice A <desk@a.example>\r\nTo: lab@b.example\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n" +
	"Message-ID: <1@a.example>\r\nSubject: Confidential matter\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n\r\nThe body.\r\n"

// post is two practices with what openssl needs to write from the one to the other.
type post struct {
	testing.TB
	dir                        string
	a, b                       *certtest.CA
	sender, recipient          certtest.Pair
	key, cert, anchor, ownRoot string
}

func newPost(t testing.TB, edits ...certtest.Edit) *post {
	p := &post{TB: t, dir: t.TempDir(), a: certtest.NewCA(t, "Root A"), b: certtest.NewCA(t, "Root B")}
	p.sender, p.recipient = p.a.Issue(t, "desk@a.example", edits...), p.b.Issue(t, "b.example")
	p.key = certtest.WriteKey(t, p.dir, "b.key", p.recipient.Key)
	p.cert = certtest.WriteCertificates(t, p.dir, "b.pem", p.recipient.Certificate)
	p.anchor = certtest.WriteCertificates(t, p.dir, "a-root.pem", p.a.Certificate)
	p.ownRoot = certtest.WriteCertificates(t, p.dir, "b-root.pem", p.b.Certificate)
	return p
}

// sealed is the letter as openssl signs and encrypts it; more are arguments for `openssl cms -sign`.
func (p *post) sealed(letter string, more ...string) []byte {
	p.Helper()
	return p.encrypted(p.signed("Content-Type: message/rfc822\r\n\r\n"+letter, p.sender, more...))
}

func (p *post) signed(entity string, by certtest.Pair, more ...string) []byte {
	p.Helper()
	cert := certtest.WriteCertificates(p, p.dir, "signer.pem", by.Certificate)
	key := certtest.WriteKey(p, p.dir, "signer.key", by.Key)
	args := append([]string{"cms", "-sign", "-md", "sha256", "-crlfeol", "-signer", cert, "-inkey", key}, more...)
	return p.openssl(entity, args...)
}

func (p *post) encrypted(entity []byte) []byte {
	p.Helper()
	return p.openssl(string(entity), "cms", "-encrypt", "-aes-256-cbc", "-from", "desk@a.example", "-to", "lab@b.example", "-subject", "", "-stream", p.cert)
}

func (p *post) openssl(in string, args ...string) []byte {
	p.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = strings.NewReader(in)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		p.Fatalf("openssl %v: %v %s", args, err, complaint.Bytes())
	}
	return out
}

// result of one run of `open`.
type result struct {
	code   int
	stdout string
	stderr string
	openReport
}

// open runs the command with --json; args come after the flags that every run needs, so that they may overrule them.
func (p *post) open(wire []byte, args ...string) result {
	p.Helper()
	cmd := newOpenCmd()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(newRoot().FlagErrorFunc())
	var out, complaint bytes.Buffer
	cmd.SetIn(bytes.NewReader(wire))
	cmd.SetOut(&out)
	cmd.SetErr(&complaint)
	cmd.SetArgs(append([]string{"--to", "lab@b.example", "--key", p.key, "--cert", p.cert, "--json"}, args...))
	err := cmd.ExecuteContext(p.Context())
	r := result{code: exitCode(err), stdout: out.String(), stderr: complaint.String()}
	if complaint.Len() > 0 {
		if err := json.Unmarshal(complaint.Bytes(), &r.openReport); err != nil {
			p.Fatalf("the verdict is no JSON object: %v\n%s", err, complaint.Bytes())
		}
	}
	if r.code != exitDone && r.stdout != "" {
		p.Errorf("plaintext came out with exit code %d", r.code)
	}
	return r
}

func (p *post) want(r result, code int, verdict, clause string) {
	p.Helper()
	if r.code != code || r.Verdict != verdict || r.Clause != clause {
		p.Errorf("exit %d, %s, %s: %s\nwant %d, %s, %s", r.code, r.Verdict, r.Clause, r.Reason, code, verdict, clause)
	}
}

// The whole way with mail that openssl made alone (DIR-12, DIR-14, DIR-15, DIR-34, DIR-38): it is opened, and comes out as it went in.
func TestOpenReadsOpenSSL(t *testing.T) {
	p := newPost(t)
	r := p.open(p.sealed(letterText), "--anchor", p.anchor)
	p.want(r, exitDone, "trusted", "Direct 4.2.3")
	if r.stdout != letterText {
		t.Errorf("got %q", r.stdout)
	}
	if r.Signer != "desk@a.example" || r.Anchor != "CN=Root A" || r.Message == nil || !r.Message.Wrapped || len(r.Checks) < 8 || r.Certificate.Serial != p.sender.Certificate.SerialNumber.Text(16) {
		t.Errorf("%s", r.stderr)
	}
}

func TestOpenRefuses(t *testing.T) {
	p := newPost(t)
	wire := p.sealed(letterText)
	expired := p.a.Issue(t, "desk@a.example", certtest.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	wrapped := func(letter string) string { return "Content-Type: message/rfc822\r\n\r\n" + letter }
	other := certtest.WriteCertificates(t, p.dir, "other.pem", p.b.Issue(t, "else@b.example", certtest.Key(p.recipient.Key)).Certificate)
	for name, c := range map[string]struct {
		wire   []byte
		args   []string
		clause string
	}{
		"foreign anchor":                  {wire, []string{"--anchor", p.ownRoot}, "Direct 4.2.3"},
		"another sender's envelope":       {wire, []string{"--anchor", p.anchor, "--from", "boss@a.example"}, "Direct 4.1.1"},
		"another From":                    {p.sealed(strings.Replace(letterText, "desk@", "boss@", 1)), []string{"--anchor", p.anchor}, "Direct 4.1.1"},
		"two Froms":                       {p.sealed("From: desk@a.example\r\n" + letterText), []string{"--anchor", p.anchor}, "Direct 2.2"},
		"expired":                         {p.encrypted(p.signed(wrapped(letterText), expired)), []string{"--anchor", p.anchor}, "Direct 4 (1)"},
		"self-made certificate":           {p.encrypted(p.signed(wrapped(letterText), certtest.SelfSigned(t, "desk@a.example"))), []string{"--anchor", p.anchor}, "Direct 4.2.3"},
		"certificate left out":            {p.sealed(letterText, "-nocerts"), []string{"--anchor", p.anchor}, "Direct 2.5.2"},
		"opaque signature":                {p.sealed(letterText, "-nodetach"), []string{"--anchor", p.anchor}, "Direct 2.5.1"},
		"changed after signing":           {p.encrypted(bytes.Replace(p.signed(wrapped(letterText), p.sender), []byte("The body"), []byte("The prey"), 1)), []string{"--anchor", p.anchor}, "Direct 4 (2)"},
		"not signed":                      {p.encrypted([]byte(wrapped(letterText))), []string{"--anchor", p.anchor}, "Direct 2.4"},
		"plain mail":                      {[]byte(letterText), []string{"--anchor", p.anchor}, "Direct 2.4"},
		"signed only":                     {append([]byte("From: desk@a.example\nTo: lab@b.example\n"), p.signed(wrapped(letterText), p.sender)...), []string{"--anchor", p.anchor}, "Direct 2.4"},
		"a certificate for somebody else": {wire, []string{"--anchor", p.anchor, "--cert", other}, "Direct 2.4"},
		"not to us, under v1.3":           {p.sealed(strings.Replace(letterText, "lab@", "desk@", 1)), []string{"--anchor", p.anchor, "--policy", "v1.3"}, "Direct v1.3 (envelope)"},
	} {
		t.Run(name, func(t *testing.T) {
			q := *p
			q.TB = t
			r := q.open(c.wire, c.args...)
			q.want(r, exitRefused, "refused", c.clause)
			if strings.Contains(r.stderr, "Confidential") || r.Checks == nil {
				t.Errorf("%s", r.stderr)
			}
		})
	}
}

func TestOpenRevocation(t *testing.T) {
	p := newPost(t, certtest.Points(nil, []string{"http://127.0.0.1:1/a.crl"}))
	wire := p.sealed(letterText)
	p.want(p.open(wire, "--anchor", p.anchor), exitNotNow, "undecided", "Direct 4 (3)")
	p.want(p.open(wire, "--anchor", p.anchor, "--fetch"), exitNotNow, "undecided", "Direct 4 (3)")
	good := certtest.WriteCRL(t, p.dir, "good.crl", p.a.CRL(t))
	p.want(p.open(wire, "--anchor", p.anchor, "--crl", good), exitDone, "trusted", "Direct 4.2.3")
	bad := filepath.Join(p.dir, "bad.crl")
	if err := os.WriteFile(bad, p.a.CRL(t, p.sender.Certificate).Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	p.want(p.open(wire, "--anchor", p.anchor, "--crl", bad), exitRefused, "refused", "Direct 4 (3)")
	// "Was it good on that day?" Before the revocation it was, but this list cannot say so.
	p.want(p.open(wire, "--anchor", p.anchor, "--crl", bad, "--at", "2020-06-01T00:00:00Z"), exitNotNow, "undecided", "Direct 4 (3)")
	p.want(p.open(wire, "--anchor", p.anchor, "--crl", good, "--at", "2050-01-01T00:00:00Z"), exitRefused, "refused", "Direct 4 (1)")
}

// DIR-39: issuers and lists come over the network, if asked.
func TestOpenFetches(t *testing.T) {
	p := newPost(t)
	server := certtest.NewServer(t)
	p.a.Publish(t, server)
	middle := p.a.Intermediate(t, "Middle")
	middle.Publish(t, server)
	p.sender = middle.Issue(t, "a.example")
	wire := p.sealed(letterText)
	allow := strings.TrimPrefix(server.URL, "http://")
	p.want(p.open(wire, "--anchor", p.anchor), exitRefused, "refused", "Direct 4.2.3")
	p.want(p.open(wire, "--anchor", p.anchor, "--fetch"), exitRefused, "refused", "Direct 4.2.2") // the guard: not a public address
	p.want(p.open(wire, "--anchor", p.anchor, "--fetch", "--fetch-allow", allow), exitDone, "trusted", "Direct 4.2.3")
	between := certtest.WriteCertificates(t, p.dir, "middle.pem", middle.Certificate)
	p.want(p.open(wire, "--anchor", p.anchor, "--intermediate", between), exitNotNow, "undecided", "Direct 4 (3)")
	middle.Revoke(t, p.sender.Certificate)
	p.want(p.open(wire, "--anchor", p.anchor, "--fetch", "--fetch-allow", allow), exitRefused, "refused", "Direct 4 (3)")
}

// Cut mail, mail for others, noise: damaged, and nothing comes out.
func TestOpenDamaged(t *testing.T) {
	p := newPost(t)
	wire := p.sealed(letterText)
	header := bytes.Index(wire, []byte("\n\n")) + 2
	body := len(wire) - header
	for _, part := range []int{0, 10, 100, 300, 500, body / 2, body * 9 / 10, body - 100, body - 3} {
		p.want(p.open(wire[:header+part], "--anchor", p.anchor), exitIncomplete, damaged, "RFC 5652 §6")
	}
	flipped := bytes.Clone(wire)
	flipped[header+body*3/4] ^= 1
	if r := p.open(flipped, "--anchor", p.anchor); r.code != exitIncomplete && r.code != exitRefused {
		t.Errorf("a turned bit: exit %d, %s", r.code, r.Reason)
	}
	for _, at := range []int{5, 300, body / 2} {
		noise := bytes.Clone(wire)
		noise[header+at] = '!'
		p.want(p.open(noise, "--anchor", p.anchor), exitIncomplete, damaged, "RFC 5652 §6")
	}
	p.want(p.open(append(bytes.Clone(wire), wire...), "--anchor", p.anchor), exitIncomplete, damaged, "RFC 5652 §6")
	// What of the message is damaged makes no difference: here the outermost octets, and the transfer encoding.
	for reason, text := range map[string]string{"malformed: cut": "MIAGCSqG", "bad transfer encoding": "MIAGCSqG!"} {
		r := p.open(append(bytes.Clone(wire[:header]), text...), "--anchor", p.anchor)
		p.want(r, exitIncomplete, damaged, "RFC 5652 §6")
		if !strings.Contains(r.Reason, reason) || strings.Contains(r.Reason, "multipart") {
			t.Errorf("reason %q", r.Reason)
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger := p.b.Issue(t, "b.example", certtest.Key(key))
	args := []string{"--anchor", p.anchor, "--key", certtest.WriteKey(t, p.dir, "x.key", key),
		"--cert", certtest.WriteCertificates(t, p.dir, "x.pem", stranger.Certificate)}
	p.want(p.open(wire, args...), exitIncomplete, damaged, "RFC 5652 §6")
	// The right certificate's name with another key: it looks like ours, and does not decrypt.
	twin := p.b.Issue(t, "b.example", certtest.Key(key), func(c *x509.Certificate) { c.SerialNumber = p.recipient.Certificate.SerialNumber })
	args[5] = certtest.WriteCertificates(t, p.dir, "x.pem", twin.Certificate)
	p.want(p.open(wire, args...), exitIncomplete, damaged, "RFC 5652 §6")
}

func TestOpenUsage(t *testing.T) {
	p := newPost(t)
	nothing := filepath.Join(p.dir, "nothing")
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no anchor":          {},
		"no such file":       {"--anchor", nothing},
		"a key as anchor":    {"--anchor", p.key},
		"no address":         {"--anchor", p.anchor, "--to", "lab"},
		"no sender":          {"--anchor", p.anchor, "--from", "x y"},
		"no time":            {"--anchor", p.anchor, "--at", "yesterday"},
		"no policy":          {"--anchor", p.anchor, "--policy", "v2"},
		"no CRL":             {"--anchor", p.anchor, "--crl", p.cert},
		"not this key":       {"--anchor", p.anchor, "--cert", p.anchor},
		"a key that can't":   {"--anchor", p.anchor, "--key", certtest.WriteKey(t, p.dir, "ed.key", ed), "--cert", certtest.WriteCertificates(t, p.dir, "ed.pem", p.b.Issue(t, "b.example", certtest.Key(ed)).Certificate)},
		"a certificate only": {"--anchor", p.anchor, "--key", p.cert},
		"an argument":        {"--anchor", p.anchor, "in.eml"},
		"an unknown flag":    {"--anchor", p.anchor, "--trust-all"},
		"a fetch to nowhere": {"--anchor", p.anchor, "--fetch-allow", "localhost"},
	} {
		if r := p.open([]byte(letterText), args...); r.code != exitUsage {
			t.Errorf("%s: exit %d %s", name, r.code, r.stderr)
		}
	}
}

// The verdict for people.
func TestOpenSaysWhy(t *testing.T) {
	p := newPost(t)
	cmd := newOpenCmd()
	var complaint bytes.Buffer
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(bytes.NewReader(p.sealed(letterText)))
	cmd.SetOut(io.Discard)
	cmd.SetErr(&complaint)
	cmd.SetArgs([]string{"--to", "lab@b.example", "--key", p.key, "--cert", p.cert, "--anchor", p.ownRoot})
	if code := exitCode(cmd.ExecuteContext(t.Context())); code != exitRefused {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"refused", "Direct 4.2.3", "desk@a.example", "no path leads", "binding"} {
		if !strings.Contains(complaint.String(), want) {
			t.Errorf("%q is not in\n%s", want, complaint.String())
		}
	}
}

// The draft gives back what was put in, and what is on the disk is not the plaintext.
func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := newSpool()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if names, _ := os.ReadDir(os.Getenv("TMPDIR")); len(names) != 0 {
		t.Errorf("the draft has a name: %v", names)
	}
	plain := bytes.Repeat([]byte("Confidential matter. "), 50_000)
	for rest := plain; len(rest) > 0; {
		n := min(len(rest), 77_777)
		s.Write(rest[:n])
		rest = rest[n:]
	}
	if size, err := s.whole(); err != nil || size != int64(len(plain)) {
		t.Errorf("%v, %d bytes", err, size)
	}
	for _, at := range []int64{0, 1, 15, 16, 17, 300_001, int64(len(plain)) - 5} {
		part := make([]byte, 100)
		if n, _ := s.ReadAt(part, at); n == 0 || !bytes.Equal(part[:n], plain[at:at+int64(n)]) {
			t.Errorf("at %d: %q", at, part[:n])
		}
	}
	var out bytes.Buffer
	if err := s.release(t.Context(), &out); err != nil || !bytes.Equal(out.Bytes(), plain) {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
	disk := make([]byte, len(plain))
	if _, err := s.file.ReadAt(disk, 0); err != nil || bytes.Contains(disk, []byte("matter")) {
		t.Errorf("%v: plaintext on the disk", err)
	}
}

// The letter of these tests is one.
func TestLetter(t *testing.T) {
	if _, err := message.Parse(strings.NewReader(letterText), int64(len(letterText)), message.Limits{}); err != nil {
		t.Fatal(err)
	}
}
