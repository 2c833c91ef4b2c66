package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// now is the clock of the tests.
var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// person is a certificate with its key.
type person struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (p person) signer() Signer {
	return Signer{Key: p.key, Certificate: p.cert, Chain: []*x509.Certificate{people().ca.cert}, Time: now}
}

func (p person) recipient() Recipient {
	return Recipient{Certificate: p.cert, Key: p.key}
}

// cast are the people of the tests: all certified by ca.
type cast struct {
	ca, alice, bob, carol, p256, p384 person // alice, bob and carol have RSA keys
}

// people makes the cast, once.
var people = sync.OnceValue(func() *cast {
	c := new(cast)
	c.ca = certify("ca", rsaKey(), nil)
	c.alice = certify("alice", rsaKey(), &c.ca)
	c.bob = certify("bob", rsaKey(), &c.ca)
	c.carol = certify("carol", rsaKey(), &c.ca)
	c.p256 = certify("p256", ecKey(elliptic.P256()), &c.ca)
	c.p384 = certify("p384", ecKey(elliptic.P384()), &c.ca)
	return c
})

func rsaKey() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func ecKey(c elliptic.Curve) crypto.Signer {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// certify issues a certificate; the issuer nil is the subject itself.
func certify(name string, key crypto.Signer, issuer *person) person {
	id := sha256.Sum256([]byte(name))
	tmpl := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(id[:15]),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Clinic"}},
		EmailAddresses:        []string{name + "@clinic.example"},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true,
		IsCA:                  issuer == nil,
		SubjectKeyId:          id[:20],
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if issuer == nil {
		tmpl.KeyUsage, tmpl.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		issuer = &person{cert: tmpl, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return person{cert: cert, key: key}
}

// files writes certificate and key of p as PEM into dir and returns their names.
func (p person) files(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	check(t, err)
	base := filepath.Join(dir, p.cert.Subject.CommonName)
	check(t, os.WriteFile(base+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}), 0o600))
	check(t, os.WriteFile(base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return base + ".pem", base + ".key"
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write puts b into a file of dir.
func write(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	name = filepath.Join(dir, name)
	check(t, os.WriteFile(name, b, 0o600))
	return name
}

// run runs an installed peer, which must be there and must succeed.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	out, log, err := try(name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, log)
	}
	return out
}

func try(name string, args ...string) (stdout, stderr []byte, err error) {
	var out, log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.Bytes(), log.Bytes(), err
}

// seal encrypts content as a whole.
func seal(t testing.TB, content []byte, c Algorithm, to ...*x509.Certificate) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewEnvelopedWriter(&b, Encryption{Cipher: c}, to...)
	check(t, err)
	_, err = w.Write(content)
	check(t, err)
	check(t, w.Close())
	return b.Bytes()
}

// unseal decrypts a message as a whole.
func unseal(msg []byte, keys ...Recipient) ([]byte, error) {
	_, r, err := ReadEnveloped(bytes.NewReader(msg), keys, ReadOptions{})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// lenient reads what the profile Lenient does.
var lenient = ReadOptions{Algorithms: Lenient.Algorithms()}

// unsealDraft is unseal for a caller that hides what it gets: in one pass, over a source that cannot be read again.
func unsealDraft(msg []byte, keys ...Recipient) ([]byte, error) {
	_, r, err := ReadEnveloped(io.MultiReader(bytes.NewReader(msg)), keys, ReadOptions{Draft: true})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// verify reads a signature and verifies its first signer with the first candidate.
func verify(p7s, digest []byte) error {
	s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{})
	if err != nil {
		return err
	}
	certs := s.Candidates(0)
	if len(certs) == 0 {
		return io.ErrNoProgress
	}
	return s.Verify(0, certs[0], digest)
}

func sum(content []byte) []byte {
	d := sha256.Sum256(content)
	return d[:]
}

// sums has every digest of content that signers may use.
func sums(content []byte) map[crypto.Hash][]byte {
	all := make(map[crypto.Hash][]byte)
	for _, h := range [...]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		d := h.New()
		d.Write(content)
		all[h] = d.Sum(nil)
	}
	return all
}
