package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
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

// check opens in, under Direct and in all forms: no panic, no endless loop, and with a good signature nothing but the letter, line ends
// apart. What Direct does not open has another form.
func check(t *testing.T, r cms.Recipient, in []byte) {
	t.Helper()
	lim := message.Limits{HeaderBytes: 1 << 16}
	direct := checkAs(t, r, in, OpenOptions{Message: lim})
	lenient := checkAs(t, r, in, OpenOptions{Message: lim, Forms: LenientForms, Algorithms: cms.Lenient.Algorithms()})
	if direct == nil && lenient != nil && lenient.Form == 0 {
		t.Fatalf("under Direct %+v, in all forms %+v", direct, lenient)
	}
}

func checkAs(t *testing.T, r cms.Recipient, in []byte, opts OpenOptions) *Opened {
	t.Helper()
	var b bytes.Buffer
	o, err := Open(&b, bytes.NewReader(in), []cms.Recipient{r}, opts)
	if err != nil {
		if o != nil {
			t.Fatal("an error and a message")
		}
		return nil
	}
	if opts.Forms == 0 && (o.Form != 0 || o.OuterSignatures != nil) {
		t.Fatalf("Direct knows no %v", o.Form)
	}
	if o.Size != int64(b.Len()) {
		t.Fatal("size")
	}
	crlf := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n") }
	if len(o.Good()) > 0 && crlf(b.String()) != letter {
		t.Fatalf("a good signature over something else:\n%q", b.String())
	}
	return o
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
	f.Fuzz(func(t *testing.T, in []byte) { check(t, r, in) })
}

// FuzzOpenEntity feeds what is inside the encryption.
func FuzzOpenEntity(f *testing.F) {
	r := fixed(f)
	entity := must(os.ReadFile("testdata/entity"))
	f.Add(entity)
	f.Add(bytes.ReplaceAll(entity, []byte("\r\n"), []byte("\n")))
	f.Add([]byte("Content-Type: text/plain\r\n\r\nhello"))
	for _, other := range otherForms(f, entity) {
		f.Add([]byte(other))
	}
	f.Add([]byte(multipartSigned("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nRnJvbTogYQ0KDQpi", "AAAA")))
	f.Fuzz(func(t *testing.T, in []byte) {
		var b bytes.Buffer
		b.WriteString("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n")
		env := must(cms.NewEnvelopedWriter(&b, cms.Encryption{Cipher: cms.AES256CBC}, r.Certificate))
		env.Write(in)
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, r, b.Bytes())
	})
}
