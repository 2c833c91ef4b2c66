package cms

import (
	"crypto"
	"crypto/x509"
)

// Cipher is a content-encryption algorithm (RFC 3565). The zero Cipher encrypts nothing.
type Cipher uint8

// The ciphers of EnvelopedData.
const (
	AES128CBC Cipher = iota + 1
	AES192CBC
	AES256CBC
)

// String names c as S/MIME does.
func (c Cipher) String() string {
	switch c {
	case AES128CBC:
		return "AES-128-CBC"
	case AES192CBC:
		return "AES-192-CBC"
	case AES256CBC:
		return "AES-256-CBC"
	}
	return "no cipher"
}

// keyLen is the length of c's key in octets, 0 for no cipher.
func (c Cipher) keyLen() int {
	switch c {
	case AES128CBC:
		return 16
	case AES192CBC:
		return 24
	case AES256CBC:
		return 32
	}
	return 0
}

func (c Cipher) oid() oid {
	switch c {
	case AES128CBC:
		return oidAES128CBC
	case AES192CBC:
		return oidAES192CBC
	case AES256CBC:
		return oidAES256CBC
	}
	return ""
}

// cipherOf is the reverse of Cipher.oid.
func cipherOf(o oid) Cipher {
	for c := AES128CBC; c <= AES256CBC; c++ {
		if c.oid() == o {
			return c
		}
	}
	return 0
}

// Recipient is one of our own certificates with its private key, by handle. RSA only for now. Key must do what crypto/rsa
// does with rsa.PKCS1v15DecryptOptions: bad padding gives a random key, not an error.
type Recipient struct {
	Certificate *x509.Certificate
	Key         crypto.Decrypter
}

// Enveloped says what the outside of an EnvelopedData says (RFC 5652 §6.1).
type Enveloped struct {
	Cipher     Cipher
	Recipients int               // RecipientInfos of whatever kind
	Own        *x509.Certificate // the certificate whose key is used
}
