package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// bigRSABits is the size from which math/big raises to a public power faster than crypto/rsa, which takes the same time
// whatever the numbers are. Nothing is secret here: key, message and signature all come with the message.
const bigRSABits = 3072

// verifyPKCS1v15 does what rsa.VerifyPKCS1v15 does (RFC 8017 §8.2.2), for a key that checkRSA has let pass.
func verifyPKCS1v15(pub *rsa.PublicKey, h crypto.Hash, hashed, signature []byte) bool {
	if pub.N.BitLen() < bigRSABits {
		return rsa.VerifyPKCS1v15(pub, h, hashed, signature) == nil
	}
	want := encodePKCS1v15(digestBy(h), hashed, pub.Size())
	s := new(big.Int).SetBytes(signature)
	if want == nil || len(signature) != pub.Size() || s.Cmp(pub.N) >= 0 {
		return false
	}
	got := new(big.Int).Exp(s, big.NewInt(int64(pub.E)), pub.N)
	return bytes.Equal(got.FillBytes(make([]byte, pub.Size())), want)
}

// encodePKCS1v15 is EMSA-PKCS1-v1_5-ENCODE (RFC 8017 §9.2) to n octets, nil for what is no digest. The whole encoding is made
// and compared, so nothing in it is parsed, and nothing can hide.
func encodePKCS1v15(digest Algorithm, hashed []byte, n int) []byte {
	if digest == 0 || len(hashed) != digest.hash().Size() {
		return nil
	}
	id := hashOID(digest.hash())
	if digest == SHA1 {
		id = oidSHA1
	}
	info := encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, id, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			b.AddASN1OctetString(hashed)
		})
	})
	em := bytes.Repeat([]byte{0xff}, n) // of at least 256 octets
	em[0], em[1], em[n-len(info)-1] = 0, 1, 0
	copy(em[n-len(info):], info)
	return em
}
