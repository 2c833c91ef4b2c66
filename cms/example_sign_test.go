package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"math/big"
	"time"

	"carepost/cms"
)

// identity makes a key and a certificate of its own for the examples.
func identity() (crypto.Signer, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "lab@north.example"}}
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

// A signature is made over a digest, and verified with one: the content itself passes by elsewhere, once.
func ExampleSignDetached() {
	key, cert := identity()
	signer := cms.Signer{Key: key, Certificate: cert, Time: time.Now(), Capabilities: []cms.Algorithm{cms.AES256GCM, cms.AES256CBC}}
	digest := sha256.Sum256([]byte("Content-Type: text/plain\r\n\r\nthe patient is well\r\n"))

	p7s, err := cms.SignDetached(map[crypto.Hash][]byte{signer.Digest(): digest[:]}, nil, signer)
	if err != nil {
		log.Fatal(err)
	}

	signed, err := cms.ReadSigned(bytes.NewReader(p7s), cms.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for i, info := range signed.Signers {
		for _, cert := range signed.Candidates(i) {
			fmt.Println(info.Algorithm, info.Hash, info.Capabilities, cert.Subject.CommonName, signed.Verify(i, cert, digest[:]))
		}
		other := sha256.Sum256([]byte("something else"))
		err := signed.Verify(i, signed.Candidates(i)[0], other[:])
		fmt.Println(errors.Is(err, cms.ErrDigest))
	}
	// Whether the certificate is to be trusted is another question: see package trust.

	// Output:
	// ECDSA-P-256 SHA-256 [AES-256-GCM AES-256-CBC] lab@north.example <nil>
	// true
}

// What a profile does can be changed, within bounds.
func ExampleAlgorithms_With() {
	a := cms.V12.Algorithms()
	fmt.Println(a.Use(cms.SHA1), a.Use(cms.AES128CBC))

	a, err := a.With(cms.SHA1, cms.Accept)
	fmt.Println(a.Use(cms.SHA1), err)
	_, err = a.With(cms.SHA1, cms.Send)
	fmt.Println(err)
	_, err = a.With(cms.AES128CBC, cms.Refuse)
	fmt.Println(err)

	// Output:
	// refuse send
	// accept <nil>
	// cms: SHA-1: "accept" is the most that is safe
	// cms: AES-128-CBC: "accept" is the least that is asked of us
}
