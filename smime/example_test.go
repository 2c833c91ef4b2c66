package smime_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"strings"
	"time"

	"carepost/cms"
	"carepost/smime"
)

// person makes a key and a certificate of its own for the examples. Real ones are issued by an authority.
func person(address string) (crypto.Signer, *x509.Certificate) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	return key, cert
}

const exampleLetter = "From: lab@north.example\r\n" +
	"To: desk@south.example\r\n" +
	"Subject: Results\r\n" +
	"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@north.example>\r\n" +
	"\r\n" +
	"The patient is well.\r\n"

// A message is sealed from reader to writer, and opened into a draft that nobody sees before its signer is trusted.
func Example() {
	labKey, labCert := person("lab@north.example")
	deskKey, deskCert := person("desk@south.example")

	var sealed bytes.Buffer
	err := smime.Seal(&sealed, strings.NewReader(exampleLetter), smime.SealOptions{
		Signers:    []cms.Signer{{Key: labKey, Certificate: labCert, Time: time.Now()}},
		Recipients: []*x509.Certificate{deskCert},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the subject is seen outside:", strings.Contains(sealed.String(), "Results"))

	var draft bytes.Buffer
	opened, err := smime.Open(&draft, &sealed, []cms.Recipient{{Certificate: deskCert, Key: deskKey}}, smime.OpenOptions{})
	if err != nil {
		log.Fatal(err) // the draft is thrown away
	}
	for _, s := range opened.Good() {
		// Its key signed. Whether the certificate is trusted, and is the sender's, is the question for package trust.
		fmt.Println("signed by", s.Certificate.Subject.CommonName, "with", s.Algorithm, s.Hash)
	}
	fmt.Println("the very letter:", draft.String() == exampleLetter)

	// Output:
	// the subject is seen outside: false
	// signed by lab@north.example with RSA SHA-256
	// the very letter: true
}

// Who signs, by which algorithms, and what is seen outside can be chosen. A partner who does not unwrap sees everything but the body.
func ExampleSeal() {
	labKey, labCert := person("lab@north.example")
	_, deskCert := person("desk@south.example")

	var sealed bytes.Buffer
	err := smime.Seal(&sealed, strings.NewReader(exampleLetter), smime.SealOptions{
		Signers:    []cms.Signer{{Key: labKey, Certificate: labCert, Time: time.Now(), Hash: crypto.SHA512}},
		Recipients: []*x509.Certificate{labCert, deskCert}, // to read one's own mail later
		Cipher:     cms.AES256GCM,                          // only to those who have said that they read it
		Transport:  cms.RSAESOAEPSHA256,
		Unwrapped:  true,
	})
	if err != nil {
		log.Fatal(err)
	}
	head, _, _ := strings.Cut(sealed.String(), "\r\n\r\n")
	fmt.Println(strings.ReplaceAll(head, "\r\n", "\n"))

	// Output:
	// From: lab@north.example
	// To: desk@south.example
	// Subject: Results
	// Date: Sat, 21 Nov 2026 10:00:00 +0000
	// Message-ID: <1@north.example>
	// MIME-Version: 1.0
	// Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data;
	//  name="smime.p7m"
	// Content-Transfer-Encoding: base64
	// Content-Disposition: attachment; filename="smime.p7m"
}

// What is not encrypt(multipart/signed) is refused unless it is asked for, and refused in any case where it is no message for us.
func ExampleOpen() {
	labKey, labCert := person("lab@north.example")
	deskKey, deskCert := person("desk@south.example")
	keys := []cms.Recipient{{Certificate: deskCert, Key: deskKey}}

	_, err := smime.Open(io.Discard, strings.NewReader(exampleLetter), keys, smime.OpenOptions{})
	fmt.Println(err)

	var sealed bytes.Buffer
	err = smime.Seal(&sealed, strings.NewReader(exampleLetter), smime.SealOptions{
		Signers:    []cms.Signer{{Key: labKey, Certificate: labCert, Time: time.Now()}},
		Recipients: []*x509.Certificate{labCert},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = smime.Open(io.Discard, &sealed, keys, smime.OpenOptions{
		Algorithms: cms.Lenient.Algorithms(), // SHA-1 signatures and compression, for partners of DICOM PS3.15 B.8
		Forms:      smime.LenientForms,
	})
	fmt.Println(err)

	// Output:
	// smime: not an encrypted message
	// smime: no key opens this message
}
