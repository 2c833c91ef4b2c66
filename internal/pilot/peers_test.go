package pilot_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/pilot"
	"carepost/trust"
)

// bench is a folder with what the authority issued, in files for the peers: ca.pem, ca.crl, org.pem, org.key, server.pem; a text
// with a detached signature by the organisation (text, text.p7s) and sealed for it (text.p7m).
type bench struct {
	*place
	dir string
	now time.Time
	org *x509.Certificate
}

const text = "the knee is better\r\n"

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), now: time.Now()}
	b.place = newPlace(t, b.now)
	row := b.usable(t, b.now)[0]
	b.org = parse(t, row.DER)
	key, err := b.keys.Signer(t.Context(), row.Key)
	check(t, err)
	sum := sha256.Sum256([]byte(text))
	p7s, err := cms.SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum[:]}, rand.Reader, cms.Signer{Key: key, Certificate: b.org, Chain: []*x509.Certificate{b.Anchor()}, Time: b.now})
	check(t, err)
	private, err := b.keys.Export(t.Context(), row.Key)
	check(t, err)
	for name, content := range map[string][]byte{
		"ca.pem": certPEM(b.Anchor()), "org.pem": certPEM(b.org), "server.pem": certPEM(b.server(t)), "org.key": private,
		"text": []byte(text), "text.p7s": p7s, "text.p7m": sealFor(t, text, b.org),
	} {
		check(t, os.WriteFile(filepath.Join(b.dir, name), content, 0o600))
	}
	b.writeCRL(t, b.now)
	b.writeP12(t)
	return b
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func (b *bench) writeCRL(t *testing.T, now time.Time) {
	t.Helper()
	der, err := b.CRL(t.Context(), pilot.Name, now)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(b.dir, "ca.crl"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600))
}

func (b *bench) writeP12(t *testing.T) {
	t.Helper()
	b.run(t, "openssl", "pkcs12", "-export", "-in", "org.pem", "-inkey", "org.key", "-out", "org.p12", "-passout", "pass:x", "-name", "org",
		"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")
}

// try runs a peer in the folder; one that is not installed fails the test. The password of everything is x.
func (b *bench) try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = b.dir, strings.NewReader("x\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("the peer %s must be installed: %v", name, err)
	}
	return out.String(), err
}

func (b *bench) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := b.try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (b *bench) file(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	check(t, err)
	return string(content)
}

// DIR-52, DIR-53 with OpenSSL: what is issued verifies with the list, until it is on it.
func TestOpenSSL(t *testing.T) {
	b := newBench(t)
	verify := []string{"verify", "-x509_strict", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "ca.crl"}
	b.run(t, "openssl", append(verify, "-purpose", "smimesign", "org.pem")...)
	b.run(t, "openssl", append(verify, "-purpose", "smimeencrypt", "org.pem")...)
	b.run(t, "openssl", append(verify, "-purpose", "sslserver", "-verify_hostname", "mx.north.example", "-verify_ip", "127.0.0.1", "server.pem")...)
	b.run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "text.p7s", "-content", "text", "-CAfile", "ca.pem", "-purpose", "smimesign", "-out", "out")
	b.run(t, "openssl", "cms", "-decrypt", "-inform", "DER", "-in", "text.p7m", "-recip", "org.pem", "-inkey", "org.key", "-out", "out")
	if got := b.file(t, "out"); got != text {
		t.Errorf("openssl decrypts %q", got)
	}
	shown := b.run(t, "openssl", "crl", "-in", "ca.crl", "-noout", "-text")
	for _, want := range []string{"X509v3 CRL Number", "X509v3 Authority Key Identifier", "No Revoked Certificates"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the list lacks %q:\n%s", want, shown)
		}
	}

	check(t, b.Revoke(t.Context(), "test", b.org.SerialNumber, pilot.KeyCompromise, b.now))
	b.writeCRL(t, b.now)
	if out, err := b.try(t, "openssl", append(verify, "org.pem")...); err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("a revoked certificate: %v\n%s", err, out)
	}
	b.run(t, "openssl", append(verify, "server.pem")...)
}

// The chain under the authority with GnuPG, which refuses critical extensions that it does not know.
func TestGpgsm(t *testing.T) {
	b := newBench(t)
	home, err := os.MkdirTemp("", "gpg") // a socket's name must be short
	check(t, err)
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	for name, content := range map[string]string{
		"trustlist.txt": fmt.Sprintf("%X S relax\n", sha1.Sum(b.Anchor().Raw)), "gpgsm.conf": "disable-crl-checks\nbatch\n", "gpg-agent.conf": "allow-loopback-pinentry\n",
	} {
		check(t, os.WriteFile(filepath.Join(home, name), []byte(content), 0o600))
	}
	gpgsm := func(args ...string) string {
		t.Helper()
		return b.run(t, "gpgsm", append([]string{"--homedir", home, "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--yes"}, args...)...)
	}
	gpgsm("--import", "ca.pem")
	// gpgsm 2.2.40 misreads one PKCS #12 file in a hundred, by its random salt: a fresh one is another chance.
	for range 4 {
		if _, err := b.try(t, "gpgsm", "--homedir", home, "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--yes", "--import", "org.p12"); err == nil {
			break
		}
		b.writeP12(t)
	}
	gpgsm("--import", "org.p12")
	if out := gpgsm("--verify", "text.p7s", "text"); !strings.Contains(out, "Good signature") {
		t.Errorf("gpgsm --verify:\n%s", out)
	}
	gpgsm("--output", "out", "--decrypt", "text.p7m")
	if got := b.file(t, "out"); got != text {
		t.Errorf("gpgsm decrypts %q", got)
	}
	gpgsm("--output", "from-gpgsm", "--encrypt", "--recipient", "north.example", "text")
	if got := b.opens(t, []byte(b.file(t, "from-gpgsm"))); got != text {
		t.Errorf("from gpgsm: %q", got)
	}
}

// The chain under the authority with NSS, which Thunderbird runs.
func TestNSS(t *testing.T) {
	b := newBench(t)
	b.run(t, "certutil", "-N", "-d", "sql:.", "--empty-password")
	b.run(t, "certutil", "-A", "-d", "sql:.", "-n", "ca", "-t", "C,C,", "-i", "ca.pem")
	b.run(t, "pk12util", "-d", "sql:.", "-K", "", "-W", "x", "-i", "org.p12")
	for _, usage := range []string{"S", "R"} { // signer, recipient of mail
		b.run(t, "certutil", "-V", "-d", "sql:.", "-n", "org", "-u", usage, "-e")
	}
	b.run(t, "certutil", "-A", "-d", "sql:.", "-n", "server", "-t", ",,", "-i", "server.pem")
	b.run(t, "certutil", "-V", "-d", "sql:.", "-n", "server", "-u", "V", "-e")
	b.run(t, "cmsutil", "-D", "-d", "sql:.", "-p", "", "-i", "text.p7s", "-c", "text", "-o", "out")
	b.run(t, "cmsutil", "-D", "-d", "sql:.", "-p", "", "-i", "text.p7m", "-o", "out")
	if got := b.file(t, "out"); got != text {
		t.Errorf("cmsutil decrypts %q", got)
	}
}

// DIR-40, DIR-52, DIR-60 with our own judge: an address of the domain is trusted by its anchor and the responder pointed to, or the list where that is silent; one of another
// domain is not, nor is a revoked certificate.
func TestJudged(t *testing.T) {
	b := newBench(t)
	judge := func(domain addr.Domain) trust.Verdict {
		w := &host{place: b.place, now: time.Now()}
		v := trust.NewJudge(w).Judge(t.Context(), trust.Question{Certificate: b.org, Address: addr.Address{Endpoint: "desk", Domain: domain},
			Anchors: []*x509.Certificate{b.Anchor()}, Use: trust.Encryption, Now: w.now})
		if v.Status == trust.Trusted && (len(w.fetched) != 1 || !strings.HasPrefix("/"+w.fetched[0], pilot.OCSPPath+"/")) {
			t.Errorf("fetched %q", w.fetched)
		}
		return v
	}
	if v := judge("north.example"); v.Status != trust.Trusted || v.Binding != trust.OrgBound {
		t.Errorf("%+v", v)
	}
	if v := judge("south.example"); v.Status != trust.Refused {
		t.Errorf("another domain: %+v", v)
	}
	silent := &host{place: b.place, now: time.Now(), silent: true}
	if v := trust.NewJudge(silent).Judge(t.Context(), trust.Question{Certificate: b.org, Address: addr.Address{Endpoint: "desk", Domain: "north.example"},
		Anchors: []*x509.Certificate{b.Anchor()}, Use: trust.Encryption, Now: silent.now}); v.Status != trust.Trusted || !slices.Contains(silent.fetched, pilot.Name+".crl") {
		t.Errorf("without a responder: %+v, fetched %q", v, silent.fetched)
	}
	check(t, b.Revoke(t.Context(), "test", big.NewInt(1), pilot.KeyCompromise, b.now)) // somebody else's
	if v := judge("north.example"); v.Status != trust.Trusted {
		t.Errorf("another was revoked: %+v", v)
	}
	check(t, b.Revoke(t.Context(), "test", b.org.SerialNumber, pilot.KeyCompromise, b.now))
	if v := judge("north.example"); v.Status != trust.Refused || !strings.Contains(v.Reason, "revoked") {
		t.Errorf("revoked: %+v", v)
	}
}
