package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha1" // registers what Algorithm.hash names; for reading alone
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// digestOf names the digest algorithms (RFC 5754 §2, RFC 3370 §2.1), 0 for MD5 and all others.
func digestOf(o oid) Algorithm {
	switch o {
	case oidSHA1:
		return SHA1
	case oidSHA256:
		return SHA256
	case oidSHA384:
		return SHA384
	case oidSHA512:
		return SHA512
	}
	return 0
}

// hash is what x computes if it is a digest, otherwise 0.
func (x Algorithm) hash() crypto.Hash {
	switch x {
	case SHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	}
	return 0
}

// digestBy is the reverse of Algorithm.hash.
func digestBy(h crypto.Hash) Algorithm {
	for _, x := range [...]Algorithm{SHA1, SHA256, SHA384, SHA512} {
		if x.hash() == h {
			return x
		}
	}
	return 0
}

// hashOID names a hash that signatures may be made with, "" for others.
func hashOID(h crypto.Hash) oid {
	switch h {
	case crypto.SHA256:
		return oidSHA256
	case crypto.SHA384:
		return oidSHA384
	case crypto.SHA512:
		return oidSHA512
	}
	return ""
}

// keyFor checks a public key's kind, size and parameters, and returns how it signs. RSA keys sign in two ways: pss chooses.
func keyFor(pub crypto.PublicKey, pss bool) (Algorithm, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if pss {
			return RSAPSS, checkRSA(k)
		}
		return RSAPKCS1v15, checkRSA(k)
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ECDSAP256, nil
		case elliptic.P384():
			return ECDSAP384, nil
		}
		return 0, algorithm("elliptic curve")
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return Ed25519, nil
		}
	}
	return 0, algorithm("kind of public key")
}

// checkRSA keeps weak keys out, and those made to be slow.
func checkRSA(k *rsa.PublicKey) error {
	if n := k.N.BitLen(); k.N.Sign() < 0 || n < minRSABits || n > maxRSABits {
		return algorithm("RSA modulus below 2048 or above 8192 bits")
	}
	if e := int64(k.E); e < 3 || e > maxRSAExponent || e&1 == 0 || k.N.Bit(0) == 0 {
		return algorithm("RSA exponent or modulus")
	}
	return nil
}
