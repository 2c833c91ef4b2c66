package keyring

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// How much may be derived from a password: rounds of all derivations of an import together (OpenSSL writes 2048, Java 10000, NSS 600000 three
// times), and octets of a salt or of what is derived.
const (
	maxRounds   = 2_000_000
	maxSalt     = 1 << 10
	maxDerived  = 64
	maxPassword = 1 << 10
)

func (r *reading) fitPassword() error {
	if len(r.password) > maxPassword {
		return unreadable("the password has more than %d octets", maxPassword)
	}
	return nil
}

// mac counts the rounds of MacData (RFC 7292 §4): its own, or those of PBMAC1 (RFC 9579).
func (r *reading) mac(s cryptobyte.String) error {
	var data, digest, algorithm, params, salt cryptobyte.String
	var id asn1.ObjectIdentifier
	rounds := 1
	if !s.ReadASN1(&data, der.SEQUENCE) || !s.Empty() || !data.ReadASN1(&digest, der.SEQUENCE) || !digest.ReadASN1(&algorithm, der.SEQUENCE) ||
		!data.ReadASN1(&salt, der.OCTET_STRING) || !data.Empty() && (!data.ReadASN1Integer(&rounds) || !data.Empty()) {
		return errShape()
	}
	whole := algorithm
	if !algorithm.ReadASN1ObjectIdentifier(&id) {
		return errShape()
	}
	if id.Equal(oidPBMAC1) {
		if !algorithm.ReadASN1(&params, der.SEQUENCE) {
			return errShape()
		}
		return r.scheme(whole)
	}
	return r.derive(rounds, salt)
}

// scheme counts the rounds that an AlgorithmIdentifier wants: PBES2 and PBMAC1 by PBKDF2 (RFC 8018), or those of RFC 7292 appendix C.
func (r *reading) scheme(algorithm cryptobyte.String) error {
	var id asn1.ObjectIdentifier
	var params, salt cryptobyte.String
	rounds := 0
	if !algorithm.ReadASN1ObjectIdentifier(&id) || !algorithm.ReadASN1(&params, der.SEQUENCE) {
		return errScheme()
	}
	switch {
	case under(id, oidPBE):
		if !params.ReadASN1(&salt, der.OCTET_STRING) || !params.ReadASN1Integer(&rounds) {
			return errScheme()
		}
		return r.derive(rounds, salt)
	case id.Equal(oidPBES2), id.Equal(oidPBMAC1):
	default:
		return errScheme()
	}
	var kdf, inner cryptobyte.String
	if !params.ReadASN1(&kdf, der.SEQUENCE) || !kdf.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidPBKDF2) || !kdf.ReadASN1(&inner, der.SEQUENCE) ||
		!inner.ReadASN1(&salt, der.OCTET_STRING) || !inner.ReadASN1Integer(&rounds) {
		return errScheme()
	}
	if length := 0; inner.PeekASN1Tag(der.INTEGER) && (!inner.ReadASN1Integer(&length) || length < 1 || length > maxDerived) {
		return errScheme()
	}
	return r.derive(rounds, salt)
}

func errScheme() error {
	return unreadable("it is encrypted in a way that is not read here: write it anew with openssl pkcs12 -in FILE -nodes | openssl pkcs12 -export")
}

// derive takes note of one derivation.
func (r *reading) derive(rounds int, salt []byte) error {
	if len(salt) > maxSalt || rounds < 1 {
		return errScheme()
	}
	if rounds > maxRounds {
		return errRounds()
	}
	r.rounds += rounds
	return r.affordable()
}

func (r *reading) affordable() error {
	if r.rounds > maxRounds {
		return errRounds()
	}
	return nil
}

func errRounds() error {
	return unreadable("its password is to be put through more than %d rounds of derivation, which only holds this machine up: write it anew with fewer (openssl pkcs12 -export -iter 100000)", maxRounds)
}
