package cms

import (
	"crypto/aes"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// NewEnvelopedWriter returns a writer that encrypts what is written to it, and writes a BER ContentInfo with an EnvelopedData
// (RFC 5652 §6), or for GCM an AuthEnvelopedData (RFC 5083), to w. The key goes to each certificate by key transport or key
// agreement, named by issuer and serial number.
// Memory does not grow with the content. Nothing is written before the first segment is full or Close is called; Close ends
// the encoding and does not close w. ErrAlgorithm is returned for keys that are not accepted.
func NewEnvelopedWriter(w io.Writer, o Encryption, to ...*x509.Certificate) (io.WriteCloser, error) {
	c := o.Cipher
	if c == 0 {
		c = AES256CBC
	}
	if cipherOID(c) == "" {
		return nil, algorithm("content encryption")
	}
	if o.Rand == nil {
		o.Rand = crand.Reader
	}
	secret := make([]byte, c.keyLen()+aes.BlockSize)
	defer clear(secret)
	if _, err := io.ReadFull(o.Rand, secret); err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	cek, iv := secret[:c.keyLen()], secret[c.keyLen():][:c.ivLen()]
	infos, highest, err := newRecipientInfos(o, cek, to)
	if err != nil {
		return nil, err
	}
	in, err := newContainer(c, cek, iv)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	return newSegmentWriter(w, in, envelopedHead(c, iv, infos, highest)), nil
}

// CanEncrypt says whether a message can be encrypted to cert, an RSA certificate by key transport or an EC or X25519 certificate by
// key agreement: nil, or ErrAlgorithm with the reason. Its KeyUsage is not looked at.
func CanEncrypt(cert *x509.Certificate) error {
	if pub, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		return checkRSA(pub)
	}
	c, key, err := curveOf(cert)
	if err == nil && c.how == ECDHX25519 {
		err = checkX25519(key)
	}
	return err
}

// newRecipientInfos returns a RecipientInfo for each of the certificates, the same one twice counted once. highest is the highest
// version among them.
func newRecipientInfos(o Encryption, cek []byte, to []*x509.Certificate) (infos [][]byte, highest int, err error) {
	if o.Transport == 0 {
		o.Transport = RSAESPKCS1v15
	}
	if o.Transport == RSAESOAEPSHA1 || o.Transport != RSAESPKCS1v15 && oaepHash(o.Transport) == 0 {
		return nil, 0, algorithm("key transport")
	}
	if len(to) == 0 {
		return nil, 0, errors.New("cms: encrypting: no recipient")
	}
	named := make(map[string]*x509.Certificate)
	for _, cert := range to {
		rid := encode(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, cert) })
		if other := named[string(rid)]; other != nil {
			if !other.Equal(cert) {
				return nil, 0, errors.New("cms: encrypting: two certificates with one issuer and serial number")
			}
			continue
		}
		named[string(rid)] = cert
		info, version, err := newRecipientInfo(o, cek, rid, cert)
		if err != nil {
			return nil, 0, err
		}
		infos, highest = append(infos, info), max(highest, version)
	}
	return infos, highest, nil
}

// newRecipientInfo makes the RecipientInfo that fits cert (RFC 5652 §6.2).
func newRecipientInfo(o Encryption, cek, rid []byte, cert *x509.Certificate) (info []byte, version int, err error) {
	if err := CanEncrypt(cert); err != nil {
		return nil, 0, err
	}
	if pub, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		info, err = newTransport(o.Rand, o.Transport, cek, rid, pub)
		return info, 0, err
	}
	c, pub, err := curveOf(cert)
	if err != nil {
		return nil, 0, err
	}
	info, err = newAgreement(o.Rand, cek, rid, c, pub)
	return info, 3, err
}

// envelopedHead is everything before the first segment (RFC 5652 §6.1, RFC 5083 §2.1).
func envelopedHead(c Algorithm, iv []byte, infos [][]byte, highest int) []byte {
	const begin = "\x80" // an indefinite length
	version := int64(0)
	if highest > 0 && !c.Authenticated() { // of the RecipientInfos; neither originatorInfo nor unprotectedAttrs are there
		version = 2
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30" + begin)) // ContentInfo
		addOID(b, containerOID(c))
		b.AddBytes([]byte("\xa0" + begin + "\x30" + begin)) // [0], EnvelopedData
		b.AddASN1Int64(version)
		addSetOf(b, asn1.SET, infos)
		b.AddBytes([]byte("\x30" + begin)) // EncryptedContentInfo
		addOID(b, oidData)
		addAlgorithm(b, cipherOID(c), func(b *cryptobyte.Builder) { addCipherParameters(b, c, iv) })
		b.AddBytes([]byte("\xa0" + begin)) // [0] encryptedContent
	})
}
