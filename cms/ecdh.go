package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/x509"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	oidECPublicKey oid = ansiX962 + "\x02\x01"     // RFC 5480 §2.1.1
	oidP256        oid = ansiX962 + "\x03\x01\x07" // RFC 5480 §2.1.1.1
	oidP384        oid = "\x2b\x81\x04\x00\x22"    // 1.3.132.0.34
	oidX25519      oid = "\x2b\x65\x6e"            // RFC 8410 §3
	oidAES128Wrap  oid = nistAlgs + "\x01\x05"     // RFC 3565 §2.3.2
	oidAES192Wrap  oid = nistAlgs + "\x01\x19"
	oidAES256Wrap  oid = nistAlgs + "\x01\x2d"

	// RFC 5753 §7.1.4: dhSinglePass-stdDH and -cofactorDH with the key derivation of ANSI X9.63.
	x963SHA1   = "\x2b\x81\x05\x10\x86\x48\x3f\x00" // 1.3.133.16.840.63.0
	stdDH      = "\x2b\x81\x04\x01\x0b"             // 1.3.132.1.11
	cofactorDH = "\x2b\x81\x04\x01\x0e"             // 1.3.132.1.14

	oidStdDHSHA1        oid = x963SHA1 + "\x02"
	oidStdDHSHA256      oid = stdDH + "\x01"
	oidStdDHSHA384      oid = stdDH + "\x02"
	oidStdDHSHA512      oid = stdDH + "\x03"
	oidCofactorDHSHA1   oid = x963SHA1 + "\x03"
	oidCofactorDHSHA256 oid = cofactorDH + "\x01"
	oidCofactorDHSHA384 oid = cofactorDH + "\x02"
	oidCofactorDHSHA512 oid = cofactorDH + "\x03"

	// RFC 8418 §2.2: dhSinglePass-stdDH with HKDF.
	oidStdDHHKDFSHA256 oid = pkcs9 + "\x10\x03\x13"
	oidStdDHHKDFSHA384 oid = pkcs9 + "\x10\x03\x14"
	oidStdDHHKDFSHA512 oid = pkcs9 + "\x10\x03\x15"
)

// curve is one of key agreement.
type curve struct {
	ecdh.Curve
	how       Algorithm
	algorithm oid // of keys
	named     oid // namedCurve of their parameters, "" where there are none
	octets    int // of a shared secret

	// What is written.
	scheme   oid
	wrapBits int // at least
}

// PublicKey returns the public key of a certificate, an X25519 one too: crypto/x509 reads these (RFC 8410), but not in a certificate.
func PublicKey(cert *x509.Certificate) crypto.PublicKey {
	if cert.PublicKey != nil {
		return cert.PublicKey
	}
	spki, _ := x509.ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	if x, ok := spki.(*ecdh.PublicKey); ok {
		return x
	}
	return nil
}

// curveOf returns the curve of a certificate's key. crypto/x509 reads named curves alone, and points that are on them.
func curveOf(cert *x509.Certificate) (c curve, key *ecdh.PublicKey, err error) {
	switch k := PublicKey(cert).(type) {
	case *ecdh.PublicKey:
		key = k
	case *ecdsa.PublicKey:
		if key, err = k.ECDH(); err != nil {
			return c, nil, algorithm("elliptic curve")
		}
	default:
		return c, nil, algorithm("kind of public key")
	}
	switch key.Curve() {
	case ecdh.P256():
		return curve{ecdh.P256(), ECDHP256, oidECPublicKey, oidP256, 32, oidStdDHSHA256, 128}, key, nil
	case ecdh.P384():
		return curve{ecdh.P384(), ECDHP384, oidECPublicKey, oidP384, 48, oidStdDHSHA384, 256}, key, nil
	case ecdh.X25519():
		return curve{ecdh.X25519(), ECDHX25519, oidX25519, "", 32, oidStdDHHKDFSHA256, 128}, key, nil
	}
	return c, nil, algorithm("elliptic curve")
}

// checkX25519 keeps points of low order out, with which nothing stays secret (RFC 7748 §6.1). Any private key shows them.
func checkX25519(key *ecdh.PublicKey) error {
	some, err := ecdh.X25519().NewPrivateKey(make([]byte, 32))
	if err == nil {
		_, err = some.ECDH(key)
	}
	if err != nil {
		return algorithm("X25519 key of low order")
	}
	return nil
}

// derivation is how a key-encryption key is made of a shared secret.
type derivation struct {
	hash crypto.Hash // 0 is none
	hkdf bool        // RFC 8418 §2.2, otherwise ANSI X9.63
}

// derivation reads the object identifier of a keyEncryptionAlgorithm. The cofactors of P-256 and P-384 are 1, so cofactorDH is stdDH.
func (c curve) derivation(scheme oid) derivation {
	switch scheme {
	case oidStdDHSHA256:
		return derivation{hash: crypto.SHA256}
	case oidStdDHSHA384:
		return derivation{hash: crypto.SHA384}
	case oidStdDHSHA512:
		return derivation{hash: crypto.SHA512}
	}
	if c.how == ECDHX25519 {
		switch scheme {
		case oidStdDHHKDFSHA256:
			return derivation{crypto.SHA256, true}
		case oidStdDHHKDFSHA384:
			return derivation{crypto.SHA384, true}
		case oidStdDHHKDFSHA512:
			return derivation{crypto.SHA512, true}
		}
		return derivation{}
	}
	switch scheme {
	case oidStdDHSHA1, oidCofactorDHSHA1:
		return derivation{hash: crypto.SHA1}
	case oidCofactorDHSHA256:
		return derivation{hash: crypto.SHA256}
	case oidCofactorDHSHA384:
		return derivation{hash: crypto.SHA384}
	case oidCofactorDHSHA512:
		return derivation{hash: crypto.SHA512}
	}
	return derivation{}
}

// derive makes a key-encryption key of the shared secret z (RFC 5753 §7.2). ukm is nil where there is none; wrap is the encoding of
// the key wrap's AlgorithmIdentifier, as it stands in the message: with NULL where it has NULL.
func (d derivation) derive(z, ukm, wrap []byte, bits int) ([]byte, error) {
	info := sharedInfo(wrap, ukm, bits)
	if d.hkdf { // the salt is ukm, or none
		return hkdf.Key(d.hash.New, z, ukm, string(info), bits/8)
	}
	var kek []byte
	for counter := uint32(1); len(kek) < bits/8; counter++ {
		h := d.hash.New()
		h.Write(z)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(info)
		kek = h.Sum(kek)
	}
	return kek[:bits/8], nil
}

// sharedInfo encodes ECC-CMS-SharedInfo (RFC 5753 §7.2).
func sharedInfo(wrap, ukm []byte, bits int) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(wrap) // keyInfo
			if ukm != nil {
				b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) }) // entityUInfo
			}
			b.AddASN1(asn1.Tag(tagContext0+2|constructed), func(b *cryptobyte.Builder) { // suppPubInfo
				b.AddASN1OctetString(binary.BigEndian.AppendUint32(nil, uint32(bits)))
			})
		})
	})
}

// wrapBits reads a KeyWrapAlgorithm, the parameters of keyEncryptionAlgorithm: how many bits its key has, 0 for what is not read.
// RFC 3565 §2.3.2 has its own parameters absent; NULL is what some write.
func wrapBits(params []byte) int {
	s := cryptobyte.String(params)
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.SEQUENCE) || !s.Empty() {
		return 0
	}
	a, err := parseAlgorithm(content)
	if err != nil || !a.noParams() {
		return 0
	}
	for _, bits := range [...]int{128, 192, 256} {
		if wrapOID(bits) == a.oid {
			return bits
		}
	}
	return 0
}

// wrapOID names the AES key wrap with keys of that many bits.
func wrapOID(bits int) oid {
	switch bits {
	case 128:
		return oidAES128Wrap
	case 192:
		return oidAES192Wrap
	}
	return oidAES256Wrap
}
