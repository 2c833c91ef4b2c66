package cms_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"strings"

	"carepost/cms"
)

// A content is encrypted to certificates as it is written, and decrypted as it is read.
func ExampleReadEnveloped() {
	key, cert := identity()

	var sealed bytes.Buffer
	w, err := cms.NewEnvelopedWriter(&sealed, cms.Encryption{Cipher: cms.AES128GCM}, cert)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(w, "Content-Type: text/plain\r\n\r\nthe patient is well\r\n"); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	keys := []cms.Recipient{{Certificate: cert, Key: key}}
	env, plain, err := cms.ReadEnveloped(bytes.NewReader(sealed.Bytes()), keys, cms.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	fmt.Println(env.Cipher, env.Key, env.Authenticated, len(text), err)

	// What went wrong is not told: a wrong key, a changed octet and a cut look the same.
	spoilt := bytes.Clone(sealed.Bytes())
	spoilt[len(spoilt)-30] ^= 1
	_, plain, err = cms.ReadEnveloped(bytes.NewReader(spoilt), keys, cms.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	text, err = io.ReadAll(plain)
	fmt.Println(len(text), err)

	// Output:
	// AES-128-GCM ECDH-P-256 true 49 <nil>
	// 0 cms: the message does not decrypt
}

// What may be encrypted to a certificate is asked before a long content is read.
func ExampleCanEncrypt() {
	_, cert := identity()
	fmt.Println(cms.CanEncrypt(cert))
	fmt.Println(cms.CanEncrypt(&x509.Certificate{}))

	// Output:
	// <nil>
	// cms: algorithm not accepted: kind of public key
}

// Compressed content is read where the algorithms have it, and within limits.
func ExampleReadCompressed() {
	var small bytes.Buffer
	w, err := cms.NewCompressedWriter(&small)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("all is well. ", 1000)); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(cms.ContentOf(small.Bytes()) == cms.CompressedContent)

	_, err = cms.ReadCompressed(bytes.NewReader(small.Bytes()), cms.ReadOptions{})
	fmt.Println(err)

	r, err := cms.ReadCompressed(bytes.NewReader(small.Bytes()), cms.ReadOptions{Algorithms: cms.Lenient.Algorithms()})
	if err != nil {
		log.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	fmt.Println(n, err)

	// Output:
	// true
	// cms: algorithm not accepted: compression
	// 13000 <nil>
}

// A signature with its content inside: the content is read to its end first, and hidden until somebody has signed it.
func ExampleReadOpaque() {
	received := strings.NewReader("no signature") // by application/pkcs7-mime; smime-type=signed-data

	opaque, err := cms.ReadOpaque(received, cms.ReadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if len(opaque.Digests) == 0 {
		return // nobody signed by a digest that is accepted
	}
	var draft bytes.Buffer
	digest := opaque.Digests[0].New()
	if _, err := io.Copy(io.MultiWriter(&draft, digest), opaque); err != nil {
		log.Fatal(err)
	}
	signed, err := opaque.Signed()
	if err != nil {
		log.Fatal(err)
	}
	for i := range signed.Signers {
		for _, cert := range signed.Candidates(i) {
			fmt.Println(signed.Verify(i, cert, digest.Sum(nil)))
		}
	}

	// Output:
	// cms: malformed: something else than ContentInfo
}
