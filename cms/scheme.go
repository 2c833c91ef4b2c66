package cms

import (
	"crypto"

	"golang.org/x/crypto/cryptobyte"
)

// scheme is what a signatureAlgorithm says (RFC 5652 §10.1.2).
type scheme struct {
	algorithm Algorithm // 0 where it is not known; ECDSAP256 is ECDSA on whatever curve, which is the key's to say
	digest    Algorithm // that it names; 0 where that is left to digestAlgorithm
	salt      int       // of RSAPSS, in octets
}

// schemes are the identifiers without parameters of their own.
var schemes = map[oid]scheme{
	oidRSA:         {RSAPKCS1v15, 0, 0}, // RFC 3370 §3.2
	oidRSASHA1:     {RSAPKCS1v15, SHA1, 0},
	oidRSASHA256:   {RSAPKCS1v15, SHA256, 0}, // RFC 5754 §3.2
	oidRSASHA384:   {RSAPKCS1v15, SHA384, 0},
	oidRSASHA512:   {RSAPKCS1v15, SHA512, 0},
	oidECDSASHA1:   {ECDSAP256, SHA1, 0},
	oidECDSASHA256: {ECDSAP256, SHA256, 0}, // RFC 5754 §3.3
	oidECDSASHA384: {ECDSAP256, SHA384, 0},
	oidECDSASHA512: {ECDSAP256, SHA512, 0},
	oidEd25519:     {Ed25519, SHA512, 0}, // RFC 8419 §2.3, §3.1: with signed attributes, SHA-512
}

// schemeOf reads a signatureAlgorithm; the zero scheme is the answer to unknown ones and to parameters that are out of place.
func schemeOf(a algorithmIdentifier) scheme {
	if a.oid == oidPSS {
		return parsePSS(a.params)
	}
	s := schemes[a.oid]
	if s.algorithm != Ed25519 && a.noParams() { // RFC 3370 §3.2: NULL with RSA; RFC 5754 §3.3: absent with ECDSA, where gpgsm 2.2 writes NULL
		return s
	}
	if a.params == nil { // RFC 8419 §2.2
		return s
	}
	return scheme{}
}

// signatureIdentifier writes the signatureAlgorithm of x with hash h.
func signatureIdentifier(x Algorithm, h crypto.Hash) []byte {
	return encode(func(b *cryptobyte.Builder) {
		switch x {
		case RSAPKCS1v15:
			addAlgorithm(b, oidRSA, func(b *cryptobyte.Builder) { b.AddASN1NULL() }) // RFC 3370 §3.2
		case RSAPSS:
			addAlgorithm(b, oidPSS, func(b *cryptobyte.Builder) { addPSS(b, h) })
		case Ed25519:
			addAlgorithm(b, oidEd25519, nil)
		default:
			addAlgorithm(b, map[crypto.Hash]oid{
				crypto.SHA256: oidECDSASHA256, crypto.SHA384: oidECDSASHA384, crypto.SHA512: oidECDSASHA512}[h], nil)
		}
	})
}
