package bench

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"carepost/cms"
	"carepost/trust/certtest"
)

// world is a sender and a recipient below two authorities, all with RSA keys: 3072 bits for the authorities, 2048 for people. None of
// the certificates points to a revocation list, so that nothing is fetched.
type world struct {
	dir              string // their files: NAME.pem, NAME.der, NAME-key.pem, NAME-key.der
	anchor, middle   *certtest.CA
	alice, bob       certtest.Pair
	aliceKey, bobKey *rsa.PrivateKey
}

// newWorld makes one. Remove it by defer: what is to be removed is large, and a panic passes cleanups by.
func newWorld(b *testing.B) *world {
	w := &world{dir: must(os.MkdirTemp("", "bench"))}
	key := func() certtest.Edit { return certtest.Key(must(rsa.GenerateKey(rand.Reader, 3072))) }
	w.anchor = certtest.NewCA(b, "Root", key())
	w.middle = w.anchor.Intermediate(b, "Issuing", key())
	w.alice, w.bob = w.middle.Issue(b, "alice@clinic.example"), w.middle.Issue(b, "bob@lab.example")
	w.aliceKey, w.bobKey = w.alice.Key.(*rsa.PrivateKey), w.bob.Key.(*rsa.PrivateKey)
	for name, p := range map[string]certtest.Pair{"anchor": w.anchor.Pair, "middle": w.middle.Pair, "alice": w.alice, "bob": w.bob} {
		certtest.WriteCertificates(b, w.dir, name+".pem", p.Certificate)
		certtest.WriteKey(b, w.dir, name+"-key.pem", p.Key)
		w.write(name+".der", p.Certificate.Raw)
		w.write(name+"-key.der", must(x509.MarshalPKCS8PrivateKey(p.Key)))
	}
	certtest.WriteCertificates(b, w.dir, "alice-chain.pem", w.alice.Certificate, w.middle.Certificate)
	return w
}

func (w *world) remove() { os.RemoveAll(w.dir) }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name string, data []byte) string {
	check(os.WriteFile(w.path(name), data, 0o600))
	return w.path(name)
}

func (w *world) recipient() cms.Recipient {
	return cms.Recipient{Certificate: w.bob.Certificate, Key: w.bobKey}
}

// wrapping is what goes before a message to make the entity that is signed; package smime does this itself.
const wrapping = "Content-Type: message/rfc822\r\n\r\n"

// message writes one with an attachment of so many octets before base64, which cannot be compressed.
func message(w io.Writer, attached int64) error {
	bw := bufio.NewWriterSize(w, 1<<20)
	fmt.Fprint(bw, "From: alice@clinic.example\r\nTo: bob@lab.example\r\nSubject: Study\r\nDate: Mon, 02 Mar 2026 10:00:00 +0100\r\n"+
		"Message-ID: <1@clinic.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=mixed\r\n\r\n"+
		"--mixed\r\nContent-Type: text/plain\r\n\r\nThe study of this morning.\r\n"+
		"--mixed\r\nContent-Type: application/zip; name=study.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	octets := mathrand.NewChaCha8([32]byte{1})
	raw, line := make([]byte, 57), make([]byte, 78)
	copy(line[76:], "\r\n")
	for ; attached > 0; attached -= int64(len(raw)) {
		raw = raw[:min(attached, 57)]
		octets.Read(raw)
		n := base64.StdEncoding.EncodedLen(len(raw))
		base64.StdEncoding.Encode(line, raw)
		if n < 76 {
			copy(line[n:], "\r\n")
		}
		bw.Write(line[:n+2])
	}
	fmt.Fprint(bw, "--mixed--\r\n")
	return bw.Flush()
}

// messages writes a message, NAME.eml, and the entity made of it, NAME.entity.
func (w *world) messages(name string, attached int64) {
	w.one(w.path(name+".eml"), "", attached)
	w.one(w.path(name+".entity"), wrapping, attached)
}

func (w *world) one(path, before string, attached int64) {
	f := must(os.Create(path))
	must(io.WriteString(f, before))
	check(message(f, attached))
	check(f.Close())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}
