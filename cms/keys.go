package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // registers what hashOf names
	_ "crypto/sha512"
)

// hashOf names the digest algorithms that are accepted (RFC 5754 §2). MD5 and SHA-1 are none.
func hashOf(o oid) crypto.Hash {
	switch o {
	case oidSHA256:
		return crypto.SHA256
	case oidSHA384:
		return crypto.SHA384
	case oidSHA512:
		return crypto.SHA512
	}
	return 0
}

// hashOID is the reverse of hashOf, "" for other hashes.
func hashOID(h crypto.Hash) oid {
	for _, o := range [...]oid{oidSHA256, oidSHA384, oidSHA512} {
		if hashOf(o) == h {
			return o
		}
	}
	return ""
}

// family is what a signature algorithm and a public key must agree on.
type family uint8

const (
	familyNone family = iota
	familyRSA         // PKCS #1 v1.5
	familyECDSA
)

// signatureOf reads a signatureAlgorithm: its family, and the hash that it names, 0 where it leaves this to digestAlgorithm.
func signatureOf(a algorithmIdentifier) (family, crypto.Hash) {
	f, h := familyNone, crypto.Hash(0)
	switch a.oid {
	case oidRSA:
		f = familyRSA
	case oidRSASHA256:
		f, h = familyRSA, crypto.SHA256
	case oidRSASHA384:
		f, h = familyRSA, crypto.SHA384
	case oidRSASHA512:
		f, h = familyRSA, crypto.SHA512
	case oidECDSASHA256:
		f, h = familyECDSA, crypto.SHA256
	case oidECDSASHA384:
		f, h = familyECDSA, crypto.SHA384
	case oidECDSASHA512:
		f, h = familyECDSA, crypto.SHA512
	}
	// RFC 3370 §3.2: NULL with RSA, where absent is tolerated. RFC 5754 §3.3: absent with ECDSA.
	if f == familyRSA && !a.noParams() || f == familyECDSA && a.params != nil {
		return familyNone, 0
	}
	return f, h
}

// familyOf checks a public key's kind, size and parameters.
func familyOf(pub crypto.PublicKey) (family, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return familyRSA, checkRSA(k)
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return familyECDSA, nil
		}
		return familyNone, algorithm("elliptic curve")
	}
	return familyNone, algorithm("kind of public key")
}

// checkRSA keeps weak keys out, and those made to be slow.
func checkRSA(k *rsa.PublicKey) error {
	if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
		return algorithm("RSA modulus below 2048 or above 8192 bits")
	}
	if e := int64(k.E); e < 3 || e > maxRSAExponent || e&1 == 0 || k.N.Bit(0) == 0 {
		return algorithm("RSA exponent or modulus")
	}
	return nil
}
