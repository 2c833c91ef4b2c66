package cms

import (
	"errors"
	"io"
)

// Algorithm is anything that a profile decides about. The zero Algorithm is none.
type Algorithm uint8

// What is weaker than the weakest of these is neither read nor written, whatever the profile: it has no name here.
const (
	// Digests (RFC 5754 §2).
	SHA1 Algorithm = iota + 1
	SHA256
	SHA384
	SHA512

	// Signatures (RFC 3370 §3.2, RFC 4056, RFC 5754 §3.3, RFC 8419).
	RSAPKCS1v15
	RSAPSS
	ECDSAP256
	ECDSAP384
	Ed25519

	// Key transport to RSA certificates (RFC 3370 §4.2.1, RFC 3560).
	RSAESPKCS1v15
	RSAESOAEPSHA1
	RSAESOAEPSHA256
	RSAESOAEPSHA384
	RSAESOAEPSHA512

	// Key agreement with EC and X25519 certificates (RFC 5753, RFC 8418). ECDHSHA1KDF is the old key derivation, beside the curve.
	ECDHP256
	ECDHP384
	ECDHX25519
	ECDHSHA1KDF

	// Content encryption: EnvelopedData (RFC 3565), AuthEnvelopedData (RFC 5084).
	AES128CBC
	AES192CBC
	AES256CBC
	AES128GCM
	AES192GCM
	AES256GCM

	// Compression (RFC 3274).
	ZLIB

	algorithms // how many, and one
)

// Use is what a profile does with an algorithm.
type Use uint8

// From the safest to the freest.
const (
	Refuse Use = iota
	Accept     // read
	Send       // read, and made
)

// Profile is a column of the table of algorithms.
type Profile uint8

// The profiles of DESIGN: the source document, its successor, and one that adds the partners of DICOM PS3.15 B.8.
const (
	V12 Profile = iota
	V13
	Lenient
)

// row is a line of the table: what each profile does.
type row struct {
	name string
	use  [3]Use // V12, V13, Lenient
	most Use    // what configuration can raise it to
}

// table has what every profile does with every algorithm.
func (x Algorithm) row() row {
	all := func(u Use) [3]Use { return [3]Use{u, u, u} }
	switch x {
	case SHA1:
		return row{"SHA-1", [3]Use{Refuse, Refuse, Accept}, Accept}
	case SHA256:
		return row{"SHA-256", all(Send), Send}
	case SHA384:
		return row{"SHA-384", all(Send), Send}
	case SHA512:
		return row{"SHA-512", all(Send), Send}
	case RSAPKCS1v15:
		return row{"RSA", all(Send), Send}
	case RSAPSS:
		return row{"RSA-PSS", all(Send), Send}
	case ECDSAP256:
		return row{"ECDSA-P-256", all(Send), Send}
	case ECDSAP384:
		return row{"ECDSA-P-384", all(Send), Send}
	case Ed25519:
		return row{"Ed25519", all(Send), Send}
	case RSAESPKCS1v15:
		return row{"RSAES-PKCS1", all(Send), Send}
	case RSAESOAEPSHA1:
		return row{"RSAES-OAEP-SHA-1", all(Accept), Accept}
	case RSAESOAEPSHA256:
		return row{"RSAES-OAEP-SHA-256", all(Send), Send}
	case RSAESOAEPSHA384:
		return row{"RSAES-OAEP-SHA-384", all(Send), Send}
	case RSAESOAEPSHA512:
		return row{"RSAES-OAEP-SHA-512", all(Send), Send}
	case ECDHP256:
		return row{"ECDH-P-256", all(Send), Send}
	case ECDHP384:
		return row{"ECDH-P-384", all(Send), Send}
	case ECDHX25519:
		return row{"X25519", all(Send), Send}
	case ECDHSHA1KDF:
		return row{"ECDH-SHA-1-KDF", all(Accept), Accept}
	case AES128CBC:
		return row{"AES-128-CBC", all(Send), Send}
	case AES192CBC:
		return row{"AES-192-CBC", all(Send), Send}
	case AES256CBC:
		return row{"AES-256-CBC", all(Send), Send}
	case AES128GCM:
		return row{"AES-128-GCM", all(Send), Send}
	case AES192GCM:
		return row{"AES-192-GCM", all(Accept), Send}
	case AES256GCM:
		return row{"AES-256-GCM", all(Send), Send}
	case ZLIB:
		return row{"ZLIB", [3]Use{Refuse, Refuse, Accept}, Send}
	}
	return row{name: "no algorithm"}
}

// String names x as configuration and reports do.
func (x Algorithm) String() string { return x.row().name }

// ParseAlgorithm is the reverse of String.
func ParseAlgorithm(name string) (Algorithm, error) {
	for x := Algorithm(1); x < algorithms; x++ {
		if x.row().name == name {
			return x, nil
		}
	}
	return 0, errors.New("cms: no algorithm of that name")
}

// Algorithms says what is done with each algorithm: a column of the table, with changes. The zero value is the column of V12.
// Values can be compared.
type Algorithms struct {
	profile Profile
	changed [algorithms]uint8 // a Use and one; zero where the profile decides
}

// Algorithms returns the column of p.
func (p Profile) Algorithms() Algorithms { return Algorithms{profile: p} }

// Use says what is done with x.
func (a Algorithms) Use(x Algorithm) Use {
	if x >= algorithms {
		return Refuse
	}
	if c := a.changed[x]; c > 0 {
		return Use(c - 1)
	}
	return x.row().use[a.profile]
}

// With returns a with one change. What the table limits for good reasons cannot be raised above that.
func (a Algorithms) With(x Algorithm, u Use) (Algorithms, error) {
	if x == 0 || x >= algorithms || u > Send {
		return a, errors.New("cms: no such algorithm or use")
	}
	if u > x.row().most {
		return a, errors.New("cms: " + x.String() + " cannot be used that far")
	}
	a.changed[x] = uint8(u) + 1
	return a, nil
}

// accept returns ErrAlgorithm unless x may be read; what says where it stood.
func (a Algorithms) accept(x Algorithm, what string) error {
	if x == 0 || a.Use(x) < Accept {
		return algorithm(what)
	}
	return nil
}

// ReadOptions says how hostile input is read. The zero value is the safe one.
type ReadOptions struct {
	Limits     Limits
	Algorithms Algorithms

	// Draft: the caller hides the plaintext of AuthEnvelopedData until io.EOF. Without it nothing is released before the tag is
	// checked: the source must be an io.ReadSeeker, which is read twice.
	Draft bool
}

// Encryption says how a content is encrypted. The zero value is AES-256-CBC by RSAES-PKCS1-v1_5 or key agreement, whichever fits the
// certificate.
type Encryption struct {
	Cipher    Algorithm // 0 is AES256CBC
	Transport Algorithm // for RSA certificates; 0 is RSAESPKCS1v15
	Rand      io.Reader // nil is crypto/rand
}
