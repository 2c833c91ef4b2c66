package cms

import (
	"errors"
	"fmt"
	"io"
	"strings"
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

// String names u as configuration and reports do.
func (u Use) String() string {
	return [...]string{"refuse", "accept", "send"}[min(u, Send)]
}

// Profile is a column of the table of algorithms:
//
//	algorithm           v1.2    v1.3    lenient  may be        why
//	SHA-1               refuse  refuse  accept   accept *      Direct 2.6: never sent; v1.3 forbids it both ways
//	SHA-256             send    send    send     accept, send  Direct 2.6: MUST
//	SHA-384             send    send    send     any
//	SHA-512             send    send    send     any           RFC 8551 §2.1: MUST
//	RSA                 send    send    send     any           RFC 5751 §2.2: MUST; the default of RSA keys
//	RSA-PSS             send    send    send     any           RFC 5751 §2.2: SHOULD+
//	ECDSA-P-256         send    send    send     any           RFC 8551 §2.2: MUST; tested with v1.3
//	ECDSA-P-384         send    send    send     any           tested with v1.3
//	Ed25519             accept  accept  send     any           RFC 8551 §2.2: MUST, yet no Direct partner is known to read it
//	RSAES-PKCS1         send    send    send     any           RFC 5751 §2.3: MUST; what every partner reads
//	RSAES-OAEP-SHA-1    accept  accept  accept   accept        the default of reference implementations; as strong as the others
//	RSAES-OAEP-SHA-256  send    send    send     any           RFC 5751 §2.3: SHOULD+; to partners that read it
//	RSAES-OAEP-SHA-384  send    send    send     any
//	RSAES-OAEP-SHA-512  send    send    send     any
//	ECDH-P-256          send    send    send     any           RFC 8551 §2.3: MUST; there is no other way to such a certificate
//	ECDH-P-384          send    send    send     any           likewise
//	X25519              send    send    send     any           likewise
//	ECDH-SHA-1-KDF      accept  accept  accept   accept        what older senders derive with; collisions do not matter there
//	AES-128-CBC         send    send    send     accept, send  Direct 2.7: MUST
//	AES-192-CBC         send    send    send     any           Direct 2.7: MAY (RFC 5751 §2.7: SHOULD+)
//	AES-256-CBC         send    send    send     accept, send  Direct 2.7: MUST
//	AES-128-GCM         send    send    send     any           made for those who announce it (RFC 5751 §2.7.1.1), never unasked
//	AES-192-GCM         accept  accept  accept   any           no version of S/MIME asks for it
//	AES-256-GCM         send    send    send     any           as AES-128-GCM
//	ZLIB                refuse  refuse  accept   any           Direct 2.4 has no compression; PS3.15 B.8 permits it, and it is read of such partners; made on request
//
// "May be" is what configuration can choose; * with v1.3 there is no choice. What is made is what the caller asks for; Send says
// that it may. What stands in no line (MD5, 3DES, RC2, RSA below 2048 bits, …) can be had by no configuration.
type Profile uint8

// The profiles: Direct 2015, Direct 2021, and one that adds the partners of DICOM PS3.15 B.8.
const (
	V12 Profile = iota
	V13
	Lenient
)

// row is a line of the table.
type row struct {
	name  string
	use   [3]Use // V12, V13, Lenient
	least Use    // what configuration can lower it to
	most  [3]Use // and raise it to
}

func all(u Use) [3]Use { return [3]Use{u, u, u} }

// table is the one above, where the reasons are; a test compares them.
var table = [algorithms]row{
	0:               {name: "no algorithm"},
	SHA1:            {"SHA-1", [3]Use{Refuse, Refuse, Accept}, Refuse, [3]Use{Accept, Refuse, Accept}},
	SHA256:          {"SHA-256", all(Send), Accept, all(Send)},
	SHA384:          {"SHA-384", all(Send), Refuse, all(Send)},
	SHA512:          {"SHA-512", all(Send), Refuse, all(Send)},
	RSAPKCS1v15:     {"RSA", all(Send), Refuse, all(Send)},
	RSAPSS:          {"RSA-PSS", all(Send), Refuse, all(Send)},
	ECDSAP256:       {"ECDSA-P-256", all(Send), Refuse, all(Send)},
	ECDSAP384:       {"ECDSA-P-384", all(Send), Refuse, all(Send)},
	Ed25519:         {"Ed25519", [3]Use{Accept, Accept, Send}, Refuse, all(Send)},
	RSAESPKCS1v15:   {"RSAES-PKCS1", all(Send), Refuse, all(Send)},
	RSAESOAEPSHA1:   {"RSAES-OAEP-SHA-1", all(Accept), Refuse, all(Accept)},
	RSAESOAEPSHA256: {"RSAES-OAEP-SHA-256", all(Send), Refuse, all(Send)},
	RSAESOAEPSHA384: {"RSAES-OAEP-SHA-384", all(Send), Refuse, all(Send)},
	RSAESOAEPSHA512: {"RSAES-OAEP-SHA-512", all(Send), Refuse, all(Send)},
	ECDHP256:        {"ECDH-P-256", all(Send), Refuse, all(Send)},
	ECDHP384:        {"ECDH-P-384", all(Send), Refuse, all(Send)},
	ECDHX25519:      {"X25519", all(Send), Refuse, all(Send)},
	ECDHSHA1KDF:     {"ECDH-SHA-1-KDF", all(Accept), Refuse, all(Accept)},
	AES128CBC:       {"AES-128-CBC", all(Send), Accept, all(Send)},
	AES192CBC:       {"AES-192-CBC", all(Send), Refuse, all(Send)},
	AES256CBC:       {"AES-256-CBC", all(Send), Accept, all(Send)},
	AES128GCM:       {"AES-128-GCM", all(Send), Refuse, all(Send)},
	AES192GCM:       {"AES-192-GCM", all(Accept), Refuse, all(Send)},
	AES256GCM:       {"AES-256-GCM", all(Send), Refuse, all(Send)},
	ZLIB:            {"ZLIB", [3]Use{Refuse, Refuse, Accept}, Refuse, all(Send)},
}

// row returns x's line of the table; an unknown algorithm is refused like none.
func (x Algorithm) row() *row {
	if x >= algorithms {
		x = 0
	}
	return &table[x]
}

// String names x as configuration and reports do.
func (x Algorithm) String() string { return x.row().name }

// ParseAlgorithm is the reverse of String, in small letters or capital ones.
func ParseAlgorithm(name string) (Algorithm, error) {
	for x := Algorithm(1); x < algorithms; x++ {
		if strings.EqualFold(x.String(), name) {
			return x, nil
		}
	}
	return 0, errors.New("cms: no algorithm of that name")
}

// Algorithms says what is done with each algorithm: a column of the table, with changes. The zero value is the column of V12.
// Values can be compared: those that do the same for the same profile are equal.
type Algorithms struct {
	profile Profile
	changed [algorithms]uint8 // a Use and one; zero where the profile decides
}

// Algorithms returns the column of p. That of an unknown profile refuses everything.
func (p Profile) Algorithms() Algorithms { return Algorithms{profile: p} }

// Use says what is done with x.
func (a Algorithms) Use(x Algorithm) Use {
	if a.profile > Lenient || x >= algorithms {
		return Refuse
	}
	if c := a.changed[x]; c > 0 {
		return Use(c - 1)
	}
	return x.row().use[a.profile]
}

// With returns a with one change, within the bounds of the table: nothing makes Direct sign with SHA-1, or refuse AES.
func (a Algorithms) With(x Algorithm, u Use) (Algorithms, error) {
	if x == 0 || x >= algorithms || u > Send || a.profile > Lenient {
		return a, errors.New("cms: no such algorithm, use or profile")
	}
	switch r := x.row(); {
	case u > r.most[a.profile]:
		return a, fmt.Errorf("cms: %s: %q is the most that is safe", x, r.most[a.profile])
	case u < r.least:
		return a, fmt.Errorf("cms: %s: %q is the least that is asked of us", x, r.least)
	case u == r.use[a.profile]:
		a.changed[x] = 0
	default:
		a.changed[x] = uint8(u) + 1
	}
	return a, nil
}

// accept is what every reader asks before it uses x: nil, or ErrAlgorithm with what stood there.
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

	// All: of several keys that the message names each is tried, once, and not the first alone. The first opens the message; of the others it is
	// only said whether they could have (Enveloped.Others). It costs an operation with each private key.
	All bool

	// Draft: the caller hides the plaintext of AuthEnvelopedData until io.EOF. Without it nothing is released before the tag is
	// checked: the source must be an io.ReadSeeker, which is read twice.
	Draft bool
}

// Encryption says how a content is encrypted. The zero value is AES-256-CBC by RSAES-PKCS1-v1_5 or key agreement, whichever fits the
// certificate.
type Encryption struct {
	Cipher    Algorithm // 0 is AES256CBC
	Transport Algorithm // for RSA certificates; 0 is RSAESPKCS1v15
	Rand      io.Reader // of the content key and its initialization vector or nonce; nil is crypto/rand, which all else comes from
}
