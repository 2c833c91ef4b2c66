package smime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/cms"
)

// person has a key and a certificate under the CA of the test.
type person struct {
	address string
	key     crypto.Signer
	cert    *x509.Certificate
}

func (p person) signer() cms.Signer {
	return cms.Signer{Key: p.key, Certificate: p.cert, Time: time.Now()}
}

func (p person) recipient() cms.Recipient {
	return cms.Recipient{Certificate: p.cert, Key: p.key.(crypto.Decrypter)}
}

// world are the certificates of all tests; making RSA keys takes its time.
type world struct {
	rsaCAKey        *rsa.PrivateKey
	ca              *x509.Certificate
	alice, bob, eve person // RSA
	carol           person // ECDSA
	serial          int64
}

var newWorld = sync.OnceValue(func() *world {
	w := &world{serial: 1}
	w.rsaCAKey = must(rsa.GenerateKey(rand.Reader, 2048))
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA", Organization: []string{"Care"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: []byte{1, 2, 3, 4},
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, w.rsaCAKey.Public(), w.rsaCAKey))
	w.ca = must(x509.ParseCertificate(der))
	w.alice = w.issue("alice@clinic.example", must(rsa.GenerateKey(rand.Reader, 2048)))
	w.bob = w.issue("bob@lab.example", must(rsa.GenerateKey(rand.Reader, 2048)))
	w.eve = w.issue("eve@other.example", must(rsa.GenerateKey(rand.Reader, 2048)))
	w.carol = w.issue("carol@clinic.example", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	return w
})

func (w *world) issue(address string, key crypto.Signer) person {
	w.serial++
	return w.certify(address, key, w.serial)
}

// namesake has another key under p's issuer and serial number.
func (w *world) namesake(p person, key crypto.Signer) person {
	return w.certify(p.address, key, p.cert.SerialNumber.Int64())
}

func (w *world) certify(address string, key crypto.Signer, serial int64) person {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: address, Organization: []string{"Care"}},
		EmailAddresses: []string{address}, SubjectKeyId: []byte{9, 9, byte(serial)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(23 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if _, ec := key.(*ecdsa.PrivateKey); ec {
		tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, w.ca, key.Public(), w.rsaCAKey))
	return person{address, key, must(x509.ParseCertificate(der))}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// files writes what the command lines want: ca.pem, and key and certificate of p.
func (w *world) files(t testing.TB, people ...person) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), pemOf("CERTIFICATE", w.ca.Raw))
	for _, p := range people {
		name, _, _ := strings.Cut(p.address, "@")
		write(t, filepath.Join(dir, name+".pem"), pemOf("CERTIFICATE", p.cert.Raw))
		write(t, filepath.Join(dir, name+".key"), pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p.key))))
	}
	return dir
}

func pemOf(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a peer in dir. A peer that is not installed is a failure.
func run(t testing.TB, dir string, stdin []byte, env []string, name string, args ...string) (stdout, stderr []byte, err error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatalf("the peer %s must be installed: %v", name, err)
	}
	err = cmd.Wait()
	return out.Bytes(), errs.Bytes(), err
}

// ran is run for what must succeed.
func ran(t testing.TB, dir string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	out, errs, err := run(t, dir, stdin, nil, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs)
	}
	return out
}

const letter = "From: Alice <alice@clinic.example>\r\n" +
	"To: Bob <bob@lab.example>\r\n" +
	"Subject: Results of Ms Doe\r\n" +
	"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <one@clinic.example>\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=inner\r\n" +
	"\r\n" +
	"--inner\r\n" +
	"\r\n" +
	"Dear Bob,\r\n" +
	"all is well.\r\n" +
	"--inner\r\n" +
	"Content-Type: application/octet-stream\r\n" +
	"Content-Transfer-Encoding: base64\r\n" +
	"\r\n" +
	"AAECAwQFBgcICQoLDA0ODw==\r\n" +
	"--inner--\r\n"

// seal seals from Alice to Bob.
func seal(t testing.TB, msg string, change ...func(*SealOptions)) []byte {
	t.Helper()
	w := newWorld()
	o := SealOptions{Signers: []cms.Signer{w.alice.signer()}, Recipients: []*x509.Certificate{w.bob.cert}}
	for _, f := range change {
		f(&o)
	}
	var b bytes.Buffer
	if err := Seal(&b, strings.NewReader(msg), o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// open opens with Bob's key.
func openBob(sealed []byte) (string, *Opened, error) {
	var b bytes.Buffer
	o, err := Open(&b, bytes.NewReader(sealed), []cms.Recipient{newWorld().bob.recipient()}, OpenOptions{})
	return b.String(), o, err
}

// envelope encrypts an entity to Bob as it is: what a hostile or clumsy sender would put inside.
func envelope(t testing.TB, entity string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("From: alice@clinic.example\r\nTo: bob@lab.example\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n")
	text := newLines(&b)
	env := must(cms.NewEnvelopedWriter(text, cms.Encryption{Cipher: cms.AES128CBC}, newWorld().bob.cert))
	must(io.WriteString(env, entity))
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	if err := text.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signedBy makes the base64 text of a detached signature over content.
func signedBy(t testing.TB, content string, ss ...cms.Signer) string {
	t.Helper()
	h := crypto.SHA256.New()
	io.WriteString(h, content)
	der, err := cms.SignDetached(map[crypto.Hash][]byte{crypto.SHA256: h.Sum(nil)}, rand.Reader, ss...)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	text := newLines(&b)
	text.Write(der)
	text.Close()
	return b.String()
}
