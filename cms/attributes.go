package cms

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signedAttributes are the signedAttrs of a SignerInfo, as far as they are understood (RFC 5652 §5.3, §11).
type signedAttributes struct {
	der         []byte // with the tag of SET OF, which is what is signed (RFC 5652 §5.4)
	digest      []byte // messageDigest
	signingTime time.Time
	capable     []Algorithm
	protection  []byte // content of CMSAlgorithmProtection, nil when absent
}

// parseAttributes applies the rules of RFC 5652 §5.3 and §11 to a whole [0] signedAttrs. What it returns beside an error is
// what it had understood before.
func parseAttributes(raw []byte, lim Limits) (a signedAttributes, err error) {
	if raw == nil {
		return a, attributes("absent")
	}
	if err := wellFormedDER(raw, lim.Depth); err != nil {
		return a, attributes("no DER")
	}
	var content cryptobyte.String
	s := cryptobyte.String(raw)
	if !s.ReadASN1(&content, asn1.Tag(tagContext0|constructed)) || !s.Empty() {
		return a, attributes("no DER")
	}
	all, ok := setOf(content, lim.Attributes)
	if !ok {
		return a, attributes("too many, or out of order")
	}
	found := make(map[oid]bool)
	for _, one := range all {
		id, values, ok := parseAttribute(one, lim.Attributes)
		if !ok {
			return a, attributes("no attribute")
		}
		if err := a.take(id, values, found[id]); err != nil {
			return a, err
		}
		found[id] = true
	}
	if !found[oidContentType] || !found[oidMessageDigest] { // RFC 5652 §5.3: MUST contain, at a minimum
		return a, attributes("contentType or messageDigest is missing")
	}
	a.der = append([]byte{tagSet}, raw[1:]...) // RFC 5652 §5.4: EXPLICIT SET OF tag rather than IMPLICIT [0]
	return a, nil
}

// parseAttribute splits an Attribute of at most max values (RFC 5652 §5.3).
func parseAttribute(der []byte, max int) (id oid, values [][]byte, ok bool) {
	s := cryptobyte.String(der)
	var attr, o, set cryptobyte.String
	if !s.ReadASN1(&attr, asn1.SEQUENCE) || !s.Empty() ||
		!attr.ReadASN1(&o, asn1.OBJECT_IDENTIFIER) || !attr.ReadASN1(&set, asn1.SET) || !attr.Empty() {
		return "", nil, false
	}
	id, err := parseOID(o)
	if err != nil {
		return "", nil, false
	}
	values, ok = setOf(set, max)
	return id, values, ok
}

// take keeps the attributes that have a meaning here; each occurs once, with one value.
func (a *signedAttributes) take(id oid, values [][]byte, again bool) error {
	switch id {
	case oidContentType, oidMessageDigest, oidSigningTime, oidCapabilities, oidProtection:
		if again || len(values) != 1 {
			return attributes("twice, or without a single value")
		}
	default:
		return nil
	}
	v := cryptobyte.String(values[0])
	var content cryptobyte.String
	switch id {
	case oidContentType: // RFC 5652 §11.1: equal to eContentType, which is id-data
		if !v.ReadASN1(&content, asn1.OBJECT_IDENTIFIER) || oid(content) != oidData {
			return attributes("contentType is not id-data")
		}
	case oidMessageDigest:
		if !v.ReadASN1(&content, asn1.OCTET_STRING) {
			return attributes("messageDigest")
		}
		a.digest = content
	case oidSigningTime: // RFC 5652 §11.3
		read := v.ReadASN1UTCTime
		if v.PeekASN1Tag(asn1.GeneralizedTime) {
			read = v.ReadASN1GeneralizedTime
		}
		if !read(&a.signingTime) {
			return attributes("signingTime")
		}
		a.signingTime = a.signingTime.UTC()
	case oidCapabilities:
		if !v.ReadASN1(&content, asn1.SEQUENCE) {
			return attributes("smimeCapabilities")
		}
		a.capable = parseCapabilities(content)
	case oidProtection:
		if !v.ReadASN1(&content, asn1.SEQUENCE) {
			return attributes("cmsAlgorithmProtection")
		}
		a.protection = content
	}
	return nil
}

// protects says whether cmsAlgorithmProtection, if present, names these two algorithms and nothing else (RFC 6211 §2).
func (a signedAttributes) protects(digest, signature algorithmIdentifier) bool {
	if a.protection == nil {
		return true
	}
	s := cryptobyte.String(a.protection)
	var d, sig cryptobyte.String
	if !s.ReadASN1(&d, asn1.SEQUENCE) || !s.ReadASN1(&sig, asn1.Tag(tagContext1|constructed)) || !s.Empty() {
		return false
	}
	gotDigest, err := parseAlgorithm(d)
	if err != nil {
		return false
	}
	gotSignature, err := parseAlgorithm(sig)
	return err == nil && gotDigest.equal(digest) && gotSignature.equal(signature)
}
