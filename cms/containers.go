package cms

import (
	"crypto/aes"
	"crypto/cipher"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/cms/internal/cbc"
	"carepost/cms/internal/gcm"
)

// container is what the kinds of content do differently with the segments of what they hold.
type container interface {
	// transform makes of a segment what is to be written, where it lies, and may spoil a block behind it.
	transform(b []byte) error
	// pad writes padding behind the last n octets, and says how many octets it has.
	pad(b []byte, n int) int
	// trailer is everything behind the last segment.
	trailer() []byte
}

// newContainer makes the container of what c encrypts.
func newContainer(c Algorithm, cek, iv []byte) (container, error) {
	if !c.Authenticated() {
		enc, err := cbc.NewEncrypter(cek, iv)
		return cbcContainer{enc}, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	sealer, err := gcm.NewSealer(block, iv)
	return gcmContainer{sealer}, err
}

// eoc closes an encoding of indefinite length.
const eoc = "\x00\x00"

// cbcContainer makes an EnvelopedData.
type cbcContainer struct{ cipher.BlockMode }

func (c cbcContainer) transform(b []byte) error {
	c.CryptBlocks(b, b)
	return nil
}

// pad is RFC 5652 §6.3.
func (c cbcContainer) pad(b []byte, n int) int {
	pad := aes.BlockSize - n%aes.BlockSize
	for i := range pad {
		b[i] = byte(pad)
	}
	return pad
}

func (c cbcContainer) trailer() []byte {
	return []byte(eoc + eoc + eoc + eoc + eoc) // [0], EncryptedContentInfo, EnvelopedData, [0], ContentInfo
}

// gcmContainer makes an AuthEnvelopedData. Its content is id-data, so it has no authAttrs (RFC 5083 §2.1).
type gcmContainer struct{ *gcm.Sealer }

func (g gcmContainer) transform(b []byte) error { return g.Seal(b) }

func (g gcmContainer) pad([]byte, int) int { return 0 }

func (g gcmContainer) trailer() []byte {
	tag := g.Tag(nil)
	return encode(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(eoc + eoc)) // [0], EncryptedContentInfo
		b.AddASN1OctetString(tag[:])  // mac
		b.AddBytes([]byte(eoc + eoc + eoc))
	})
}

// ivLen is the length in octets of a content cipher's initialization vector or nonce.
func (x Algorithm) ivLen() int {
	if x.Authenticated() {
		return gcm.NonceSize
	}
	return aes.BlockSize
}

// containerOID is the content type of what holds a content encrypted by x.
func containerOID(x Algorithm) oid {
	if x.Authenticated() {
		return oidAuthEnveloped
	}
	return oidEnveloped
}

// addCipherParameters writes an AES-IV (RFC 3565 §4.1) or GCMParameters (RFC 5084 §3.2).
func addCipherParameters(b *cryptobyte.Builder, x Algorithm, iv []byte) {
	if !x.Authenticated() {
		b.AddASN1OctetString(iv)
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(iv)
		b.AddASN1Int64(gcm.TagSize) // aes-ICVlen; 12 is the default
	})
}
