package trust_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/trust"
	"carepost/trust/certtest"
)

// responder is `openssl ocsp` on loopback, which ends with the test.
func responder(t *testing.T, dir string, args ...string) (url string) {
	t.Helper()
	for range 5 { // a port may be taken meanwhile
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		var out lockedBuffer
		cmd := exec.Command("openssl", append([]string{"ocsp", "-port", fmt.Sprint(port), "-index", filepath.Join(dir, "index.txt")}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() { cmd.Wait(); close(gone) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-gone })
		for {
			if strings.Contains(out.String(), "waiting for OCSP client connections") {
				return fmt.Sprintf("http://127.0.0.1:%d", port)
			}
			select {
			case <-gone:
				t.Logf("openssl ocsp ended: %s", out.String())
			case <-time.After(20 * time.Millisecond):
				continue
			case <-t.Context().Done():
			}
			break
		}
	}
	t.Fatal("openssl ocsp does not run")
	return ""
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// index is the database of `openssl ca`.
func index(t *testing.T, dir string, good, revoked *x509.Certificate) {
	t.Helper()
	text := fmt.Sprintf("V\t490101000000Z\t\t%s\tunknown\t/CN=a\nR\t490101000000Z\t250101000000Z,keyCompromise\t%s\tunknown\t/CN=b\n",
		hexSerial(good), hexSerial(revoked))
	if err := os.WriteFile(filepath.Join(dir, "index.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func hexSerial(c *x509.Certificate) string {
	s := fmt.Sprintf("%X", c.SerialNumber)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return s
}

// poster posts for real, and remembers what came back; only is a method that alone is let through.
type poster struct {
	*certtest.Server
	last []byte
	only string
}

func (p *poster) Post(ctx context.Context, url, kind string, body []byte, max int64) ([]byte, error) {
	if p.only == http.MethodGet {
		return nil, trust.ErrAbsent
	}
	out, err := p.Server.Post(ctx, url, kind, body, max)
	p.last = out
	return out, err
}

// OpenSSL's responder answers us, with our nonce, as the issuer or as whom the issuer delegated to, by POST and by GET. DIR-33.
func TestOpenSSLResponder(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "R")
	delegate := root.Issue(t, "ocsp.example", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	plain := root.Issue(t, "plain.example")
	ca := certtest.WriteCertificates(t, dir, "ca.pem", root.Certificate)
	signer := func(name string, p certtest.Pair) []string {
		return []string{"-CA", ca, "-rsigner", certtest.WriteCertificates(t, dir, name+".pem", p.Certificate), "-rkey", certtest.WriteKey(t, dir, name+".key", p.Key)}
	}
	good, revoked, unknown := root.Issue(t, "lab@h.example"), root.Issue(t, "lab@h.example"), root.Issue(t, "lab@h.example")
	index(t, dir, good.Certificate, revoked.Certificate)
	now := time.Now()
	for _, r := range []struct {
		name string
		args []string
		want trust.Status // of the good one
	}{
		{"issuer", append(signer("issuer", root.Pair), "-ndays", "1"), trust.Trusted},
		{"delegated", append(signer("delegated", delegate), "-ndays", "1"), trust.Trusted},
		{"by key", append(signer("bykey", delegate), "-ndays", "1", "-resp_key_id"), trust.Trusted},
		{"without nextUpdate", signer("once", delegate), trust.Trusted},
		{"without its certificate", append(signer("bare", delegate), "-ndays", "1", "-resp_no_certs"), trust.Undecided},
		{"not for OCSP", append(signer("plain", plain), "-ndays", "1"), trust.Undecided},
	} {
		t.Run(r.name, func(t *testing.T) {
			url := responder(t, dir, r.args...)
			p := &poster{Server: certtest.NewServer(t)}
			ask := func(c *x509.Certificate) trust.Verdict {
				pointed := certtest.Edit(func(x *x509.Certificate) { x.SerialNumber, x.OCSPServer = c.SerialNumber, []string{url} })
				return trust.NewJudge(p).Judge(t.Context(), trust.Question{Certificate: root.Issue(t, "lab@h.example", pointed).Certificate, Address: lab,
					Now: now, Anchors: []*x509.Certificate{root.Certificate}})
			}
			if v := ask(good.Certificate); v.Status != r.want {
				t.Errorf("good: %v %s", v.Status, v.Reason)
			}
			if !bytes.Contains(p.last, []byte("\x2b\x06\x01\x05\x05\x07\x30\x01\x02")) { // id-pkix-ocsp-nonce
				t.Error("no nonce came back")
			}
			if r.want != trust.Trusted {
				return
			}
			if v := ask(revoked.Certificate); v.Status != trust.Refused || !strings.Contains(v.Reason, "keyCompromise") {
				t.Errorf("revoked: %v %s", v.Status, v.Reason)
			}
			if v := ask(unknown.Certificate); v.Status != trust.Undecided || !strings.Contains(v.Reason, "does not know it") {
				t.Errorf("unknown: %v %s", v.Status, v.Reason)
			}
			p.only = http.MethodGet
			if v := ask(good.Certificate); v.Status != trust.Trusted {
				t.Errorf("by GET: %v %s", v.Status, v.Reason)
			}
		})
	}
}

// A nonce that is not ours belongs to another question: an old answer is not taken for a new one. DIR-33. ATT-23.
func TestOCSPReplay(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "R")
	leaf := root.Issue(t, "lab@h.example")
	index(t, dir, leaf.Certificate, root.Issue(t, "b@h.example").Certificate)
	url := responder(t, dir, "-CA", certtest.WriteCertificates(t, dir, "ca.pem", root.Certificate), "-ndays", "1",
		"-rsigner", filepath.Join(dir, "ca.pem"), "-rkey", certtest.WriteKey(t, dir, "ca.key", root.Key))
	p := &poster{Server: certtest.NewServer(t)}
	pointed := func(u string) *x509.Certificate {
		return root.Issue(t, "lab@h.example", func(x *x509.Certificate) { x.SerialNumber, x.OCSPServer = leaf.Certificate.SerialNumber, []string{u} }).Certificate
	}
	q := trust.Question{Certificate: pointed(url), Address: lab, Now: time.Now(), Anchors: []*x509.Certificate{root.Certificate}}
	if v := trust.NewJudge(p).Judge(t.Context(), q); v.Status != trust.Trusted {
		t.Fatalf("%v %s", v.Status, v.Reason)
	}
	p.Put("/replay", p.last)
	q.Certificate = pointed(p.URL + "/replay")
	if v := trust.NewJudge(p).Judge(t.Context(), q); v.Status != trust.Undecided || !strings.Contains(v.Reason, "another question") {
		t.Errorf("replayed: %v %s", v.Status, v.Reason)
	}
}

// `openssl ca -gencrl` makes lists that we read. DIR-33.
func TestOpenSSLLists(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "R")
	good, revoked := root.Issue(t, "lab@h.example"), root.Issue(t, "lab@h.example")
	index(t, dir, good.Certificate, revoked.Certificate)
	conf := "[ca]\ndefault_ca=d\n[d]\ndatabase=" + filepath.Join(dir, "index.txt") + "\ncrlnumber=" + filepath.Join(dir, "number") +
		"\ndefault_md=sha256\ndefault_crl_days=1\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\nissuingDistributionPoint=critical,@i\n[i]\nonlyuser=TRUE\n"
	for name, text := range map[string]string{"ca.conf": conf, "number": "07\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "ca", "-config", filepath.Join(dir, "ca.conf"), "-gencrl", "-out", filepath.Join(dir, "list.pem"),
		"-cert", certtest.WriteCertificates(t, dir, "ca.pem", root.Certificate), "-keyfile", certtest.WriteKey(t, dir, "ca.key", root.Key))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "list.pem"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	s := certtest.NewServer(t)
	s.Put("/r.crl", body)
	for _, c := range []struct {
		of   certtest.Pair
		want trust.Status
	}{{good, trust.Trusted}, {revoked, trust.Refused}} {
		leaf := root.Issue(t, "lab@h.example", certtest.Points(nil, []string{s.URL + "/r.crl"}), func(x *x509.Certificate) { x.SerialNumber = c.of.Certificate.SerialNumber })
		v := trust.NewJudge(s).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: time.Now(), Anchors: []*x509.Certificate{root.Certificate}})
		if v.Status != c.want {
			t.Errorf("%v %s", v.Status, v.Reason)
		}
	}
}
