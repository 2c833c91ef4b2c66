package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/message"
)

// fixed is the recipient of testdata: recipient.pem has its key (of this test alone) and certificate, entity the signed letter,
// sealed.eml the same encrypted. They stay, so that what the fuzzer finds goes on meaning the same.
func fixed(t testing.TB) cms.Recipient {
	t.Helper()
	var r cms.Recipient
	rest := must(os.ReadFile("testdata/recipient.pem"))
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return r
		}
		switch block.Type {
		case "PRIVATE KEY":
			r.Key = must(x509.ParsePKCS8PrivateKey(block.Bytes)).(crypto.Decrypter)
		case "CERTIFICATE":
			r.Certificate = must(x509.ParseCertificate(block.Bytes))
		}
	}
}

// heap is how much memory was ever asked for, nearly.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// check opens in, as Direct does and with every form that is read: no panic, no endless loop, no more than 64 MB of memory for a megabyte,
// and with a good signature nothing but the letter, line ends apart. What Direct reads is read the same with more forms.
func check(t *testing.T, r cms.Recipient, in []byte) {
	t.Helper()
	limits := message.Limits{HeaderBytes: 1 << 16}
	strict, err := checked(t, r, in, OpenOptions{Message: limits})
	lenient, err2 := checked(t, r, in, OpenOptions{Message: limits, Forms: LenientForms, Algorithms: cms.Lenient.Algorithms()})
	if err == nil && inner(strict) {
		return // all forms open it further, or find that they cannot
	}
	if err == nil && (err2 != nil || lenient.Form == 0 && strict.Size != lenient.Size || len(strict.Good()) > len(lenient.Good())) {
		t.Fatalf("Direct reads it, and with all forms: %v", err2)
	}
	if strict == nil && lenient != nil && lenient.Form == 0 || strict != nil && (strict.Form != 0 || strict.OuterSignatures != nil) {
		t.Fatal("Direct knows no forms")
	}
}

// inner says that what was opened is S/MIME itself: a signed part that is compressed, say, which Direct hands on as it is.
func inner(o *Opened) bool {
	ct, _ := o.Header.ContentType()
	return ct.Subtype == "pkcs7-mime" || ct.Subtype == "x-pkcs7-mime"
}

func checked(t *testing.T, r cms.Recipient, in []byte, options OpenOptions) (o *Opened, err error) {
	t.Helper()
	var b bytes.Buffer
	before := heap()
	o, err = Open(&b, bytes.NewReader(in), []cms.Recipient{r}, options)
	if mem := heap() - before; len(in) <= 1<<20 && mem > 64<<20 {
		t.Fatalf("%d MB of memory for %d octets", mem>>20, len(in))
	}
	if err != nil {
		if o != nil {
			t.Fatal("an error and a message")
		}
		answers := []error{ErrPlain, ErrNoKey, ErrDecrypt, ErrUnsigned, ErrStructure, ErrLimit}
		if !slices.ContainsFunc(answers, func(a error) bool { return errors.Is(err, a) }) {
			t.Fatalf("no answer: %v", err) // the message would be tried again and again
		}
		return nil, err
	}
	if o.Size != int64(b.Len()) {
		t.Fatal("size")
	}
	crlf := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n") }
	if inner(o) {
		return o, nil
	}
	if len(o.Good()) > 0 && crlf(b.String()) != letter {
		t.Fatalf("a good signature over something else:\n%q", b.String())
	}
	return o, nil
}

// otherForms are the letter of testdata in other forms than Direct's, the entity inside the encryption.
func otherForms(t testing.TB, entity []byte) []string {
	content, p7s := twoParts(t, entity)
	opaque := pkcs7Entity(asSigned, embedded(t, p7s, string(content)))
	return []string{
		opaque, strings.Replace(opaque, "; smime-type=signed-data", "", 1),
		deflated(t, asDeflated, opaque), deflated(t, asPlain, string(entity)),
		strings.Replace(string(entity), "Content-Type: message/rfc822", "Content-Type: message/rfc822; hp=cipher", 1),
	}
}

// FuzzOpen feeds whole messages.
func FuzzOpen(f *testing.F) {
	r := fixed(f)
	sealed := must(os.ReadFile("testdata/sealed.eml"))
	f.Add(sealed)
	f.Add(bytes.ReplaceAll(sealed, []byte("\r\n"), []byte("\n")))
	f.Add(append([]byte("Content-Type: application/x-pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"), cmsOf(sealed)...))
	f.Add([]byte("Content-Type: application/pkcs7-mime\r\n\r\n"))
	_, envelope, _ := bytes.Cut(sealed, []byte("Content-Type: "))
	for _, outer := range []string{opaque(f, asSigned, "Content-Type: "+string(envelope), newWorld().alice.signer()),
		detached(f, "Content-Type: "+string(envelope), newWorld().alice.signer())} {
		f.Add([]byte(outer)) // triple-wrapped
	}
	for _, entity := range formsInside(f) {
		sealed := pkcs7Entity(asEnveloped, envelopedFor(f, r, cms.AES128GCM, entity))
		f.Add([]byte(outside822 + sealed))
		f.Add([]byte(outside822 + detached(f, sealed, newWorld().alice.signer())))
		f.Add([]byte(outside822 + opaque(f, asSigned, sealed, newWorld().carol.signer())))
	}
	f.Fuzz(func(t *testing.T, in []byte) { check(t, r, in) })
}

// formsInside are entities of every form that may be encrypted.
func formsInside(t testing.TB) []string {
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	alice, carol := newWorld().alice.signer(), newWorld().carol.signer()
	return []string{part, detached(t, part, alice, carol), opaque(t, asSigned, part, carol), deflated(t, asDeflated, detached(t, part, carol)),
		detached(t, deflated(t, asDeflated, part), carol), opaque(t, asPlain, part, alice, carol)}
}

// ones is no source of secrets: the content key is all ones.
type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}

// knows is a Decrypter that knows that key, without arithmetic.
type knows struct{ crypto.Decrypter }

func (knows) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return bytes.Repeat([]byte{1}, 32), nil
}

// envelopedFor encrypts an entity to r.
func envelopedFor(t testing.TB, r cms.Recipient, c cms.Algorithm, entity string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := must(cms.NewEnvelopedWriter(&b, cms.Encryption{Cipher: c, Rand: ones{}}, r.Certificate))
	must(io.WriteString(w, entity))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzOpenEntity feeds what is inside the encryption.
func FuzzOpenEntity(f *testing.F) {
	r := fixed(f)
	r.Key = knows{r.Key.(crypto.Decrypter)}
	entity := must(os.ReadFile("testdata/entity"))
	f.Add(entity)
	f.Add(bytes.ReplaceAll(entity, []byte("\r\n"), []byte("\n")))
	f.Add([]byte("Content-Type: text/plain\r\n\r\nhello"))
	for _, other := range otherForms(f, entity) {
		f.Add([]byte(other))
	}
	f.Add([]byte(multipartSigned("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nRnJvbTogYQ0KDQpi", "AAAA")))
	for _, entity := range formsInside(f) {
		f.Add([]byte(entity))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		der := envelopedFor(t, r, cms.AES256CBC, string(in))
		check(t, r, append([]byte("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"), der...))
	})
}
