package keyring

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// safeBag is a SafeBag (RFC 7292 §4.2) of that type.
func safeBag(id asn1.ObjectIdentifier, value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(value) })
	})
	return b.BytesOrPanic()
}

// dataContent is a ContentInfo of type data with these SafeBags.
func dataContent(bags ...[]byte) []byte {
	var b cryptobyte.Builder
	addContent(&b, sequence(bags...))
	return b.BytesOrPanic()
}

func sequence(of ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, one := range of {
			b.AddBytes(one)
		}
	})
	return b.BytesOrPanic()
}

func addContent(b *cryptobyte.Builder, octets []byte) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(octets) })
	})
}

// encryptedContent is a ContentInfo of type encrypted data (RFC 5652 §8), in DER.
func encryptedContent(algorithm, sealed []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidEncryptedData)
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidData)
					b.AddBytes(algorithm)
					b.AddASN1(der.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(sealed) })
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// pfx is a PFX with these contents, under a MAC of our own that costs one round.
func pfx(password string, contents ...[]byte) []byte {
	content, salt := sequence(contents...), make([]byte, 8)
	rand.Read(salt)
	macKey, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		panic(err) // not of these sizes
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write(content)
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		addContent(b, content)
		addMAC(b, salt, mac.Sum(nil))
	})
	return b.BytesOrPanic()
}

// addMAC adds MacData with PBMAC1 (RFC 9579).
func addMAC(b *cryptobyte.Builder, salt, sum []byte) {
	seq := func(b *cryptobyte.Builder, f func(b *cryptobyte.Builder)) { b.AddASN1(der.SEQUENCE, f) }
	seq(b, func(b *cryptobyte.Builder) {
		seq(b, func(b *cryptobyte.Builder) { // DigestInfo
			seq(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidPBMAC1)
				seq(b, func(b *cryptobyte.Builder) {
					seq(b, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidPBKDF2)
						seq(b, func(b *cryptobyte.Builder) {
							b.AddASN1OctetString(salt)
							b.AddASN1Int64(1)
							b.AddASN1Int64(sha256.Size)
							seq(b, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidHMACSHA256) })
						})
					})
					seq(b, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidHMACSHA256) })
				})
			})
			b.AddASN1OctetString(sum)
		})
		b.AddASN1OctetString(salt)
	})
}
