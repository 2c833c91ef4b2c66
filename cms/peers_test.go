package cms

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// p12 writes certificate and key of p as PKCS #12, with the password "x".
func (p person) p12(t testing.TB, dir string) string {
	t.Helper()
	cert, key := p.files(t, dir)
	out := cert + ".p12"
	run(t, "openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-out", out, "-passout", "pass:x",
		"-name", p.cert.Subject.CommonName, "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")
	return out
}

// gpgsm makes a home for GnuPG with alice and bob in it, and the CA trusted.
func gpgsm(t *testing.T) (do func(args ...string) []byte) {
	t.Helper()
	c := people()
	home, err := os.MkdirTemp("", "gpg") // a socket's name must be short
	check(t, err)
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	fpr := sha1.Sum(c.ca.cert.Raw)
	write(t, home, "trustlist.txt", []byte(fmt.Sprintf("%X S relax\n", fpr)))
	write(t, home, "gpgsm.conf", []byte("disable-crl-checks\nbatch\n"))
	write(t, home, "gpg-agent.conf", []byte("allow-loopback-pinentry\n"))
	try := func(args ...string) ([]byte, error) {
		t.Helper()
		cmd := exec.Command("gpgsm", append([]string{"--homedir", home, "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--yes"}, args...)...)
		cmd.Stdin = bytes.NewReader([]byte("x\n"))
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("gpgsm %v: %w\n%s", args, err, &log)
		}
		return out.Bytes(), nil
	}
	do = func(args ...string) []byte {
		t.Helper()
		out, err := try(args...)
		check(t, err)
		return out
	}
	ca, _ := c.ca.files(t, home)
	do("--import", ca)
	for _, p := range []person{c.alice, c.bob} {
		// gpgsm 2.2.40 misreads one PKCS #12 file in a hundred, by its random salt: a fresh one is another chance.
		for range 4 {
			if _, err = try("--import", p.p12(t, home)); err == nil {
				break
			}
		}
		check(t, err)
	}
	return do
}

// DIR-12, DIR-15, DIR-19 with libksba: segments, signatures and definite forms of its own kind.
func TestGpgsm(t *testing.T) {
	do, dir, c := gpgsm(t), t.TempDir(), people()
	text := content(200_000)
	in := write(t, dir, "content", text)

	if got := do("--decrypt", write(t, dir, "m.der", seal(t, text, AES256CBC, c.bob.cert))); !bytes.Equal(got, text) {
		t.Error("gpgsm decrypts something else")
	}
	for _, alg := range []string{"AES128", "AES256"} {
		got, err := unseal(do("--cipher-algo", alg, "--encrypt", "--recipient", "<bob@clinic.example>", in), c.bob.recipient())
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("from gpgsm, %s: %v", alg, err)
		}
	}
	p7s, err := SignDetached(sums(text), nil, c.alice.signer())
	check(t, err)
	do("--verify", write(t, dir, "s.der", p7s), in)
	check(t, verify(do("--detach-sign", "--local-user", "<alice@clinic.example>", in), sum(text)))
}

// DIR-12, DIR-15, DIR-19 with NSS, which is what Thunderbird runs.
func TestNSS(t *testing.T) {
	dir, c := t.TempDir(), people()
	db := "sql:" + dir
	run(t, "certutil", "-N", "-d", db, "--empty-password")
	ca, _ := c.ca.files(t, dir)
	run(t, "certutil", "-A", "-d", db, "-n", "ca", "-t", "C,C,C", "-i", ca)
	for _, p := range []person{c.alice, c.bob} {
		run(t, "pk12util", "-d", db, "-i", p.p12(t, dir), "-W", "x")
	}
	text := content(200_000)
	in, out := write(t, dir, "content", text), filepath.Join(dir, "out")
	cmsutil := func(args ...string) []byte {
		t.Helper()
		run(t, "cmsutil", append(args, "-d", db, "-p", "", "-o", out)...)
		b, err := os.ReadFile(out)
		check(t, err)
		return b
	}
	if got := cmsutil("-D", "-i", write(t, dir, "m.der", seal(t, text, AES128CBC, c.bob.cert))); !bytes.Equal(got, text) {
		t.Error("NSS decrypts something else")
	}
	if got, err := unseal(cmsutil("-E", "-r", "bob@clinic.example", "-i", in), c.bob.recipient()); err != nil || !bytes.Equal(got, text) {
		t.Errorf("from NSS: %v", err)
	}
	for _, p := range []person{c.alice, c.p256} {
		p7s, err := SignDetached(sums(text), nil, p.signer())
		check(t, err)
		sig := write(t, dir, "s.der", p7s)
		cmsutil("-D", "-i", sig, "-c", in)
		other := write(t, dir, "other", text[1:])
		if _, _, err := try("cmsutil", "-D", "-d", db, "-p", "", "-i", sig, "-c", other, "-o", out); err == nil {
			t.Error("NSS would verify anything")
		}
	}
	check(t, verify(cmsutil("-S", "-T", "-N", "alice", "-H", "SHA256", "-i", in), sum(text)))
}
