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

// check opens in: no panic, no endless loop, and with a good signature nothing but the letter, line ends apart.
func check(t *testing.T, r cms.Recipient, in []byte) {
	t.Helper()
	var b bytes.Buffer
	o, err := Open(&b, bytes.NewReader(in), []cms.Recipient{r}, OpenOptions{Message: message.Limits{HeaderBytes: 1 << 16}})
	if err != nil {
		if o != nil {
			t.Fatal("an error and a message")
		}
		return
	}
	if o.Size != int64(b.Len()) {
		t.Fatal("size")
	}
	crlf := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n") }
	if len(o.Good()) > 0 && crlf(b.String()) != letter {
		t.Fatalf("a good signature over something else:\n%q", b.String())
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
	f.Fuzz(func(t *testing.T, in []byte) { check(t, r, in) })
}

// FuzzOpenEntity feeds what is inside the encryption.
func FuzzOpenEntity(f *testing.F) {
	r := fixed(f)
	entity := must(os.ReadFile("testdata/entity"))
	f.Add(entity)
	f.Add(bytes.ReplaceAll(entity, []byte("\r\n"), []byte("\n")))
	f.Add([]byte("Content-Type: text/plain\r\n\r\nhello"))
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
