package cms

import (
	"crypto/aes"
	"crypto/cipher"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/cms/internal/gcm"
)

// contentEncrypter is what EnvelopedData and AuthEnvelopedData do differently with a content.
type contentEncrypter interface {
	// encrypt encrypts a segment where it lies, and may spoil a block behind it.
	encrypt(b []byte) error
	// pad writes padding behind the last n octets, and says how many octets it has.
	pad(b []byte, n int) int
	// trailer is everything behind the last segment.
	trailer() []byte
}

func newContentEncrypter(c Algorithm, cek, iv []byte) (contentEncrypter, error) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	if !c.authenticated() {
		return cbcEncrypter{cipher.NewCBCEncrypter(block, iv)}, nil
	}
	sealer, err := gcm.NewSealer(block, iv)
	return gcmEncrypter{sealer}, err
}

// eoc closes an encoding of indefinite length.
const eoc = "\x00\x00"

// cbcEncrypter makes an EnvelopedData.
type cbcEncrypter struct{ cipher.BlockMode }

func (c cbcEncrypter) encrypt(b []byte) error {
	c.CryptBlocks(b, b)
	return nil
}

// pad is RFC 5652 §6.3.
func (c cbcEncrypter) pad(b []byte, n int) int {
	pad := aes.BlockSize - n%aes.BlockSize
	for i := range pad {
		b[i] = byte(pad)
	}
	return pad
}

func (c cbcEncrypter) trailer() []byte {
	return []byte(eoc + eoc + eoc + eoc + eoc) // [0], EncryptedContentInfo, EnvelopedData, [0], ContentInfo
}

// gcmEncrypter makes an AuthEnvelopedData. Its content is id-data, so it has no authAttrs (RFC 5083 §2.1).
type gcmEncrypter struct{ *gcm.Sealer }

func (g gcmEncrypter) encrypt(b []byte) error { return g.Seal(b) }

func (g gcmEncrypter) pad([]byte, int) int { return 0 }

func (g gcmEncrypter) trailer() []byte {
	tag := g.Tag(nil)
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(eoc + eoc)) // [0], EncryptedContentInfo
		b.AddASN1OctetString(tag[:])  // mac
		b.AddBytes([]byte(eoc + eoc + eoc))
	})
}

// ivLen is the length in octets of a content cipher's initialization vector or nonce.
func (x Algorithm) ivLen() int {
	if x.authenticated() {
		return gcm.NonceSize
	}
	return aes.BlockSize
}

// containerOID is the content type of what holds a content encrypted by x.
func containerOID(x Algorithm) oid {
	if x.authenticated() {
		return oidAuthEnveloped
	}
	return oidEnveloped
}

// addCipherParameters writes an AES-IV (RFC 3565 §4.1) or GCMParameters (RFC 5084 §3.2).
func addCipherParameters(b *cryptobyte.Builder, x Algorithm, iv []byte) {
	if !x.authenticated() {
		b.AddASN1OctetString(iv)
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(iv)
		b.AddASN1Int64(gcm.TagSize) // aes-ICVlen; 12 is the default
	})
}
