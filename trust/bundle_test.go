package trust_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/trust"
	"carepost/trust/certtest"
)

// openssl runs it in a folder; it must be there.
func openssl(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func contents(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bundles are made as their givers make them.
type bundles struct {
	dir              string
	anchors          []*x509.Certificate
	signer, stranger certtest.Pair
}

func newBundles(t testing.TB) *bundles {
	b := &bundles{dir: t.TempDir(), signer: certtest.SelfSigned(t, "h.example"), stranger: certtest.SelfSigned(t, "h.example")}
	for _, name := range []string{"One", "Two", "Three"} {
		b.anchors = append(b.anchors, certtest.NewCA(t, name).Certificate)
	}
	certtest.WriteCertificates(t, b.dir, "anchors.pem", b.anchors...)
	for name, p := range map[string]certtest.Pair{"signer": b.signer, "stranger": b.stranger} {
		certtest.WriteCertificates(t, b.dir, name+".pem", p.Certificate)
		certtest.WriteKey(t, b.dir, name+".key", p.Key)
	}
	openssl(t, b.dir, "crl2pkcs7", "-nocrl", "-certfile", "anchors.pem", "-outform", "DER", "-out", "plain.p7b")
	openssl(t, b.dir, "crl2pkcs7", "-nocrl", "-certfile", "anchors.pem", "-out", "plain.pem")
	for _, who := range []string{"signer", "stranger"} {
		openssl(t, b.dir, "cms", "-sign", "-binary", "-nodetach", "-in", "plain.p7b", "-signer", who+".pem", "-inkey", who+".key", "-outform", "DER", "-out", who+".p7m")
	}
	openssl(t, b.dir, "cms", "-sign", "-binary", "-nodetach", "-stream", "-indef", "-nocerts", "-in", "plain.p7b", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "ber.p7m")
	openssl(t, b.dir, "cms", "-sign", "-binary", "-nodetach", "-in", "plain.pem", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "PEM", "-out", "armoured.p7m")
	openssl(t, b.dir, "cms", "-sign", "-binary", "-in", "plain.p7b", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "detached.p7m")
	openssl(t, b.dir, "cms", "-sign", "-binary", "-nodetach", "-in", "signer.p7m", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "twice.p7m")
	openssl(t, b.dir, "cms", "-sign", "-binary", "-nodetach", "-in", "signer.key", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "letter.p7m")
	return b
}

// The forms that bundles come in, made by OpenSSL. DIR-59.
func TestBundle(t *testing.T) {
	b := newBundles(t)
	signed := []*x509.Certificate{b.signer.Certificate}
	now := certtest.NotBefore.AddDate(1, 0, 0)
	tampered := bytes.Replace(contents(t, b.dir, "signer.p7m"), []byte("Two"), []byte("Twq"), 1)
	bare := append(append([]byte{}, b.anchors[0].Raw...), b.anchors[1].Raw...)
	damaged := append(contents(t, b.dir, "anchors.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2, 3}})...)
	for _, c := range []struct {
		name       string
		body       []byte
		signers    []*x509.Certificate
		now        time.Time
		n, broken  int
		signedThen bool
		err        error
	}{
		{name: "plain.p7b", n: 3},
		{name: "plain.pem", n: 3},
		{name: "anchors.pem", n: 3},
		{name: "certificates, one after the other", body: bare, n: 2},
		{name: "one that cannot be read among them", body: damaged, n: 3, broken: 1},
		{name: "signer.p7m", n: 3, signedThen: true},
		{name: "signer.p7m", signers: signed, n: 3, signedThen: true},
		{name: "ber.p7m", signers: signed, n: 3, signedThen: true},
		{name: "armoured.p7m", signers: signed, n: 3, signedThen: true},
		{name: "one of several signers", body: contents(t, b.dir, "signer.p7m"), signers: []*x509.Certificate{b.stranger.Certificate, b.signer.Certificate}, n: 3, signedThen: true},

		{name: "plain.p7b", signers: signed, err: trust.ErrBundleUnsigned},
		{name: "anchors.pem", signers: signed, err: trust.ErrBundleUnsigned},
		{name: "stranger.p7m", signers: signed, err: trust.ErrBundleSigner}, // same name, another key
		{name: "the signer's certificate has ended", body: contents(t, b.dir, "signer.p7m"), signers: signed, now: certtest.NotAfter.AddDate(1, 0, 0), err: trust.ErrBundleSigner},
		{name: "changed", body: tampered, signers: signed, err: trust.ErrBundleSigner},
		{name: "changed, and nobody has to sign it", body: tampered, err: trust.ErrBundleSigner},
		{name: "ber.p7m", err: trust.ErrBundleSigner}, // nothing came with it that its signature could be checked with
		{name: "detached.p7m", signers: signed, err: trust.ErrBundle},
		{name: "detached.p7m", err: trust.ErrBundle},
		{name: "twice.p7m", signers: signed, err: trust.ErrBundle},
		{name: "letter.p7m", signers: signed, err: trust.ErrBundle},
		{name: "nothing", body: []byte{}, err: trust.ErrBundle},
		{name: "a page", body: []byte("<html>404</html>"), err: trust.ErrBundle},
		{name: "cut", body: contents(t, b.dir, "plain.p7b")[:500], err: trust.ErrBundle},
		{name: "signer.key", err: trust.ErrBundle},
		{name: "too large", body: make([]byte, 2<<20+1), err: trust.ErrBundleSize},
	} {
		if c.body == nil {
			c.body = contents(t, b.dir, c.name)
		}
		if c.now.IsZero() {
			c.now = now
		}
		got, err := trust.ParseBundle(c.body, c.signers, c.now)
		if !errors.Is(err, c.err) || len(got.Certificates) != c.n || got.Unreadable != c.broken || (got.Signer != nil) != c.signedThen {
			t.Errorf("%s, %d signers: %d certificates, %d unreadable, signed %v, %v", c.name, len(c.signers), len(got.Certificates), got.Unreadable, got.Signer != nil, err)
		}
		if got.Signer != nil && c.signers != nil && !got.Signer.Equal(b.signer.Certificate) {
			t.Errorf("%s: signed by somebody else", c.name)
		}
	}
}

// An odd anchor stands in a bundle like any other, whatever the form: whether it counts is judged later, by policy.
func TestBundleOfOddAnchors(t *testing.T) {
	dir, ca := t.TempDir(), certtest.NewCA(t, "One")
	der := ca.Odd(t, ca.Certificate, func(t *certtest.TBS) { t.Serial = asn1.RawValue{FullBytes: []byte("\x02\x01\xff")} })
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 finds nothing odd")
	}
	odd := &x509.Certificate{Raw: der}
	certtest.WriteCertificates(t, dir, "anchors.pem", odd, ca.Certificate)
	openssl(t, dir, "crl2pkcs7", "-nocrl", "-certfile", "anchors.pem", "-outform", "DER", "-out", "plain.p7b")
	for name, body := range map[string][]byte{
		"PEM": contents(t, dir, "anchors.pem"), "PKCS #7": contents(t, dir, "plain.p7b"), "one after the other": slices.Concat(der, ca.Certificate.Raw),
	} {
		got, err := trust.ParseBundle(body, nil, certtest.NotBefore)
		if err != nil || len(got.Certificates) != 2 || got.Unreadable != 0 || !slices.ContainsFunc(got.Certificates, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, der) }) {
			t.Errorf("%s: %d certificates, %d unreadable, %v", name, len(got.Certificates), got.Unreadable, err)
		}
	}
}

// Bundles as Bouncy Castle writes them, which gateways in Java use: BER of indefinite length, metadata as the content.
func TestBundleOfBouncyCastle(t *testing.T) {
	b := newBundles(t)
	key, err := x509.MarshalPKCS8PrivateKey(b.signer.Key)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, "signer.p8"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	const classes = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar"
	if out, err := exec.Command("java", "-XX:TieredStopAtLevel=1", "-cp", classes, "testdata/Bundle.java", b.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	signed, now := []*x509.Certificate{b.signer.Certificate}, certtest.NotBefore.AddDate(1, 0, 0)
	for _, c := range []struct {
		name    string
		signers []*x509.Certificate
		said    bool
		err     error
	}{
		{"java.p7b", nil, true, nil},
		{"java-bare.p7b", nil, false, nil},
		{"java.p7m", nil, true, nil},
		{"java.p7m", signed, true, nil},
		{"java.p7b", signed, false, trust.ErrBundleUnsigned},
		{"java.p7m", []*x509.Certificate{b.stranger.Certificate}, false, trust.ErrBundleSigner},
	} {
		body := contents(t, b.dir, c.name)
		if body[1] != 0x80 {
			t.Errorf("%s is in DER", c.name)
		}
		got, err := trust.ParseBundle(body, c.signers, now)
		if !errors.Is(err, c.err) || err == nil && len(got.Certificates) != len(b.anchors) || strings.Contains(got.Metadata, "<Profile>a profile<") != c.said {
			t.Errorf("%s, %d signers: %d certificates, %q, %v", c.name, len(c.signers), len(got.Certificates), got.Metadata, err)
		}
	}
}

// More than any real one has: a thousand and one.
func TestBundleTooMany(t *testing.T) {
	one := certtest.NewCA(t, "One").Certificate
	var text bytes.Buffer
	for range 1001 {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: one.Raw})
	}
	if _, err := trust.ParseBundle(text.Bytes(), nil, certtest.NotBefore); !errors.Is(err, trust.ErrBundleSize) {
		t.Error(err)
	}
	same := bytes.Repeat(one.Raw, 900)
	if got, err := trust.ParseBundle(same, nil, certtest.NotBefore); err != nil || len(got.Certificates) != 1 {
		t.Errorf("the same one again and again: %d, %v", len(got.Certificates), err)
	}
}

// FuzzBundle: whatever stands there, no panic, and nothing is taken for signed that is not.
func FuzzBundle(f *testing.F) {
	b := newBundles(f)
	for _, name := range []string{"plain.p7b", "plain.pem", "signer.p7m", "ber.p7m", "armoured.p7m", "stranger.p7m"} {
		f.Add(contents(f, b.dir, name))
	}
	good := contents(f, b.dir, "plain.p7b")
	f.Fuzz(func(t *testing.T, body []byte) {
		trust.ParseBundle(body, nil, certtest.NotBefore)
		got, err := trust.ParseBundle(body, []*x509.Certificate{b.signer.Certificate}, certtest.NotBefore.AddDate(1, 0, 0))
		if err != nil {
			return
		}
		want, _ := trust.ParseBundle(good, nil, certtest.NotBefore)
		if len(got.Certificates) != len(want.Certificates) {
			t.Errorf("%d certificates that the signer has not signed", len(got.Certificates))
		}
	})
}
