package cms

import (
	"crypto"
	"crypto/x509"
	"io"
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

// NewEnvelopedWriter returns a writer that encrypts what is written to it, and writes a BER ContentInfo with an EnvelopedData
// to w (RFC 5652 §6). The key goes to each certificate by RSA key transport, PKCS #1 v1.5, named by issuer and serial number.
// Memory does not grow with the content. Nothing is written before the first segment is full or Close is called; Close ends
// the encoding and does not close w. A nil rand is crypto/rand. ErrAlgorithm is returned for keys that are not accepted.
func NewEnvelopedWriter(w io.Writer, rand io.Reader, c Cipher, to ...*x509.Certificate) (io.WriteCloser, error) {
	panic("unimplemented")
}

// ReadEnveloped reads a ContentInfo with an EnvelopedData, BER or DER, up to its first octet of ciphertext; the reader that it
// returns yields the plaintext as it comes and wants the end of r after the last octet of the ContentInfo (RFC 5652 §6). The
// caller keeps the plaintext hidden until the reader has said io.EOF and a signature has been verified: with a wrong key it is
// noise, and it can be forged by anybody in any case.
//
// Of several keys that the message names, the first in keys is used, once. Errors: ErrSyntax, ErrLimit, ErrContentType,
// ErrAlgorithm, ErrNoKey, ErrUnavailable, and those of r; of the reader: ErrDecrypt, and those of r.
func ReadEnveloped(r io.Reader, keys []Recipient, lim Limits) (*Enveloped, io.Reader, error) {
	panic("unimplemented")
}
