package trust

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of one OCSP response.
const (
	maxOCSP    = 64 << 10 // bytes
	maxSingles = 64       // SingleResponses
	maxSigners = 4        // certificates of responders
)

var (
	errOCSP        = errors.New("trust: no OCSP response")
	errOCSPRefused = errors.New("trust: the responder gives no answer")
)

// response is a BasicOCSPResponse as it was read (RFC 6960 §4.2.1); nothing in it is proven yet.
type response struct {
	signed    []byte // tbsResponseData
	algorithm x509.SignatureAlgorithm
	signature []byte
	name      []byte // responderID by name: the Name as DER
	keyHash   []byte // or by key: SHA-1 of the key
	produced  time.Time
	singles   []single
	nonce     []byte // nil if there is none
	certs     [][]byte
	strange   bool // a critical extension is not understood
}

// single is a SingleResponse.
type single struct {
	sha256             bool // the hash of the certID; else SHA-1
	nameHash, keyHash  []byte
	serial             []byte // contents of the INTEGER
	status             state  // good, revoked; silent: unknown
	entry              entry
	thisUpdate, expiry time.Time
	strange            bool
}

// parseOCSP reads a DER OCSPResponse (RFC 6960 §4.2.1). errOCSPRefused says that it is one without an answer.
func parseOCSP(raw []byte) (*response, error) {
	in := cryptobyte.String(raw)
	var outer, bytes0, content, octets, basic cryptobyte.String
	var status int
	var kind asn1.ObjectIdentifier
	if len(raw) > maxOCSP || !in.ReadASN1(&outer, tags.SEQUENCE) || !in.Empty() || !outer.ReadASN1Enum(&status) {
		return nil, errOCSP
	}
	if status != 0 { // malformedRequest, internalError, tryLater, sigRequired, unauthorized
		return nil, errOCSPRefused
	}
	if !outer.ReadASN1(&bytes0, inside(0)) || !outer.Empty() || !bytes0.ReadASN1(&content, tags.SEQUENCE) || !bytes0.Empty() ||
		!content.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidOCSPBasic) || !content.ReadASN1(&octets, tags.OCTET_STRING) || !content.Empty() ||
		!octets.ReadASN1(&basic, tags.SEQUENCE) || !octets.Empty() {
		return nil, errOCSP
	}
	r := &response{}
	if !r.parseBasic(basic) {
		return nil, errOCSP
	}
	return r, nil
}

func (r *response) parseBasic(in cryptobyte.String) bool {
	var data, algorithm, bag, certs cryptobyte.String
	var bits asn1.BitString
	var withCerts bool
	if !in.ReadASN1Element(&data, tags.SEQUENCE) || !in.ReadASN1Element(&algorithm, tags.SEQUENCE) || !in.ReadASN1BitString(&bits) ||
		bits.BitLength%8 != 0 || !in.ReadOptionalASN1(&bag, &withCerts, inside(0)) || !in.Empty() {
		return false
	}
	r.signed, r.signature, r.algorithm = data, bits.Bytes, signatureAlgorithm(algorithm)
	if withCerts {
		if !bag.ReadASN1(&certs, tags.SEQUENCE) || !bag.Empty() {
			return false
		}
		for !certs.Empty() && len(r.certs) < maxSigners {
			var c cryptobyte.String
			if !certs.ReadASN1Element(&c, tags.SEQUENCE) {
				return false
			}
			r.certs = append(r.certs, c)
		}
	}
	return r.parseData(data)
}

func (r *response) parseData(in cryptobyte.String) bool {
	var data, id, singles, version cryptobyte.String
	var versioned bool
	if !in.ReadASN1(&data, tags.SEQUENCE) || !data.ReadOptionalASN1(&version, &versioned, inside(0)) {
		return false
	}
	if n := 0; versioned && (!version.ReadASN1Integer(&n) || n != 0 || !version.Empty()) {
		return false
	}
	switch { // ReadASN1 eats what it refuses
	case data.PeekASN1Tag(inside(1)) && data.ReadASN1(&id, inside(1)):
		r.name = id
	case data.PeekASN1Tag(inside(2)) && data.ReadASN1(&id, inside(2)):
		var hash cryptobyte.String
		if !id.ReadASN1(&hash, tags.OCTET_STRING) || len(hash) != sha1.Size || !id.Empty() {
			return false
		}
		r.keyHash = hash
	default:
		return false
	}
	if !data.ReadASN1GeneralizedTime(&r.produced) || !data.ReadASN1(&singles, tags.SEQUENCE) {
		return false
	}
	for !singles.Empty() {
		var one single
		var element cryptobyte.String
		if len(r.singles) == maxSingles || !singles.ReadASN1(&element, tags.SEQUENCE) || !one.parse(element) {
			return false
		}
		r.singles = append(r.singles, one)
	}
	return readExtensionsOf(&data, func(id asn1.ObjectIdentifier, critical bool, value cryptobyte.String) bool {
		switch {
		case id.Equal(oidOCSPNonce):
			r.nonce = []byte{}
			var octets cryptobyte.String
			if value.ReadASN1(&octets, tags.OCTET_STRING) {
				r.nonce = append(r.nonce, octets...)
			} // a nonce that is none is equal to no other
		case critical:
			r.strange = true
		}
		return true
	})
}

func (s *single) parse(in cryptobyte.String) bool {
	var id, algorithm, name, key, serial, status, next cryptobyte.String
	var hash asn1.ObjectIdentifier
	var tag tags.Tag
	var hasNext bool
	if !in.ReadASN1(&id, tags.SEQUENCE) || !id.ReadASN1(&algorithm, tags.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&hash) ||
		!id.ReadASN1(&name, tags.OCTET_STRING) || !id.ReadASN1(&key, tags.OCTET_STRING) || !id.ReadASN1(&serial, tags.INTEGER) || !id.Empty() ||
		!in.ReadAnyASN1(&status, &tag) || !in.ReadASN1GeneralizedTime(&s.thisUpdate) || !in.ReadOptionalASN1(&next, &hasNext, inside(0)) ||
		hasNext && (!next.ReadASN1GeneralizedTime(&s.expiry) || !next.Empty()) {
		return false
	}
	s.nameHash, s.keyHash, s.serial = name, key, serial
	switch {
	case hash.Equal(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}):
		s.sha256 = true
	case !hash.Equal(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}):
		s.strange = true
	}
	switch tag {
	case outside(0):
		s.status = good
	case inside(1):
		s.status = revoked
		var reason cryptobyte.String
		var given bool
		if !status.ReadASN1GeneralizedTime(&s.entry.since) || !status.ReadOptionalASN1(&reason, &given, inside(0)) ||
			given && (!reason.ReadASN1Enum(&s.entry.reason) || !reason.Empty()) || !status.Empty() {
			return false
		}
	case outside(2): // unknown
	default:
		return false
	}
	return readExtensionsOf(&in, func(_ asn1.ObjectIdentifier, critical bool, _ cryptobyte.String) bool {
		s.strange = s.strange || critical
		return true
	})
}

// readExtensionsOf reads [1] EXPLICIT Extensions, if they are there, to the end of in.
func readExtensionsOf(in *cryptobyte.String, f func(id asn1.ObjectIdentifier, critical bool, value cryptobyte.String) bool) bool {
	var wrap, all cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&wrap, &present, inside(1)) || !in.Empty() {
		return false
	}
	if !present {
		return true
	}
	if !wrap.ReadASN1(&all, tags.SEQUENCE) || !wrap.Empty() {
		return false
	}
	for !all.Empty() {
		var e, value cryptobyte.String
		var id asn1.ObjectIdentifier
		critical := false
		if !all.ReadASN1(&e, tags.SEQUENCE) || !e.ReadASN1ObjectIdentifier(&id) ||
			e.PeekASN1Tag(tags.BOOLEAN) && !e.ReadASN1Boolean(&critical) || !e.ReadASN1(&value, tags.OCTET_STRING) || !e.Empty() || !f(id, critical, value) {
			return false
		}
	}
	return true
}

// about says whether s speaks of that certificate: certID by name and key of its issuer, and by serial number (RFC 6960 §4.1.1).
func (s *single) about(c subject, serial []byte) bool {
	if s.strange || !bytes.Equal(s.serial, serial) {
		return false
	}
	key := keyBits(c.issuer)
	if s.sha256 {
		n, k := sha256.Sum256(c.issuer.RawSubject), sha256.Sum256(key)
		return bytes.Equal(s.nameHash, n[:]) && bytes.Equal(s.keyHash, k[:])
	}
	n, k := sha1.Sum(c.issuer.RawSubject), sha1.Sum(key) // names, no more: what counts is the signature
	return bytes.Equal(s.nameHash, n[:]) && bytes.Equal(s.keyHash, k[:])
}

// keyBits is the BIT STRING of c's public key, which certID hashes.
func keyBits(c *x509.Certificate) []byte {
	in := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var spki cryptobyte.String
	var bits asn1.BitString
	if !in.ReadASN1(&spki, tags.SEQUENCE) || !spki.SkipASN1(tags.SEQUENCE) || !spki.ReadASN1BitString(&bits) {
		return nil
	}
	return bits.Bytes
}

// signatureAlgorithm reads an AlgorithmIdentifier; those that are not sound are not told apart.
func signatureAlgorithm(der cryptobyte.String) x509.SignatureAlgorithm {
	for _, a := range ocspAlgorithms {
		if string(der) == a.der {
			return a.algorithm
		}
	}
	return x509.UnknownSignatureAlgorithm
}

// ocspAlgorithms are the AlgorithmIdentifiers of sound signatures, letter by letter (RFC 4055 §3, §5, RFC 5758 §3.2, RFC 8410 §3).
var ocspAlgorithms = [...]struct {
	der       string
	algorithm x509.SignatureAlgorithm
}{
	{"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00", x509.SHA256WithRSA},
	{"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00", x509.SHA384WithRSA},
	{"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00", x509.SHA512WithRSA},
	{"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", x509.ECDSAWithSHA256},
	{"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03", x509.ECDSAWithSHA384},
	{"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04", x509.ECDSAWithSHA512},
	{"\x30\x05\x06\x03\x2b\x65\x70", x509.PureEd25519},
	{pssDER(1, 32), x509.SHA256WithRSAPSS},
	{pssDER(2, 48), x509.SHA384WithRSAPSS},
	{pssDER(3, 64), x509.SHA512WithRSAPSS},
}

// pssDER is id-RSASSA-PSS with one of the hashes of SHA-2 throughout and a salt as long as the hash.
func pssDER(hash, salt byte) string {
	alg := "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" + string(hash) + "\x05\x00"
	return "\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f" + alg +
		"\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" + alg + "\xa2\x03\x02\x01" + string(salt)
}
